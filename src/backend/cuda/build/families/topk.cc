// TopK: a block has a row. Short rows are sorted in shared memory. Of longer ones, up to 2048 elements are
// chosen by counting digits, which finds the smallest key that is taken; what is above it is collected and
// sorted. Where more are wanted, or only the run tells how many and nothing bounds them, whole rows are sorted, in
// scratch memory if they must. Of equal keys the lower index comes first.
#include <algorithm>

#include "backend/cuda/build/families/ordering.h"

namespace tenon::cuda {

static bool concerns(const KernelRequest& r) {
  return op_is(r.node, "TopK");
}

static constexpr int64_t kMost = 2048;

// The least power of two that this size is seen not to exceed ("min(300, n)": 512), up to kMost; 0: there is none.
static int bound_of(const Dim& d) {
  for (int p = 1; p <= kMost; p *= 2)
    if (min(d, Dim(p)) == d) return p;
  return 0;
}

// keys[] and at[] hold SLOTS candidates, a power of two; sorted in place, best first.
static const char kSort[] = R"(__syncthreads();
for (int size = 2; size <= $SLOTS; size *= 2)
  for (int step = size / 2; step > 0; step /= 2) {
    for (int i = threadIdx.x; i < $SLOTS / 2; i += $THREADS) {
      const int low = 2 * i - (i & (step - 1)), high = low + step;
      const $K a = keys[low], b = keys[high];
      const bool first = a > b || (a == b && at[low] < at[high]);
      if (first == ((low & size) != 0)) {
        const int t = at[low];
        keys[low] = b, keys[high] = a;
        at[low] = at[high], at[high] = t;
      }
    }
    __syncthreads();
  }
)";

static const char kShort[] = R"(for (int i = threadIdx.x; i < $SLOTS; i += $THREADS) {
  keys[i] = i < $N ? $KEYI : $LOWEST;
  at[i] = i < $N ? i : 0x7fffffff;
}
)";

// Any row: in shared memory if it fits.
static const char kWhole[] = R"(__shared__ $K near_keys[$MOST];
__shared__ int near_at[$MOST];
int slots = 1;
while (slots < $N) slots *= 2;
$K* const keys = slots <= $MOST ? near_keys : $FARKEYS + blockIdx.x * 2u * unsigned($N);
int* const at = slots <= $MOST ? near_at : $FARAT + blockIdx.x * 2u * unsigned($N);
)";

// Finds `limit`, the smallest chosen key, and `rest`, how many of those equal to it are chosen; then
// collects.
static const char kSelect[] = R"(__shared__ int histogram[256], digit, wanted, above, ties[$WARPS];
$U limit = 0;
int rest = $COUNT;
for (int shift = $TOP; shift >= 0; shift -= 8) {
  for (int i = threadIdx.x; i < 256; i += $THREADS) histogram[i] = 0;
  __syncthreads();
  for (int i = threadIdx.x; i < $N; i += $THREADS) {
    const $U key = $U($KEYI) ^ $SIGN;
    if (((key ^ limit) >> shift) >> 8 == 0) atomic_add(histogram + int(key >> shift & 255u), 1);
  }
  __syncthreads();
  if (threadIdx.x < 32) {
    // Lane l has the digits 255 - 8l and the seven below.
    const int high = 255 - 8 * int(threadIdx.x);
    int own = 0;
    for (int j = 0; j < 8; ++j) own += histogram[high - j];
    int before = own;
    for (int lanes = 1; lanes < 32; lanes *= 2) {
      const int other = shuffle_up(before, lanes);
      if (int(threadIdx.x) >= lanes) before += other;
    }
    before -= own;
    if (before < rest && rest <= before + own) {
      int j = 0;
      for (; before + histogram[high - j] < rest; ++j) before += histogram[high - j];
      digit = high - j;
      wanted = rest - before;
    }
  }
  __syncthreads();
  limit |= $U(digit) << shift;
  rest = wanted;
}
for (int i = threadIdx.x; i < $SLOTS; i += $THREADS) keys[i] = $LOWEST, at[i] = 0x7fffffff;
if (threadIdx.x == 0) above = 0;
__syncthreads();
int tied = 0;
for (int start = 0; start < $N; start += $THREADS) {
  const int i = start + int(threadIdx.x);
  const bool live = i < $N;
  const $K key = live ? $KEYI : $LOWEST;
  const $U order = $U(key) ^ $SIGN;
  if (live && order > limit) {
    const int slot = atomic_add(&above, 1);
    keys[slot] = key, at[slot] = i;
  }
  if (tied < rest) {
    // Equal ones in the order of their indices.
    const bool tie = live && order == limit;
    const unsigned all = ballot(tie);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    if (lane == 0) ties[warp] = count_bits(all);
    __syncthreads();
    int place = tied + count_bits(all & ((1u << lane) - 1u));
    for (int w = 0; w < $WARPS; ++w) {
      if (w < warp) place += ties[w];
      tied += ties[w];
    }
    if (tie && place < rest) keys[$COUNT - rest + place] = key, at[$COUNT - rest + place] = i;
    __syncthreads();
  }
}
)";

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const DType t = type_of(r, 0);
  if (key_type(t).empty()) return unsupported("no kernel for ", name(t));
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape& x = dims.in(0);
  if (x.empty()) return unsupported("its input is a scalar");
  const size_t axis = axis_of(r.node.attrs.i("axis"), x.size());
  const auto count = constant_ints(r, 1);
  const Dim chosen = count ? Dim((*count)[0]) : dims.out(0)[axis];
  const ValueId result = r.node.outputs[wanted(r, 0) ? 0 : 1];
  const int bound = bound_of(count ? chosen : r.graph.info(result).shape[axis]);
  Program program;
  TRY(index_with_32_bits(program.recipe, {x}));
  const AxisView v = view_around(x, axis);
  const bool fits = v.n.is_const() && v.n.constant() <= kMost,
             whole = !fits && !bound;
  const int slots = fits ? power_of_two_from(v.n.constant(), int(kMost)) : whole ? int(kMost) : bound;
  const std::string key = key_type(t), invert = r.node.attrs.i("largest") ? "" : "~";
  const bool wide = key != "int";
  // Sorting 64-bit keys in either memory takes too many registers for more threads.
  const int threads = fits ? std::clamp(slots / 2, 32, 512) : whole && wide ? 256 : 512;
  KernelWriter k("topk", threads);
  Holes h{{"K", key},
          {"SLOTS", whole ? "slots" : cat(slots)},
          {"THREADS", cat(threads)},
          {"WARPS", cat(threads / 32)},
          {"COUNT", k.size(chosen)},
          {"MOST", cat(kMost)}};
  h["U"] = wide ? "Wide" : "unsigned", h["SIGN"] = wide ? "(1ull << 63)" : "0x80000000u",
  h["TOP"] = wide ? "56" : "24";
  h["LOWEST"] = wide ? "(long long)(1ull << 63)" : "int(0x80000000u)";
  const std::string type = device_type(t);
  h["T"] = type;
  h["X"] = k.input(0, cat("const ", type, "*"));
  h["N"] = k.size(v.n), h["INNER"] = unsigned_size(k, v.inner);
  h["KEYI"] = invert + key_of(t, fill("x[unsigned(i) * $INNER]", h));
  h["KEEP"] = fill("__shared__ $K keys[$SLOTS];\n__shared__ int at[$SLOTS];\n", h);
  if (whole) {
    // Twice as many as elements hold the next power of two.
    const Dim rows = v.outer * v.inner, room = Dim(2) * rows * v.n;
    TRY(index_with_32_bits(program.recipe, {{room}}));
    h["FARKEYS"] = k.scratch(0, key + "*"), h["FARAT"] = k.scratch(room * Dim(wide ? 8 : 4), "int*");
    program.recipe.scratch = room * Dim(wide ? 12 : 8);
    h["KEEP"] = fill(kWhole, h);
  }
  h["SELECT"] = fill(fits || whole ? kShort : kSelect, h);
  h["SORT"] = fill(kSort, h);
  const std::string values = wanted(r, 0) ? k.output(0, type + "*") : "",
                    indices = wanted(r, 1) ? k.output(1, "long long*") : "";
  h["STORE"] = cat(values.empty() ? "" : values + fill("[to] = x[unsigned(at[i]) * $INNER];\n", h),
                   indices.empty() ? "" : indices + "[to] = at[i];\n");
  k.body = fill(R"($KEEP
const unsigned outer = blockIdx.x / $INNER, column = blockIdx.x - outer * $INNER;
const $T* x = $X + outer * unsigned($N) * $INNER + column;
$SELECT
$SORT
for (int i = threadIdx.x; i < $COUNT; i += $THREADS) {
  const unsigned to = (outer * unsigned($COUNT) + i) * $INNER + column;
  if (at[i] < $N) {
    $STORE
  }
}
)",
                h);
  program.variant = fits ? "topk.sort" : whole ? "topk.whole" : "topk.select";
  program.source = cat(kKeyHelpers, "typedef unsigned long long Wide;\n", k.text());
  program.recipe.launches = {k.launch({v.outer * v.inner * min(chosen, Dim(1))}, {threads})};
  return program;
}

extern const Family kTopK{"topk", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
