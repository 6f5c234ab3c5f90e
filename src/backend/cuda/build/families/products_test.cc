// Products and convolutions: which kernel they get, what is packed, and that NVRTC compiles every way of cutting them
// without spilled registers or serialised instructions. Numbers are compared on the emulated GPU.
#include <gtest/gtest.h>

#include "backend/cuda/build/families/pack.h"
#include "backend/cuda/build/families/tiles.h"
#include "backend/cuda/build/nvrtc.h"
#include "ir/text.h"

namespace tenon::cuda {

extern const Family kMatMul, kConv;

namespace {

const Chip kHopper = *chip_of_target("cuda:sm_90a");
const Chip kAmpere = *chip_of_target("cuda:sm_80");

struct Case {
  const char* kind;      // how the variant begins; "" where there is to be no kernel
  const char* absorbed;  // the inputs that are packed
  const char* graph;
  const Chip* chip = &kHopper;
  bool tf32 = false;
};

const Case kCases[] = {
    // Large products with constant weights go to the copy engine, on chips that have one.
    {"matmul.wgmma.", "1", "(%x: f16[4096, 1024]) -> (%y) { const %w: f16[1024, 1024] = splat 1.0 %y = MatMul(%x, %w) }"},
    {"matmul.mma.", "1", "(%x: f16[4096, 1024]) -> (%y) { const %w: f16[1024, 1024] = splat 1.0 %y = MatMul(%x, %w) }", &kAmpere},
    // Symbolic rows; both operands computed, the right one with its columns together.
    {"matmul.wgmma.", "1", "(%x: bf16[b, s, 768]) -> (%y) { const %w: bf16[768, 3072] = splat 1.0 %y = MatMul(%x, %w) }"},
    {"matmul.wgmma.", "", "(%x: f16[4, 16, 512, 512], %w: f16[4, 16, 512, 128]) -> (%y) { %y = MatMul(%x, %w) }"},
    // Sizes that nothing is known of, rows that start anywhere, a transposed left operand.
    {"matmul.mma.", "", "(%x: f16[b, 12, s, t], %w: f16[b, 12, t, 64]) -> (%y) { %y = MatMul(%x, %w) }"},
    {"matmul.mma.", "1", "(%x: f16[512, 1021]) -> (%y) { const %w: f16[1021, 512] = splat 1.0 %y = MatMul(%x, %w) }"},
    {"matmul.mma.", "", "(%x: f16[512, 1024], %w: f16[64, 512]) -> (%y) { %y = Gemm(%x, %w) {transA=1, transB=1, alpha=0.5} }"},
    // A few rows.
    {"matmul.rows.", "1", "(%x: f16[1, 4096]) -> (%y) { const %w: f16[4096, 4096] = splat 1.0 %y = MatMul(%x, %w) }"},
    {"matmul.rows.", "1", "(%x: f32[3, 512], %c: f32[3, 1]) -> (%y) { const %w: f32[1000, 512] = splat 1.0 %y = Gemm(%x, %w, %c) {transB=1, beta=2.0} }"},
    // float32 stays exact unless it may be rounded to tf32; other types.
    {"matmul.simt.", "1", "(%x: f32[4096, 768]) -> (%y) { const %w: f32[768, 768] = splat 1.0 %y = MatMul(%x, %w) }"},
    {"matmul.mma.", "1", "(%x: f32[4096, 768]) -> (%y) { const %w: f32[768, 768] = splat 1.0 %y = MatMul(%x, %w) }", &kHopper, true},
    // Where it may, a node can still refuse; convolutions of single channels always do.
    {"matmul.simt.", "1", "(%x: f32[4096, 768]) -> (%y) { const %w: f32[768, 768] = splat 1.0 %y = MatMul(%x, %w) {exact=1} }", &kHopper, true},
    {"matmul.simt.", "1", "(%x: f32[4096, 768]) -> (%y) { const %w: f32[768, 768] = splat 1.0 %y = Gemm(%x, %w) {exact=1} }", &kHopper, true},
    {"conv.mma.", "1", "(%x: f32[8, 28, 28, 128]) -> (%y) { const %w: f32[128, 128, 3, 3] = splat 1.0 %y = Conv(%x, %w) {channels_last=1} }", &kHopper, true},
    {"conv.simt.", "1", "(%x: f32[8, 28, 28, 128]) -> (%y) { const %w: f32[128, 128, 3, 3] = splat 1.0 %y = Conv(%x, %w) {channels_last=1, exact=1} }", &kHopper, true},
    {"conv.simt.", "1", "(%x: f32[8, 32, 28, 28]) -> (%y) { const %w: f32[32, 1, 3, 3] = splat 1.0 %y = Conv(%x, %w) {group=32} }", &kHopper, true},
    {"matmul.simt.", "", "(%x: f64[50, 60], %w: f64[60, 70]) -> (%y) { %y = MatMul(%x, %w) }"},
    {"matmul.simt.", "", "(%x: i32[50, 60], %w: i32[60, 70]) -> (%y) { %y = MatMul(%x, %w) }"},
    {"", "", "(%x: i32[5, 6], %w: i32[6, 7]) -> (%y) { %y = Gemm(%x, %w) {alpha=0.5} }"},
    // Few tiles and a long sum: its parts are added by a second kernel.
    {"matmul.wgmma.", "1", "(%x: f16[64, 8192]) -> (%y) { const %w: f16[8192, 256] = splat 1.0 %y = MatMul(%x, %w) }"},
    // Nothing to do.
    {"matmul.", "1", "(%x: f16[0, 64]) -> (%y) { const %w: f16[64, 64] = splat 1.0 %y = MatMul(%x, %w) }"},
    {"matmul.", "", "(%x: f16[5, 0], %w: f16[0, 64]) -> (%y) { %y = MatMul(%x, %w) }"},
    // Convolutions: pixels by the copy engine, element by element, of any rank, transposed, grouped, channels first.
    {"conv.wgmma.", "1", "(%x: f16[64, 28, 28, 128]) -> (%y) { const %w: f16[128, 128, 3, 3] = splat 1.0 %y = Conv(%x, %w) {channels_last=1, pads=[1, 1, 1, 1]} }"},
    {"conv.wgmma.", "1", "(%x: f16[n, h, w, 128]) -> (%y) { const %w: f16[256, 128, 3, 3] = splat 1.0 %y = Conv(%x, %w) {channels_last=1, pads=[1, 1, 1, 1], strides=[2, 2]} }"},
    {"conv.mma.", "1", "(%x: f16[n, 224, 224, 3]) -> (%y) { const %w: f16[64, 3, 7, 7] = splat 1.0 const %b: f16[64] = splat 1.0 %y = Conv(%x, %w, %b) {channels_last=1, pads=[3, 3, 3, 3], strides=[2, 2]} }"},
    {"conv.simt.", "1", "(%x: f32[n, 56, 56, 64]) -> (%y) { const %w: f32[64, 64, 3, 3] = splat 1.0 %y = Conv(%x, %w) {channels_last=1, pads=[1, 1, 1, 1]} }"},
    {"conv.mma.", "1", "(%x: f16[8, 28, 28, 128]) -> (%y) { const %w: f16[128, 4, 3, 3] = splat 1.0 %y = Conv(%x, %w) {channels_last=1, pads=[1, 1, 1, 1], group=32} }"},
    {"conv.mma.", "1", "(%x: f16[2, 28, 28, 64]) -> (%y) { const %w: f16[64, 32, 4, 4] = splat 1.0 %y = ConvTranspose(%x, %w) {channels_last=1, pads=[1, 1, 1, 1], strides=[2, 2]} }"},
    {"conv.", "1", "(%x: f16[1, 8, 28, 28, 64]) -> (%y) { const %w: f16[64, 64, 3, 3, 3] = splat 1.0 %y = Conv(%x, %w) {channels_last=1} }"},
    {"conv.simt.", "", "(%x: f32[2, 3, 40], %w: f32[8, 3, 5]) -> (%y) { %y = Conv(%x, %w) }"},
    {"conv.depthwise.v8x4", "1", "(%x: f16[n, h, w, 96]) -> (%y) { const %w: f16[96, 1, 3, 3] = splat 1.0 %y = Conv(%x, %w) {channels_last=1, pads=[1, 1, 1, 1], group=96} }"},
    {"conv.depthwise.v1x4", "1", "(%x: f32[n, 30, 30, 6]) -> (%y) { const %w: f32[12, 1, 5, 5] = splat 1.0 %y = Conv(%x, %w) {channels_last=1, group=6} }"},
    {"", "", "(%x: f16[1, 8, 8, 4], %w: f16[4, 4, 3, 3]) -> (%y) { %y = ConvTranspose(%x, %w) {channels_last=1} }"},
};

class CudaProducts : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Cases, CudaProducts, ::testing::ValuesIn(kCases));

TEST_P(CudaProducts, ChooseAndCompile) {
  const Case& c = GetParam();
  auto g = parse(cat("graph \"m\" ", c.graph));
  ASSERT_TRUE(g.ok()) << g.status().to_string() << "\n" << c.graph;
  const KernelRequest r{*g, g->nodes.back(), c.tf32};
  const Family& family = kMatMul.concerns(r) ? kMatMul : kConv;
  ASSERT_TRUE(family.concerns(r));
  const KernelAnswer answer = family.supports(r, *c.chip);
  if (!*c.kind) {
    EXPECT_FALSE(answer.yes);
    EXPECT_NE(answer.reason, "");
    return;
  }
  ASSERT_TRUE(answer.yes) << answer.reason << "\n" << c.graph;
  auto p = family.generate(r, *c.chip);
  ASSERT_TRUE(p.ok()) << p.status().to_string();
  EXPECT_EQ(p->variant.substr(0, std::string(c.kind).size()), c.kind) << p->variant << "\n" << c.graph;
  EXPECT_EQ(p->absorbed_inputs.empty() ? "" : cat(p->absorbed_inputs[0]), c.absorbed);
  EXPECT_EQ(p->data.size(), p->absorbed_inputs.size());
  EXPECT_EQ(family.generate(r, *c.chip)->source, p->source);
  EXPECT_TRUE(Recipe::parse(p->recipe.to_text()).ok());
  if (!nvrtc_description().ok()) GTEST_SKIP() << nvrtc_description().status().to_string();
  auto code = compile_cuda(p->source, *c.chip, {{}, /*refuse_slow=*/true, /*use_disk=*/false});
  EXPECT_TRUE(code.ok()) << p->variant << ": " << code.status().to_string() << "\n" << c.graph;
}

// A product of matrices whose right operand is stored, or computed with its columns together.
Product plain(DType type, int64_t m, int64_t n, int64_t k, bool columns) {
  Product p;
  p.name = "matmul";
  p.type = p.epilogue.out = type;
  p.m = m, p.n = n, p.k = k, p.ldc = n;
  p.a.ld = p.a.k_limit = k;
  p.a.row_limit = m;
  p.b = packed_matrix(packed_layout(type, n, k, columns), 0);
  if (columns) p.b.stored = false, p.b.index = 1;
  return p;
}

TEST(CudaProducts, EveryTileOfHopperCompilesWithoutSpills) {
  if (!nvrtc_description().ok()) GTEST_SKIP() << nvrtc_description().status().to_string();
  for (const bool columns : {false, true}) {
    const Product p = plain(columns ? DType::f16 : DType::bf16, 1000, 1000, 1000, columns);
    int tiles = 0;
    for (const Tile& t : candidate_tiles(p, kHopper)) {
      if (t.kind != Tile::wgmma || (t.splits > 1 && (t.splits != 4 || t.bm != 128)) || !fits(p, t, kHopper)) continue;
      ++tiles;
      Program program;
      ASSERT_TRUE(write_product(p, t, program).ok());
      auto code = compile_cuda(program.source, kHopper, {{}, /*refuse_slow=*/true, /*use_disk=*/false});
      EXPECT_TRUE(code.ok()) << t.to_string() << (columns ? " columns: " : ": ") << code.status().to_string();
      EXPECT_NE(program.source.find("wgmma"), std::string::npos);
    }
    EXPECT_GT(tiles, 15);
  }
}

TEST(CudaProducts, PackedOperandsArePaddedWithZeros) {
  Tensor w = Tensor::make(DType::f16, {3, 5});  // [n][k]
  for (int64_t i = 0; i < 15; ++i) w.set(i, double(i + 1));
  const auto place = [](int64_t, int64_t row, int64_t k) { return row * 5 + k; };
  const Tensor by_rows = *pack_operand(w, 1, 3, 5, false, place), by_columns = *pack_operand(w, 1, 3, 5, true, place);
  EXPECT_EQ(by_rows.shape(), (Shape{1, 3, 8}));
  EXPECT_EQ(by_columns.shape(), (Shape{1, 5, 8}));
  for (int64_t row = 0; row < 3; ++row)
    for (int64_t k = 0; k < 8; ++k) EXPECT_EQ(by_rows.at(row * 8 + k), k < 5 ? double(row * 5 + k + 1) : 0.0);
  for (int64_t k = 0; k < 5; ++k)
    for (int64_t row = 0; row < 8; ++row) EXPECT_EQ(by_columns.at(k * 8 + row), row < 3 ? double(row * 5 + k + 1) : 0.0);
}

TEST(CudaProducts, SmallGroupsAreComputedTogether) {
  // 32 groups of 4 channels: 8 together fill 32 columns, with zeros between strangers.
  auto g = parse("graph \"m\" (%x: f16[1, 8, 8, 128]) -> (%y) { const %w: f16[128, 4, 1, 1] = splat 1.0 %y = Conv(%x, %w) {channels_last=1, group=32} }");
  ASSERT_TRUE(g.ok()) << g.status().to_string();
  auto p = kConv.generate({*g, g->nodes.back()}, kHopper);
  ASSERT_TRUE(p.ok()) << p.status().to_string();
  ASSERT_EQ(p->data[0].shape(), (Shape{4, 32, 32}));
  double sum = 0;
  for (double v : p->data[0].to_doubles()) sum += v;
  EXPECT_EQ(sum, 128 * 4);
  EXPECT_EQ(p->data[0].at(0), 1);
  EXPECT_EQ(p->data[0].at(4), 0);
}

TEST(CudaProducts, WhatGrowsWithTheBatchIsCheckedWhenItIsBound) {
  auto g = parse("graph \"m\" (%x: f16[b, s, 768]) -> (%y) { const %w: f16[768, 768] = splat 1.0 %y = MatMul(%x, %w) }");
  ASSERT_TRUE(g.ok());
  auto p = kMatMul.generate({*g, g->nodes.back()}, kHopper);
  ASSERT_TRUE(p.ok());
  EXPECT_FALSE(p->recipe.below_2g.empty());
  // A constant size beyond 32 bits is counted with 64.
  g = parse("graph \"m\" (%x: f16[3000000, 768]) -> (%y) { const %w: f16[768, 768] = splat 1.0 %y = MatMul(%x, %w) }");
  p = kMatMul.generate({*g, g->nodes.back()}, kHopper);
  ASSERT_TRUE(p.ok());
  EXPECT_NE(p->source.find("using Index = long long"), std::string::npos);
}

TEST(CudaProducts, VariantsAreUnlikeEachOther) {
  struct Offer {
    const Chip* chip;
    bool tf32;
    const char* kinds;  // that must be among them
    const char* graph;
  };
  const Offer offers[] = {
      {&kHopper, false, "wgmma mma .k", "(%x: f16[256, 4096]) -> (%y) { const %w: f16[4096, 512] = splat 1.0 %y = MatMul(%x, %w) }"},
      {&kHopper, false, "wgmma mma rows", "(%x: f16[2, 4096]) -> (%y) { const %w: f16[4096, 512] = splat 1.0 %y = MatMul(%x, %w) }"},
      {&kAmpere, true, "mma", "(%x: f32[512, 512]) -> (%y) { const %w: f32[512, 512] = splat 1.0 %y = MatMul(%x, %w) }"},
      {&kHopper, false, "wgmma mma", "(%x: f16[8, 28, 28, 128]) -> (%y) { const %w: f16[128, 128, 3, 3] = splat 1.0 %y = Conv(%x, %w) {channels_last=1, pads=[1, 1, 1, 1]} }"},
  };
  for (const Offer& o : offers) {
    auto g = parse(cat("graph \"m\" ", o.graph));
    ASSERT_TRUE(g.ok());
    KernelRequest r{*g, g->nodes.back(), o.tf32, nullptr, {}};
    const Family& family = kMatMul.concerns(r) ? kMatMul : kConv;
    const std::vector<KernelVariant> offered = family.variants(r, *o.chip);
    ASSERT_GE(offered.size(), 2u) << o.graph;
    EXPECT_LE(offered.size(), 32u);
    EXPECT_EQ(family.generate(r, *o.chip)->variant, offered[0].name);
    std::set<std::string> names;
    std::string all;
    for (const KernelVariant& v : offered) {
      EXPECT_TRUE(names.insert(v.name).second) << v.name;
      EXPECT_GE(v.estimate, offered[0].estimate) << v.name;
      all += v.name + " ";
      r.variant = v.name;
      auto p = family.generate(r, *o.chip);
      ASSERT_TRUE(p.ok()) << v.name << ": " << p.status().to_string();
      EXPECT_EQ(p->variant, v.name);
    }
    for (const std::string& kind : split(o.kinds, ' ')) EXPECT_NE(all.find(kind), std::string::npos) << kind << " is not among " << all;
    r.variant = "matmul.magic";
    EXPECT_EQ(family.generate(r, *o.chip).status().code(), Code::no_kernel);
  }
}

TEST(CudaProducts, TilesAreChosenForTheProfile) {
  auto g = parse("graph \"m\" (%x: f16[n, 1024]) -> (%y) { const %w: f16[1024, 1024] = splat 1.0 %y = MatMul(%x, %w) }");
  ASSERT_TRUE(g.ok());
  const auto rows_of_tile = [&](const OptimizationProfile* profile) {
    const std::string v = kMatMul.generate({*g, g->nodes.back(), false, profile, {}}, kHopper)->variant;
    return std::atoi(v.c_str() + v.find_first_of("0123456789"));
  };
  OptimizationProfile few, many, unsaid;
  few.dims["n"] = {1, 2, 8192};
  many.dims["n"] = {1, 8192, 8192};
  unsaid.dims["n"] = {0, 1, kUnbounded};
  EXPECT_LT(rows_of_tile(&few), rows_of_tile(&many));
  EXPECT_EQ(rows_of_tile(&unsaid), rows_of_tile(nullptr));
}

}  // namespace
}  // namespace tenon::cuda
