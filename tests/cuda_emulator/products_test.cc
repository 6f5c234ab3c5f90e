// Products and convolutions on the emulated GPU, of sizes that leave tails everywhere, on chips with and without Hopper's
// instructions.
#include "cuda_emulator/on_emulator.h"
#include "ir/text.h"
#include "passes/pipeline.h"

namespace tenon::emulator {
namespace {

AgreeOptions with(const char* kernel, std::vector<Sizes> sizes = {{}}, const char* target = kDefaultTarget) {
  AgreeOptions o;
  o.kernel = kernel;
  o.sizes = std::move(sizes);
  o.target = target;
  return o;
}

TEST(EmulatedProducts, CopyEngineAndWgmma) {
  // Tails of m, n and k; the epilogue reads a bias and a residual; a batch that only the run knows.
  EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: f16[b, 300, 200], %r: f16[b, 300, 520]) -> (%y) {
    const %w: f16[200, 520] = random 1
    const %c: f16[520] = random 2
    %y: f16[b, 300, 520] = tenon.Fused(%x, %w, %c, %r) {kind="matmul", body=graph "matmul" (%q: f16[b, 300, 200], %w: f16[200, 520], %c: f16[520], %r: f16[b, 300, 520]) -> (%z) {
      %m: f16[b, 300, 520] = MatMul(%q, %w)
      %a: f16[b, 300, 520] = Add(%m, %c)
      %g: f16[b, 300, 520] = Relu(%a)
      %z: f16[b, 300, 520] = Add(%g, %r)
    }}
  })", with("matmul.wgmma.*", {{{"b", 1}}, {{"b", 0}}})));
  // Both operands computed, the right one with its columns together and shared by the outer batch.
  EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%q: bf16[b, 12, 130, 192], %k: bf16[12, 192, 136]) -> (%y) { %y = MatMul(%q, %k) })",
                                 with("matmul.wgmma.*", {{{"b", 1}}})));
}

// Blocks that stay take many tiles; where two groups take them in turn, each skips what the other one multiplies, which may be
// several rounds of the ring.
TEST(EmulatedProducts, TilesOneAfterTheOther) {
  for (const char* variant : {"matmul.wgmma.64x128x64.alt.s8", "matmul.wgmma.128x64x64.alt.s8", "matmul.wgmma.64x64x64.s8"})
    for (int blocks : {1, 2}) {
      AgreeOptions o;
      o.variant = o.kernel = variant;
      o.blocks = blocks;
      EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: f16[300, 1096], %r: f16[300, 136]) -> (%y) {
        const %w: f16[1096, 136] = random 1
        %y: f16[300, 136] = tenon.Fused(%x, %w, %r) {kind="matmul", body=graph "matmul" (%q: f16[300, 1096], %w: f16[1096, 136], %r: f16[300, 136]) -> (%z) {
          %m: f16[300, 136] = MatMul(%q, %w)
          %z: f16[300, 136] = Add(%m, %r)
        }}
      })", o)) << variant << " on " << blocks;
      o.sizes = {{{"b", 3}}, {{"b", 1}}};
      EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: bf16[b, 130, 584]) -> (%y) {
        const %w: bf16[584, 136] = random 1
        %y = MatMul(%x, %w)
      })", o)) << variant << " on " << blocks << ", batches";
    }
}

// What needs nothing but the column is done where the sums are.
TEST(EmulatedProducts, ElementwisePartsByColumn) {
  for (const char* variant : {"matmul.wgmma.64x128x64.alt.s8", "matmul.wgmma.128x192x64.alt.s5", "matmul.wgmma.128x96x64.s7", "matmul.wgmma.128x256x64.s4", "matmul.wgmma.64x32x64.s8"})
    for (const char* type : {"f16", "bf16"})
      for (const char* how : {"", "{approximate=\"tanh\"}"}) {
        AgreeOptions o;
        o.variant = o.kernel = variant;
        std::string text = R"(graph "g" (%x: T[2, 150, 72]) -> (%y) {
          const %w: T[72, 328] = random 1
          const %c: T[328] = random 2
          const %s: T[] = 1.5
          %y: T[2, 150, 328] = tenon.Fused(%x, %w, %c, %s) {kind="matmul", body=graph "matmul" (%q: T[2, 150, 72], %w: T[72, 328], %c: T[328], %s: T[]) -> (%z) {
            %m: T[2, 150, 328] = MatMul(%q, %w)
            %a: T[2, 150, 328] = Add(%m, %c)
            %g: T[2, 150, 328] = Gelu(%a) HOW
            %z: T[2, 150, 328] = Mul(%g, %s)
          }}
        })";
        for (const auto& [from, to] : {std::pair<std::string, std::string>{": T[", cat(": ", type, "[")}, {"HOW", how}})
          for (size_t at; (at = text.find(from)) != text.npos;) text.replace(at, from.size(), to);
        EXPECT_TRUE(agrees_on_emulator(text, o)) << variant << " " << type << how;
      }
}

TEST(EmulatedProducts, PixelsByTheCopyEngine) {
  EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: f16[n, h, w, 136]) -> (%y) {
    const %w: f16[136, 136, 3, 3] = random 1
    const %b: f16[136] = random 2
    %y = Conv(%x, %w, %b) {channels_last=1, pads=[1, 1, 1, 1], strides=[2, 2]}
  })", with("conv.wgmma.*", {{{"n", 2}, {"h", 15}, {"w", 13}}, {{"n", 3}, {"h", 1}, {"w", 2}}, {{"n", 0}, {"h", 9}, {"w", 9}}})));
  EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: f16[n, 17, 17, 128]) -> (%y) {
    const %w: f16[192, 64, 3, 3] = random 1
    %y = Conv(%x, %w) {channels_last=1, group=2, auto_pad="SAME_LOWER", dilations=[2, 1]}
  })", with("conv.wgmma.*", {{{"n", 1}}})));
  // Three dimensions, and a sum in parts.
  EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: bf16[1, 8, 9, 10, 64]) -> (%y) {
    const %w: bf16[96, 64, 3, 3, 3] = random 1
    %y = Conv(%x, %w) {channels_last=1, pads=[1, 1, 1, 1, 1, 1]}
  })", with("conv.wgmma.*.k*")));
}

TEST(EmulatedProducts, TensorCoresWithoutHopper) {
  const char* ampere = "cuda:sm_80";
  EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: f16[b, 2, s, t], %w: f16[b, 2, t, 16]) -> (%y) { %y = MatMul(%x, %w) })",
                                 with("matmul.mma.*", {{{"b", 2}, {"s", 17}, {"t", 23}}, {{"b", 1}, {"s", 1}, {"t", 64}}, {{"b", 2}, {"s", 3}, {"t", 0}}}, ampere)));
  EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: f16[50, 24], %w: f16[30, 50]) -> (%y) {
    const %c: f16[30] = random 3
    %y = Gemm(%x, %w, %c) {transA=1, transB=1, alpha=0.5, beta=2.0}
  })", with("matmul.mma.*", {{}}, ampere)));
  EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: f16[2, 15, 13, 3]) -> (%y) {
    const %w: f16[24, 3, 7, 7] = random 1
    %y = Conv(%x, %w) {channels_last=1, pads=[3, 3, 3, 3], strides=[2, 2]}
  })", with("conv.mma.*", {{}}, ampere)));
  EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: f16[2, 5, 4, 16]) -> (%y) {
    const %w: f16[16, 8, 3, 3] = random 1
    %y = ConvTranspose(%x, %w) {channels_last=1, pads=[1, 1, 1, 1], strides=[2, 2]}
  })", with("conv.mma.*", {{}}, ampere)));
  EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: f16[1, 8, 8, 64]) -> (%y) {
    const %w: f16[64, 4, 3, 3] = random 1
    %y = Conv(%x, %w) {channels_last=1, pads=[1, 1, 1, 1], group=16}
  })", with("conv.mma.*", {{}}, ampere)));
}

// fp16 in, the result widened on the way out; the references round the product before.
TEST(EmulatedProducts, ResultsOfAnotherType) {
  const auto widened = [](const std::string& anchor, const std::string& graph, const char* kernel, const char* target = kDefaultTarget) {
    AgreeOptions o = with(kernel, {{}}, target);
    o.tolerance = {.f32 = 16384};
    Graph g = *parse(cat("graph \"g\" ", graph));
    const Pass& pass = *find_pass("fuse_anchor");
    g = *run_pass(pass, std::move(g), {});
    EXPECT_EQ(g.nodes.size(), 1u) << anchor;
    EXPECT_TRUE(agrees_on_emulator(g, o)) << anchor;
  };
  const std::string product = R"((%x: f16[300, 200], %r: f32[300, 520]) -> (%y) {
    const %w: f16[200, 520] = random 1
    %m = MatMul(%x, %w)
    %c = Cast(%m) {to=1}
    %y = Add(%c, %r)
  })";
  widened("wgmma", product, "matmul.wgmma.*");
  widened("mma", product, "matmul.mma.*", "cuda:sm_80");
  widened("rows", R"((%x: f16[3, 1000]) -> (%y) { const %w: f16[1000, 21] = random 1 %m = MatMul(%x, %w) %y = Cast(%m) {to=1} })", "matmul.rows.*");
  widened("parts", R"((%x: f16[64, 2048]) -> (%y) { const %w: f16[2048, 64] = random 1 %m = MatMul(%x, %w) %y = Cast(%m) {to=1} })", "matmul.*.k*");
  widened("depthwise", R"((%x: f16[2, 9, 7, 40]) -> (%y) {
    const %w: f16[40, 1, 5, 5] = random 1
    %c = Conv(%x, %w) {channels_last=1, pads=[2, 2, 2, 2], group=40}
    %d = Cast(%c) {to=1}
    %y = Relu(%d)
  })", "conv.depthwise.v8*");
}

TEST(EmulatedProducts, SplitSumsAndFewRows) {
  EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: f16[64, 2048]) -> (%y) { const %w: f16[2048, 64] = random 1 %y = MatMul(%x, %w) })", with("matmul.*.k*")));
  EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: f16[3, 1000]) -> (%y) { const %w: f16[1000, 21] = random 1 %y = MatMul(%x, %w) })", with("matmul.rows.*")));
}

TEST(EmulatedProducts, CudaCores) {
  EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: f32[b, 24]) -> (%y) {
    const %w: f32[30, 24] = random 1
    %y = Gemm(%x, %w) {transB=1, alpha=0.5}
  })", with("matmul.simt.*", {{{"b", 1}}, {{"b", 50}}})));
  EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: f64[20, 30], %w: f64[30, 10]) -> (%y) { %y = MatMul(%x, %w) })", with("matmul.simt.*")));
  EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: f32[2, 3, 9, 7], %w: f32[4, 3, 3, 3]) -> (%y) { %y = Conv(%x, %w) {pads=[1, 1, 1, 1]} })", with("conv.simt.*")));
}

TEST(EmulatedProducts, Depthwise) {
  EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: f16[n, 9, w, 40]) -> (%y) {
    const %w: f16[40, 1, 3, 3] = random 1
    const %b: f16[40] = random 2
    %y = Conv(%x, %w, %b) {channels_last=1, pads=[1, 1, 1, 1], strides=[2, 2], group=40}
  })", with("conv.depthwise.*", {{{"n", 1}, {"w", 10}}, {{"n", 2}, {"w", 1}}})));
  EXPECT_TRUE(agrees_on_emulator(R"(graph "g" (%x: f32[2, 9, 10, 6]) -> (%y) {
    const %w: f32[12, 1, 3, 5] = random 1
    %y = Conv(%x, %w) {channels_last=1, auto_pad="SAME_UPPER", group=6, dilations=[1, 2]}
  })", with("conv.depthwise.*")));
}

}  // namespace
}  // namespace tenon::emulator
