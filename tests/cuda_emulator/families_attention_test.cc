// Attention on an emulated GPU: lengths on both sides of a tile's end, head sizes that are no multiple of anything, masks of
// every shape, rows that see nothing, numbers that are none.
#include "cuda_emulator/family_check.h"

namespace tenon::emulator {
namespace {

constexpr const char* kByHead = R"((%q: $T[b, h, s, 32], %k: $T[b, h, t, 32], %v: $T[b, h, t, 24]) -> (%y) {
  %y = Attention(%q, %k, %v) })";

TEST(CudaAttention, Lengths) {
  const std::vector<Sizes> sizes = {
      {{"b", 2}, {"h", 3}, {"s", 7}, {"t", 17}},  {{"b", 1}, {"h", 1}, {"s", 1}, {"t", 1}},  {{"b", 1}, {"h", 1}, {"s", 64}, {"t", 64}},
      {{"b", 1}, {"h", 1}, {"s", 65}, {"t", 65}}, {{"b", 1}, {"h", 1}, {"s", 5}, {"t", 197}}, {{"b", 0}, {"h", 2}, {"s", 3}, {"t", 3}},
      {{"b", 1}, {"h", 2}, {"s", 3}, {"t", 0}},   {{"b", 1}, {"h", 2}, {"s", 0}, {"t", 3}},  {{"b", 1}, {"h", 1}, {"s", 130}, {"t", 2}}};
  expect_agrees("attention.mma.*", kByHead, {"f16", "bf16"}, sizes);
  expect_agrees("attention.simt.*", kByHead, {"f32"}, sizes);
}

}  // namespace
}  // namespace tenon::emulator
