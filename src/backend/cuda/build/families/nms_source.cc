// The text of NonMaxSuppression's kernels; nms.cc fills its holes and says in what order they run.
#include "backend/cuda/build/families/nms.h"

namespace tenon::cuda::nms {

const char kHelpers[] = R"(
typedef unsigned long long Wide;
// The best score first, of equal ones the lower index. Nothing comes behind kNone.
#define NONE (~0ull)
DEVICE Wide place_of(float score, unsigned index) {
  return (Wide)(~(unsigned(float_key(score)) ^ 0x80000000u)) << 32 | index;
}
struct alignas(16) Corners { float y0, x0, y1, x1; };
// `slack` is how far a corner may be from what it is in double; negative: the box overlaps nothing.
struct alignas(8) Size { float area, slack; };
struct Exact { double y0, x0, y1, x1; };
)";

const char kExact[] = R"(
DEVICE Exact exact_box(const float* p) {
  const double a = p[0], b = p[1], c = p[2], d = p[3];
  Exact r;
  $BOX
  return r;
}
DEVICE bool overlap_exactly(const Exact& a, const Exact& b, double most) {
  const double height = (a.y1 < b.y1 ? a.y1 : b.y1) - (a.y0 < b.y0 ? b.y0 : a.y0),
               width = (a.x1 < b.x1 ? a.x1 : b.x1) - (a.x0 < b.x0 ? b.x0 : a.x0);
  if (!(height > 0) || !(width > 0)) return false;
  const double common = rounded_product(height, width),
               all = rounded_product(a.y1 - a.y0, a.x1 - a.x0) + rounded_product(b.y1 - b.y0, b.x1 - b.x0) - common;
  return all > 0 && common / all > most;
}
// Corners differ from the exact ones by `slack`, all else by some 2^-24 of the whole.
DEVICE bool overlap(const Corners& a, const Size& as, const Corners& b, const Size& bs, float most, const float* pa, const float* pb) {
  if (as.slack < 0.f || bs.slack < 0.f) return false;
  const float slack = as.slack + bs.slack;
  const float h = (a.y1 < b.y1 ? a.y1 : b.y1) - (a.y0 < b.y0 ? b.y0 : a.y0), w = (a.x1 < b.x1 ? a.x1 : b.x1) - (a.x0 < b.x0 ? b.x0 : a.x0);
  if (h <= -2.f * slack || w <= -2.f * slack) return false;
  const float height = h < 0.f ? 0.f : h, width = w < 0.f ? 0.f : w, common = height * width, all = as.area + bs.area - common;
  const float over = common - most * all, unsure = 4e-6f * all + 8.f * slack * (height + width + slack);
  if (over > unsure) return true;
  if (over < -unsure) return false;
  return overlap_exactly(exact_box(pa), exact_box(pb), most);
}
)";

// A block sorts a tile of a list.
const char kSort[] = R"(
__shared__ Wide keys[$TILE];
__shared__ int sums[$WARPS];
const unsigned list = blockIdx.x / $TILES, first = (blockIdx.x - list * $TILES) * $TILEu;
int candidates = 0;
for (unsigned k = threadIdx.x; k < $TILEu; k += $THREADSu) {
  const unsigned i = first + k;
  Wide key = NONE;
  if (i < $N) {
    const float score = $SCORES[list * $N + i];
    if ($CHOSEN) key = place_of(score, i);
  }
  keys[k] = key;
  candidates += key != NONE;
}
candidates = reduce_block<$THREADS>(candidates, Sum(), sums);
if (threadIdx.x == 0) $CANDIDATES[blockIdx.x] = candidates;
for (unsigned size = 2; size <= $TILEu; size *= 2)
  for (unsigned step = size / 2; step > 0; step /= 2) {
    __syncthreads();
    for (unsigned k = threadIdx.x; k < $TILEu / 2u; k += $THREADSu) {
      const unsigned low = 2u * k - (k & (step - 1u)), high = low + step;
      const Wide a = keys[low], b = keys[high];
      if ((a > b) == ((low & size) == 0u)) keys[low] = b, keys[high] = a;
    }
  }
__syncthreads();
for (unsigned k = threadIdx.x; k < $TILEu; k += $THREADSu)
  if (first + k < $N) $SORTED[list * $N + first + k] = keys[k];
)";

// Where a candidate comes in its whole list: its place in its tile, and how many of each other tile come
// before it.
const char kRank[] = R"(
const unsigned list = blockIdx.x / $TILES, tile = blockIdx.x - list * $TILES;
const Wide* const keys = $SORTED + list * $N;
const unsigned own = unsigned($CANDIDATES[blockIdx.x]);
for (unsigned k = threadIdx.x; k < own; k += $THREADSu) {
  const Wide key = keys[tile * $TILEu + k];
  unsigned rank = k;
  for (unsigned t = 0; t < $TILES; ++t) {
    if (t == tile) continue;
    unsigned low = 0, high = unsigned($CANDIDATES[list * $TILES + t]);
    while (low < high) {
      const unsigned middle = (low + high) / 2u;
      if (keys[t * $TILEu + middle] < key) low = middle + 1u;
      else high = middle;
    }
    rank += low;
  }
  const unsigned index = unsigned(key), to = list * $N + rank;
  $ORDER[to] = index;
  const Exact e = exact_box($BOXES + (list / $CLASSES * $N + index) * 4u);
  const Corners c = {float(e.y0), float(e.x0), float(e.y1), float(e.x1)};
  const double height = e.y1 - e.y0, width = e.x1 - e.x0, area = height * width;
  double far = fabs(c.y0 - e.y0);
  if (fabs(c.x0 - e.x0) > far) far = fabs(c.x0 - e.x0);
  if (fabs(c.y1 - e.y1) > far) far = fabs(c.y1 - e.y1);
  if (fabs(c.x1 - e.x1) > far) far = fabs(c.x1 - e.x1);
  // Where float could be far off, double decides.
  Size s = {float(area), far == 0 ? 0.f : 2.f * float(far) + 1e-37f};
  if (!(area > 1e-30 && area < 1e30 && height < 1e18 && width < 1e18)) s.slack = INFINITE;
  if (!(height > 0) || !(width > 0)) s.slack = -1.f;
  $CORNERS[to] = c;
  $SIZES[to] = s;
}
)";

// How long this block's list is.
const char kLength[] = R"(
unsigned length = 0;
for (unsigned t = 0; t < $TILES; ++t) length += unsigned($CANDIDATES[list * $TILES + t]);
)";

// Whether row r overlaps the boxes of word `word`, 64 boxes: two words of bits. What stands before the
// diagonal is not read.
const char kPairs[] = R"(
__shared__ Corners corners[64];
__shared__ Size sizes[64];
const unsigned list = blockIdx.x / ($ROWS * $PARTS), rest = blockIdx.x - list * ($ROWS * $PARTS);
const unsigned rows = rest / $PARTS * $THREADSu, first = rest % $PARTS * 64u;
$LENGTH
if (rows >= length || first >= length || first + 64u <= rows) return;
const unsigned start = list * $N;
const float* const boxes = $BOXES + list / $CLASSES * $N * 4u;
if (threadIdx.x < 64u && first + threadIdx.x < length) {
  corners[threadIdx.x] = $CORNERS[start + first + threadIdx.x];
  sizes[threadIdx.x] = $SIZES[start + first + threadIdx.x];
}
__syncthreads();
const unsigned row = rows + threadIdx.x;
if (row >= length) return;
const float most = $MOST;
const Corners c = $CORNERS[start + row];
const Size s = $SIZES[start + row];
const float* const box = boxes + $ORDER[start + row] * 4u;
unsigned bits[2] = {0u, 0u};
for (unsigned k = 0; k < 64u && first + k < length; ++k)
  if (first + k > row && overlap(c, s, corners[k], sizes[k], most, box, boxes + $ORDER[start + first + k] * 4u))
    bits[k / 32u] |= 1u << k % 32u;
unsigned* const to = $BITS + (start + row) * $WORDS + first / 32u;
to[0] = bits[0], to[1] = bits[1];
)";

// 64 boxes at a time. `gone` are bits of those that a kept box overlaps; rows[2 * i] and the next which of
// the 64 box i does.
const char kScan[] = R"(
__shared__ unsigned rows[128], gone[2], alive[2];
$SHARED
const unsigned list = blockIdx.x, start = list * $N;
const int lane = threadIdx.x % 32;
$LENGTH
$BEGIN
unsigned taken = 0;
for (unsigned first = 0; first < length && taken < $CAP; first += 64u) {
  $LOOK
  __syncthreads();
  if (threadIdx.x == 0) {
    unsigned out[2] = {gone[0], gone[1]}, left = length - first, room = $CAP - taken;
    if (left < 64u) out[1] |= left > 32u ? ~0u << (left - 32u) : ~0u;
    if (left < 32u) out[0] |= ~0u << left;
    UNROLL
    for (int i = 0; i < 32; ++i)
      if (!(out[0] >> i & 1u)) out[0] |= rows[2 * i], out[1] |= rows[2 * i + 1];
    UNROLL
    for (int i = 0; i < 32; ++i)
      if (!(out[1] >> i & 1u)) out[1] |= rows[2 * i + 65];
    unsigned low = ~out[0], high = ~out[1];
    while (unsigned(count_bits(low) + count_bits(high)) > room) {  // the last are too many
      if (high) high &= ~(0x80000000u >> leading_zeros(high));
      else low &= ~(0x80000000u >> leading_zeros(low));
    }
    alive[0] = low, alive[1] = high;
  }
  __syncthreads();
  const unsigned low = alive[0], high = alive[1];
  if (threadIdx.x < 64u) {
    const unsigned half = threadIdx.x / 32u, word = alive[half];
    if (word >> lane & 1u) {
      const unsigned at = taken + count_bits(word & ((1u << lane) - 1u)) + (half ? count_bits(low) : 0u);
      $KEEP[list * $CAP + at] = $KEPT;
    }
  }
  taken += count_bits(low) + count_bits(high);
  $GOON
  __syncthreads();
}
if (threadIdx.x == 0) $TAKEN[list] = int(taken);
)";

// With bits for all pairs.
const char kBitsBegin[] = R"(
const unsigned* const bits = $BITS + start * $WORDS;
const unsigned words = (length + 31u) / 32u;
const int warp = threadIdx.x / 32;
for (unsigned w = threadIdx.x; w < $WORDS; w += $THREADSu) removed[w] = 0u;
if (threadIdx.x < 128u && threadIdx.x / 2u < length) rows[threadIdx.x] = bits[threadIdx.x / 2u * $WORDS + threadIdx.x % 2u];
__syncthreads();
)";
const char kBitsLook[] =
    R"(if (threadIdx.x < 2u) gone[threadIdx.x] = removed[first / 32u + threadIdx.x];
)";
const char kBitsGoOn[] = R"(
const unsigned next = first + 64u;
if (threadIdx.x < 128u && next + threadIdx.x / 2u < length)
  rows[threadIdx.x] = bits[(next + threadIdx.x / 2u) * $WORDS + next / 32u + threadIdx.x % 2u];
for (int k = warp; k < 64; k += $WARPS) {
  if (!((k < 32 ? low : high) >> k % 32 & 1u)) continue;
  const unsigned* const row = bits + (first + k) * $WORDS;
  for (unsigned w = next / 32u + lane; w < words; w += 32u)
    if (const unsigned out = row[w]) atomic_or(removed + w, out);
}
)";

// Without: a thread has one of the 64 and an eighth of what is compared with.
const char kDirectBegin[] = R"(
const float* const boxes = $BOXES + list / $CLASSES * $N * 4u;
const unsigned own = threadIdx.x % 64u, part = threadIdx.x / 64u;
const float most = $MOST;
)";
const char kDirectLook[] = R"(
const unsigned at = first + own;
const bool there = at < length;
const Corners c = there ? $CORNERS[start + at] : Corners{};
const Size s = there ? $SIZES[start + at] : Size{0.f, -1.f};
const float* const box = boxes + (there ? $ORDER[start + at] : 0u) * 4u;
if (part == 0u) corners[own] = c, sizes[own] = s;
if (threadIdx.x < 2u) gone[threadIdx.x] = 0u;
__syncthreads();
bool out = false;
for (unsigned k = part; k < taken && !out; k += 8u) {
  const unsigned kept = $KEEP[list * $CAP + k];
  out = overlap($CORNERS[start + kept], $SIZES[start + kept], c, s, most, boxes + $ORDER[start + kept] * 4u, box);
}
warp_sync();
const unsigned all = ballot(out);
if (lane == 0 && all) atomic_or(gone + own / 32u, all);
unsigned own_bits = 0u;
for (unsigned k = 0; k < 8u; ++k) {
  const unsigned other = part * 8u + k;
  if (other > own && first + other < length &&
      overlap(c, s, corners[other], sizes[other], most, box, boxes + $ORDER[start + first + other] * 4u))
    own_bits |= 1u << k;
}
reinterpret_cast<unsigned char*>(rows)[own * 8u + part] = (unsigned char)own_bits;
)";

const char kWrite[] = R"(
__shared__ int sums[8];
int before = 0;
for (unsigned k = threadIdx.x; k < blockIdx.x; k += 256u) before += $TAKEN[k];
before = reduce_block<256>(before, Sum(), sums);
const int own = blockIdx.x < $LISTS ? $TAKEN[blockIdx.x] : 0;
if (blockIdx.x + 1u == gridDim.x && threadIdx.x == 0) *$COUNT = before + own;
for (int k = threadIdx.x; k < own; k += 256) {
  long long* const to = $Y + (long long)(before + k) * 3;
  to[0] = blockIdx.x / $CLASSES;
  to[1] = blockIdx.x % $CLASSES;
  to[2] = $RESULT;
}
)";

}  // namespace tenon::cuda::nms
