// Products on the CUDA cores: exact float, double and integers. Each thread sums wm x wn elements, in quads of 4 x 4 that
// are spread over the block's tile so that neighbouring threads read neighbouring words.
#include "backend/cuda/build/families/gemm_frame.h"

namespace tenon::cuda {

Status write_simt(const Product& p, const Tile& t, Program& out) {
  GemmFrame f(p, t);
  KernelWriter& k = f.k;
  const int most = std::min(4, 128 / bits(p.type));
  const auto run = [&](const Matrix& x) { return std::max(1, run_length(x, most)); };
  const LoadSide a{p.a, "a", f.a, "row0", "M", t.bm, run(p.a)}, b{p.b, "b", f.b, "col0", "N", t.bn, run(p.b)};
  std::string body = f.constants() + TRY(f.position());
  body += cat("const int K = ", k.size(p.k), ";\n", f.range());
  body += register_loader(k, a) + register_loader(k, b);
  const bool single = p.epilogue.sum == DType::f32;
  body += fill(R"(constexpr int TM = $TM, TN = $TN, ACROSS = BN / TN, A_PITCH = BM + 4, B_PITCH = BN + 4, STAGE = BK * (A_PITCH + B_PITCH);
const int ty = tid / ACROSS, tx = tid % ACROSS;
T* const ring = reinterpret_cast<T*>(dynamic_shared());
PDL_WAIT;
PDL_LAUNCH;
Acc sums[TM][TN] = {};
if (first_block < last_block) {
fetch_a(first_block);
fetch_b(first_block);
put_a(ring);
put_b(ring + BK * A_PITCH);
}
__syncthreads();
#pragma unroll 1
for (int block = first_block; block < last_block; ++block) {
const bool more = block + 1 < last_block;
if (more) {
fetch_a(block + 1);
fetch_b(block + 1);
}
const T *const a_tile = ring + (block - first_block) % 2 * STAGE, *const b_tile = a_tile + BK * A_PITCH;
UNROLL
for (int step = 0; step < BK; ++step) {
Vec<T, 4> av[TM / 4], bv[TN / 4];
UNROLL
for (int q = 0; q < TM / 4; ++q) av[q] = load_vec<4>(a_tile + step * A_PITCH + q * (BM / (TM / 4)) + ty * 4);
UNROLL
for (int q = 0; q < TN / 4; ++q) bv[q] = load_vec<4>(b_tile + step * B_PITCH + q * (BN / (TN / 4)) + tx * 4);
UNROLL
for (int i = 0; i < TM; ++i) {
UNROLL
for (int j = 0; j < TN; ++j) sums[i][j] = $MULTIPLY;
}
}
if (more) {
T* const next = ring + (block + 1 - first_block) % 2 * STAGE;
put_a(next);
put_b(next + BK * A_PITCH);
}
__syncthreads();
}
// The sums leave through shared memory, so that rows are stored in whole vectors.
constexpr int SLABS = TM / 4, SLAB = BM / SLABS, PITCH = BN + 8;
Acc* const tile = reinterpret_cast<Acc*>(ring);
UNROLL
for (int slab = 0; slab < SLABS; ++slab) {
if (slab > 0) __syncthreads();
UNROLL
for (int i = 0; i < 4; ++i) {
UNROLL
for (int q = 0; q < TN / 4; ++q) {
Acc* const to = tile + (ty * 4 + i) * PITCH + q * (BN / (TN / 4)) + tx * 4;
UNROLL
for (int j = 0; j < 4; ++j) to[j] = sums[slab * 4 + i][q * 4 + j];
}
}
__syncthreads();
)", {{"TM", cat(t.wm)}, {"TN", cat(t.wn)},
     {"MULTIPLY", single ? "fused_multiply_add(av[i / 4].v[i % 4], bv[j / 4].v[j % 4], sums[i][j])"
                         : "Acc(av[i / 4].v[i % 4]) * Acc(bv[j / 4].v[j % 4]) + sums[i][j]"}});
  body += TRY(f.finish_tile("SLAB", "row0 + slab * SLAB + r")) + "}\n";
  f.add_to(out, std::move(body));
  return {};
}

}  // namespace tenon::cuda
