#include "backend/cuda/build/families/where.h"

namespace tenon::cuda {

static constexpr int kThreads = 512;
// Up to here one block does it all: a second launch would take longer.
static constexpr int64_t kOneBlock = 8192;
static constexpr int64_t kMostBlocks = 1024;

static const char kCount[] = R"(
int found = 0;
for (unsigned i = first + threadIdx.x; i < end; i += $THREADSu) found += $SET;
)";

// What blocks in front have found, and all of them.
static const char kSumUp[] = R"(
int before = 0, all = 0;
for (int b = threadIdx.x; b < $BLOCKS; b += $THREADS) {
  const int found = $FOUND[b];
  all += found;
  if (b < int(blockIdx.x)) before += found;
}
const int total = reduce_block<$THREADS>(all, Sum(), sums);
__syncthreads();
int start = reduce_block<$THREADS>(before, Sum(), sums);
__syncthreads();
)";

static const char kAlone[] = R"($COUNTING
const int total = reduce_block<$THREADS>(found, Sum(), sums);
int start = 0;
__syncthreads();
)";

static const char kStore[] = R"(
if (blockIdx.x == 0 && threadIdx.x == 0) *$COUNT = total;
const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
for (unsigned tile = first; tile < end; tile += $THREADSu) {
  const unsigned i = tile + threadIdx.x;
  const bool set = i < end && $SET;
  const unsigned lanes = ballot(set);
  if (lane == 0) sums[warp] = count_bits(lanes);
  __syncthreads();
  int place = start + count_bits(lanes & ((1u << lane) - 1u));
  for (int w = 0; w < $WARPS; ++w) {
    if (w < warp) place += sums[w];
    start += sums[w];
  }
  if (set) {
    $STORE
  }
  __syncthreads();
}
)";

std::string is_set(DType t, const std::string& pointer) {
  return cat("(", loaded(t, compute_type(t), pointer + "[i]"), " != 0)");
}

Dim find_set(Program& program, const KernelRequest& r, int input, const Dim& size, const Dim& scratch,
             const std::function<std::string(KernelWriter&)>& store) {
  const DType t = type_of(r, size_t(input));
  const bool alone = size.is_const() && size.constant() <= kOneBlock;
  // Each block has a run of elements, a whole number of tiles.
  const Dim tiles = ceil_div(size, kThreads),
            blocks = alone ? Dim(1) : max(Dim(1), min(ceil_div(tiles, 4), Dim(kMostBlocks)));
  const auto begin = [&](KernelWriter& k, Holes& h) {
    h["SIZE"] = unsigned_size(k, size);
    h["THREADS"] = cat(kThreads), h["WARPS"] = cat(kThreads / 32);
    h["SET"] = is_set(t, k.input(input, cat("const ", device_type(t), "*")));
    const Dim run = alone ? size : floor_div(tiles + blocks - Dim(1), blocks) * Dim(kThreads);
    h["RUN"] = unsigned_size(k, run);
    k.body = fill(alone ? "const unsigned first = 0u, end = $SIZE;\n"
                        : "const unsigned first = blockIdx.x * $RUN, end = first < $SIZE && $RUN < $SIZE - "
                          "first ? first + $RUN : $SIZE;\n",
                  h);
  };
  if (!alone) {
    KernelWriter k("count", kThreads);
    Holes h;
    begin(k, h);
    h["FOUND"] = k.scratch(scratch, "int*");
    k.body += fill(cat("__shared__ int sums[$WARPS];", kCount,
                       "const int sum = reduce_block<$THREADS>(found, Sum(), sums);\nif (threadIdx.x == 0) "
                       "$FOUND[blockIdx.x] = sum;\n"),
                   h);
    program.source += k.text();
    program.recipe.launches.push_back(k.launch({blocks}, {kThreads}));
  }
  KernelWriter k("find", kThreads);
  Holes h;
  begin(k, h);
  h["COUNTING"] = fill(kCount, h);
  h["COUNT"] = k.count();
  if (!alone) h["FOUND"] = k.scratch(scratch, "int*"), h["BLOCKS"] = k.size(blocks);
  h["STORE"] = store(k);
  k.body += fill(cat("__shared__ int sums[$WARPS];\n", alone ? kAlone : kSumUp, kStore), h);
  program.source += k.text();
  program.recipe.launches.push_back(k.launch({blocks}, {kThreads}));
  return alone ? Dim(0) : blocks * Dim(4);
}

}  // namespace tenon::cuda
