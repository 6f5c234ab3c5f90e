#include <gtest/gtest.h>

#include "backend/cuda/build/family.h"
#include "backend/cuda/build/nvrtc.h"
#include "ir/text.h"

namespace tenon::cuda {

extern const Family kPointwise;

namespace {

const Chip kHopper = *chip_of_target("cuda:sm_90a");

// The program of the graph's last node, which NVRTC must take where it is installed.
Result<Program> program_of(std::string_view text) {
  auto g = parse(text);
  EXPECT_TRUE(g.ok()) << g.status().to_string();
  if (!g.ok()) return g.status();
  const KernelRequest r{*g, g->nodes.back()};
  EXPECT_TRUE(kPointwise.concerns(r));
  const KernelAnswer answer = kPointwise.supports(r, kHopper);
  if (!answer.yes) return unsupported(answer.reason);
  auto p = kPointwise.generate(r, kHopper);
  if (p.ok() && nvrtc_description().ok()) {
    auto code = compile_cuda(p->source, kHopper, {{}, /*refuse_slow=*/true, /*use_disk=*/false});
    EXPECT_TRUE(code.ok()) << code.status().to_string() << "\n" << p->source;
  }
  return p;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

TEST(CudaPointwise, ContiguousOperandsAreOneLoopOfVectors) {
  auto p = program_of(R"(graph "m" (%x: f16[2, 8, 16], %y: f16[2, 8, 16]) -> (%z) { %z: f16[2, 8, 16] = Add(%x, %y) "add" })");
  ASSERT_TRUE(p.ok()) << p.status().to_string();
  EXPECT_EQ(p->variant, "pointwise.vec8");
  EXPECT_TRUE(has(p->source, "load_vec<8>(in0 + c0 * 8)")) << p->source;
  const KernelLaunch& l = p->recipe.launches.at(0);
  EXPECT_TRUE(l.grid[0].is(1));
  EXPECT_EQ(l.args.size(), 3u);  // no sizes: they stand in the text
  EXPECT_TRUE(p->recipe.below_2g.empty());
}

TEST(CudaPointwise, ATailIsReadAndWrittenInPart) {
  auto p = program_of(R"(graph "m" (%x: f32[7, 3]) -> (%z) { %z: f32[7, 3] = Relu(%x) "r" })");
  ASSERT_TRUE(p.ok());
  EXPECT_EQ(p->variant, "pointwise.vec4");
  EXPECT_TRUE(has(p->source, "load_part<4>(in0 + c0 * 4, 21 - i * 4)")) << p->source;
  EXPECT_TRUE(has(p->source, "store_part(out0 + i * 4, y0, 21 - i * 4)"));
}

TEST(CudaPointwise, SymbolicSizesAreParametersAndGuarded) {
  auto p = program_of(R"(graph "m" (%x: f32[n, 768], %b: f32[768]) -> (%z) { %z: f32[n, 768] = Add(%x, %b) "add" })");
  ASSERT_TRUE(p.ok());
  const Dim rows = Dim::symbol("i0_0");
  EXPECT_EQ(p->recipe.launches[0].grid[0], ceil_div(rows * 192, 256));
  ASSERT_EQ(p->recipe.below_2g.size(), 1u);
  EXPECT_TRUE(has(p->source, "c1 = i % 192")) << p->source;
  EXPECT_EQ(p->recipe.launches[0].args.back().value.to_string(), "192*i0_0");
}

TEST(CudaPointwise, BroadcastOperandsAreReadByStrides) {
  // A value for each channel (splat along the pixels), a scalar (once), a whole tensor.
  auto p = program_of(R"(graph "m" (%x: f32[2, 6, 8, 8], %c: f32[6, 1, 1], %s: f32[]) -> (%z) {
    %z: f32[2, 6, 8, 8] = tenon.Fused(%x, %c, %s) {kind="pointwise", body=graph "b" (%a: f32[2, 6, 8, 8], %d: f32[6, 1, 1], %e: f32[]) -> (%r) {
      %q: f32[2, 6, 8, 8] = Mul(%a, %d)
      %r: f32[2, 6, 8, 8] = Add(%q, %e)
    }} "f"
  })");
  ASSERT_TRUE(p.ok()) << p.status().to_string();
  EXPECT_TRUE(has(p->source, "s2 = in2[0]")) << p->source;
  EXPECT_TRUE(has(p->source, "x1[u] = in1[c1]")) << p->source;
  EXPECT_TRUE(has(p->source, "x0[u] = load_vec<4>(in0 + c0 * 384 + c1 * 64 + c2 * 4)")) << p->source;
}

TEST(CudaPointwise, AnOddInnermostDimensionIsReadByElements) {
  auto p = program_of(R"(graph "m" (%x: f32[5, 7], %y: f32[7]) -> (%z) { %z: f32[5, 7] = Add(%x, %y) "add" })");
  ASSERT_TRUE(p.ok());
  EXPECT_EQ(p->variant, "pointwise.vec1");
}

TEST(CudaPointwise, SizesThatMayTurnOutToBeOne) {
  auto p = program_of(R"(graph "m" (%x: f32[a, 8], %y: f32[b, 8]) -> (%z) { %z: f32[bcast(a, b), 8] = Add(%x, %y) "add" })");
  ASSERT_TRUE(p.ok()) << p.status().to_string();
}

TEST(CudaPointwise, ConstantsOfOneElementAreNumbersInTheText) {
  auto p = program_of(R"(graph "m" (%x: f32[64]) -> (%z) {
    const %low: f32[] = [0]
    const %high: f32[] = [6]
    %z: f32[64] = Clip(%x, %low, %high) "clip"
  })");
  ASSERT_TRUE(p.ok()) << p.status().to_string();
  EXPECT_EQ(p->absorbed_inputs, (std::vector<int>{1, 2}));
  EXPECT_EQ(p->recipe.launches[0].args.size(), 2u);
  EXPECT_TRUE(has(p->source, "6.0f")) << p->source;
}

TEST(CudaPointwise, SeveralOutputs) {
  auto p = program_of(R"(graph "m" (%x: f32[64]) -> (%y, %z) {
    %y: f32[64], %z: f16[64] = tenon.Fused(%x) {kind="pointwise", body=graph "b" (%a: f32[64]) -> (%q, %r) {
      %q: f32[64] = Exp(%a)
      %r: f16[64] = Cast(%q) {to=10}
    }} "f"
  })");
  ASSERT_TRUE(p.ok()) << p.status().to_string();
  EXPECT_EQ(p->variant, "pointwise.vec4");
  EXPECT_TRUE(has(p->source, "store_vec(out1 + i * 4, y1)")) << p->source;
}

TEST(CudaPointwise, HugeTensorsTakeWideIndicesAndSeveralVectors) {
  auto p = program_of(R"(graph "m" (%x: u8[3000000000]) -> (%z) { %z: u8[3000000000] = BitwiseNot(%x) "n" })");
  ASSERT_TRUE(p.ok()) << p.status().to_string();
  EXPECT_TRUE(has(p->source, "const long long i = first + u * 256"));
  EXPECT_TRUE(has(p->source, "u < 4"));
  EXPECT_EQ(p->variant, "pointwise.vec16");
}

TEST(CudaPointwise, EmptyTensorsAreNotLaunched) {
  auto p = program_of(R"(graph "m" (%x: f32[0, 3]) -> (%z) { %z: f32[0, 3] = Relu(%x) "r" })");
  ASSERT_TRUE(p.ok());
  EXPECT_TRUE(p->recipe.launches[0].grid[0].is(0));
}

TEST(CudaPointwise, SaysWhatItCannotDo) {
  auto p = program_of(R"(graph "m" (%x: u4[16]) -> (%z) { %z: f32[16] = Cast(%x) {to=1} "c" })");
  ASSERT_FALSE(p.ok());
  EXPECT_EQ(p.status().message(), "u4 has no form in device memory");
}

TEST(CudaPointwise, TheTextDoesNotDependOnNames) {
  auto a = program_of(R"(graph "m" (%x: f32[64]) -> (%z) { %z: f32[64] = Relu(%x) "a" })");
  auto b = program_of(R"(graph "n" (%p: f32[64]) -> (%q) { %q: f32[64] = Relu(%p) "b" })");
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->source, b->source);
}

}  // namespace
}  // namespace tenon::cuda
