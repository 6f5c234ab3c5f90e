// What NVRTC makes of the families' text, looked at as machine code: products on the tensor cores where they belong there,
// nothing kept in local memory, no instruction serialised, and blocks whose registers a multiprocessor has.
#include <gtest/gtest.h>

#include "backend/cuda/build/cubin_testing.h"
#include "backend/cuda/build/family.h"
#include "backend/cuda/build/nvrtc.h"
#include "ir/infer.h"
#include "ir/text.h"

namespace tenon::cuda {
namespace {

enum class Unit : uint8_t { none, mma, wgmma };  // what sums the products; none: the CUDA cores

struct Case {
  const char* name;
  const char* graph;     // after `graph "m" `; the last node is asked for
  Unit hopper, others;   // the unit on sm_90a, and on chips without wgmma
  bool tf32 = false;
};

const Case kCases[] = {
    {"matmul_f16", "(%x: f16[4096, 1024]) -> (%y) { const %w: f16[1024, 1024] = splat 1.0 %y = MatMul(%x, %w) }", Unit::wgmma, Unit::mma},
    {"matmul_bf16", "(%x: bf16[b, s, 768]) -> (%y) { const %w: bf16[768, 3072] = splat 1.0 %y = MatMul(%x, %w) }", Unit::wgmma, Unit::mma},
    {"matmul_tf32", "(%x: f32[4096, 768]) -> (%y) { const %w: f32[768, 768] = splat 1.0 %y = MatMul(%x, %w) }", Unit::mma, Unit::mma, true},
    {"matmul_f32", "(%x: f32[4096, 768]) -> (%y) { const %w: f32[768, 768] = splat 1.0 %y = MatMul(%x, %w) }", Unit::none, Unit::none},
    {"matmul_rows_f16", "(%x: f16[1, 4096]) -> (%y) { const %w: f16[4096, 4096] = splat 1.0 %y = MatMul(%x, %w) }", Unit::none, Unit::none},
    {"conv_f16", "(%x: f16[64, 28, 28, 128]) -> (%y) { const %w: f16[128, 128, 3, 3] = splat 1.0 %y = Conv(%x, %w) {channels_last=1, pads=[1, 1, 1, 1]} }", Unit::wgmma, Unit::mma},
    {"conv_bf16", "(%x: bf16[n, 224, 224, 3]) -> (%y) { const %w: bf16[64, 3, 7, 7] = splat 1.0 %y = Conv(%x, %w) {channels_last=1, pads=[3, 3, 3, 3], strides=[2, 2]} }", Unit::mma, Unit::mma},
    {"conv_tf32", "(%x: f32[n, 56, 56, 64]) -> (%y) { const %w: f32[64, 64, 3, 3] = splat 1.0 %y = Conv(%x, %w) {channels_last=1, pads=[1, 1, 1, 1]} }", Unit::mma, Unit::mma, true},
    {"conv_f32", "(%x: f32[n, 56, 56, 64]) -> (%y) { const %w: f32[64, 64, 3, 3] = splat 1.0 %y = Conv(%x, %w) {channels_last=1, pads=[1, 1, 1, 1]} }", Unit::none, Unit::none},
    {"depthwise_f16", "(%x: f16[n, 56, 56, 96]) -> (%y) { const %w: f16[96, 1, 5, 5] = splat 1.0 %y = Conv(%x, %w) {channels_last=1, pads=[2, 2, 2, 2], group=96} }", Unit::none, Unit::none},
    {"depthwise_bf16", "(%x: bf16[n, h, w, 64]) -> (%y) { const %w: bf16[64, 1, 7, 7] = splat 1.0 %y = Conv(%x, %w) {channels_last=1, pads=[3, 3, 3, 3], group=64} }", Unit::none, Unit::none},
    {"resize_f32", "(%x: f32[n, 21, 40, 40]) -> (%y) { const %s: f32[4] = [1.0, 1.0, 8.0, 8.0] %y = Resize(%x, _, %s) {mode=\"linear\"} }", Unit::none, Unit::none},
    {"matmul_widened", "(%x: f16[4096, 768]) -> (%y) { const %w: f16[768, 50257] = splat 1.0 %y: f32[4096, 50257] = tenon.Fused(%x, %w) {kind=\"matmul\", body=graph \"matmul\" (%x: f16[4096, 768], %w: f16[768, 50257]) -> (%z) { %m: f16[4096, 50257] = MatMul(%x, %w) %z: f32[4096, 50257] = Cast(%m) {to=1} }} }", Unit::wgmma, Unit::mma},
    {"pointwise_f16", "(%x: f16[b, 3072]) -> (%y) { %y = Gelu(%x) }", Unit::none, Unit::none},
    {"pointwise_f32", "(%x: f32[b, 3072], %z: f32[3072]) -> (%y) { %y = Add(%x, %z) }", Unit::none, Unit::none},
    {"reduce_f16", "(%x: f16[4, 512, 768]) -> (%y) { const %a: i64[1] = [-1] %y = ReduceMean(%x, %a) }", Unit::none, Unit::none},
    {"softmax_f16", "(%x: f16[b, 12, 384, 384]) -> (%y) { %y = Softmax(%x) }", Unit::none, Unit::none},
    {"softmax_f32", "(%x: f32[64, 16384]) -> (%y) { %y = Softmax(%x) }", Unit::none, Unit::none},
    {"norm_bf16", "(%x: bf16[b, 768], %s: bf16[768], %c: bf16[768]) -> (%y) { %y = LayerNormalization(%x, %s, %c) }", Unit::none, Unit::none},
};

Result<Program> generate(const KernelRequest& r, const Chip& chip) {
  for (const Family* f : families())
    if (f->concerns(r) && f->supports(r, chip).yes) return f->generate(r, chip);
  return make_status(Code::no_kernel, "no family has a kernel");
}

class CudaMachineCode : public ::testing::TestWithParam<std::tuple<Case, const char*>> {};
INSTANTIATE_TEST_SUITE_P(Cases, CudaMachineCode, ::testing::Combine(::testing::ValuesIn(kCases), ::testing::Values("sm_80", "sm_90a", "sm_100")),
                         [](const auto& p) { return cat(std::get<0>(p.param).name, "_", std::get<1>(p.param)); });

TEST_P(CudaMachineCode, IsWhatWasMeant) {
  if (!nvrtc_description().ok()) GTEST_SKIP() << nvrtc_description().status().to_string();
  const auto& [c, chip_name] = GetParam();
  const Chip chip = *chip_of_target(cat("cuda:", chip_name));
  auto g = parse(cat("graph \"m\" ", c.graph));
  ASSERT_TRUE(g.ok()) << g.status().to_string();
  auto program = generate({*g, g->nodes.back(), c.tf32}, chip);
  ASSERT_TRUE(program.ok()) << program.status().to_string();
  auto code = compile_cuda(program->source, chip);
  if (code.status().code() == Code::incompatible) GTEST_SKIP() << code.status().to_string();
  ASSERT_TRUE(code.ok()) << code.status().to_string();
  const std::string what = cat(program->variant, " for ", chip.name);
  EXPECT_EQ(slowness(*code), "") << what;

  const auto kernels = instructions(code->cubin);
  EXPECT_EQ(kernels.size(), code->kernels.size()) << what;
  std::map<int, int> all;
  for (const auto& [kernel, counts] : kernels) {
    EXPECT_FALSE(counts.contains(sass::kLocalLoad) || counts.contains(sass::kLocalStore)) << what << ": " << kernel << " keeps something in local memory";
    for (const auto& [instruction, count] : counts) all[instruction] += count;
  }
  const Unit unit = chip.wgmma ? c.hopper : c.others;
  EXPECT_EQ(all.contains(sass::kHgmma), unit == Unit::wgmma) << what;
  EXPECT_EQ(all.contains(sass::kHmma), unit == Unit::mma) << what;
  EXPECT_FALSE(all.contains(sass::kImma) || all.contains(sass::kIgmma)) << what;
  if (std::string(c.name) == "matmul_f32" || std::string(c.name) == "conv_f32") {
    EXPECT_TRUE(all.contains(sass::kFfma)) << what;
  }

  for (const KernelLaunch& l : program->recipe.launches) {
    int64_t threads = 1;
    for (const Dim& d : l.block) threads *= d.is_const() ? d.constant() : 1;
    for (const KernelStats& k : code->kernels) {
      if (k.kernel != l.kernel) continue;
      EXPECT_LE((k.registers + 7) / 8 * 8 * ((threads + 31) / 32 * 32), chip.registers_per_sm) << what << ": " << k.kernel;
    }
  }
}

// The reader itself: a kernel that needs more registers than it may have.
TEST(CudaMachineCode, LocalMemoryIsSeen) {
  if (!nvrtc_description().ok()) GTEST_SKIP() << nvrtc_description().status().to_string();
  const Chip chip = *chip_of_target("cuda:sm_80");
  auto code = compile_cuda("extern \"C\" __global__ void __launch_bounds__(1024, 2) f(float* p) {\n"
                           "  float v[200];\n"
                           "  UNROLL for (int i = 0; i < 200; ++i) v[i] = p[i];\n"
                           "  for (int k = 0; k < 9; ++k) UNROLL for (int i = 0; i < 200; ++i) v[i] = v[i] * v[(i * 7 + 1) % 200] + p[k];\n"
                           "  UNROLL for (int i = 0; i < 200; ++i) p[i] = v[i];\n"
                           "}\n", chip);
  ASSERT_TRUE(code.ok()) << code.status().to_string();
  const auto kernels = instructions(code->cubin);
  ASSERT_TRUE(kernels.contains("f"));
  EXPECT_TRUE(kernels.at("f").contains(sass::kLocalLoad) && kernels.at("f").contains(sass::kLocalStore));
  EXPECT_TRUE(kernels.at("f").contains(sass::kFfma));
  EXPECT_TRUE(instructions("no cubin").empty());
}

}  // namespace
}  // namespace tenon::cuda
