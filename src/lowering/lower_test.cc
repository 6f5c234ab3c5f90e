// What lowering promises beyond its results: the order of errors, and signatures.
#include "lowering/lower.h"

#include <gtest/gtest.h>

#include "ir/text.h"
#include "lowering/order.h"
#include "lowering/signature.h"

namespace tenon {
namespace {

std::string signature_of(const char* text, const OptimizationProfile& profile = {}, bool tf32 = false) {
  auto g = parse(text);
  EXPECT_TRUE(g.ok()) << g.status().to_string();
  return signature({*g, g->nodes[0], tf32, &profile, {}});
}

TEST(Signature, NamesDoNotMatterSizesAndAttributesDo) {
  const std::string one = signature_of(R"(graph "a" (%x: f32[2, 8]) -> (%y) { const %w: f32[8, 4] = random 1 %y = MatMul(%x, %w) "one" })");
  EXPECT_EQ(one, "(f32[2, 8], const f32[8, 4]) %2: f32[2, 4] = MatMul(%0, %1)");
  EXPECT_EQ(one, signature_of(R"(graph "b" (%u: f32[2, 8]) -> (%v) { const %k: f32[8, 4] = random 2 %v = MatMul(%u, %k) "two" })"));
  EXPECT_NE(one, signature_of(R"(graph "b" (%u: f32[2, 8], %k: f32[8, 4]) -> (%v) { %v = MatMul(%u, %k) })"));
  EXPECT_NE(one, signature_of(R"(graph "b" (%u: f32[3, 8]) -> (%v) { const %k: f32[8, 4] = random 2 %v = MatMul(%u, %k) })"));
  EXPECT_NE(signature_of(R"(graph "g" (%x: f32[2, 8]) -> (%y) { %y = Softmax(%x) {axis=0} })"), signature_of(R"(graph "g" (%x: f32[2, 8]) -> (%y) { %y = Softmax(%x) })"));
  EXPECT_EQ(signature_of(R"(graph "g" (%x: f32[2]) -> (%y) { %y = Add(%x, %x) })", {}, true), "(f32[2], f32[2]) %1: f32[2] = Add(%0, %0) tf32");
}

TEST(Signature, SizesThatVaryAreThoseOfTheOptimum) {
  OptimizationProfile profile;
  profile.dims["n"] = {1, 4, 9};
  const char* const text = R"(graph "g" (%x: f32[n, 2*n+1, 3]) -> (%y) { %y = Relu(%x) })";
  EXPECT_EQ(signature_of(text, profile), "(f32[~4, ~9, 3]) %1: f32[4, 9, 3] = Relu(%0)");
  auto g = parse(text);
  EXPECT_TRUE(has_sizes({*g, g->nodes[0], false, &profile, {}}));
  profile.dims["n"] = {0, 1, kUnbounded};
  EXPECT_FALSE(has_sizes({*g, g->nodes[0], false, &profile, {}}));
  EXPECT_FALSE(has_sizes({*g, g->nodes[0]}));
}

TEST(Signature, FusedBodiesAreNameless) {
  const char* const body = R"(graph "g" (%x: f32[n, 8]) -> (%y) { const %w: f32[8, 4] = random 1
    %y = tenon.Fused(%x, %w) {kind="matmul", body=graph "NAME" (%a: f32[n, 8], %b: f32[8, 4]) -> (%d) { %c: f32[n, 4] = MatMul(%a, %b) "NAME" %d: f32[n, 4] = Relu(%c) }} })";
  const auto with = [&](const std::string& name) {
    std::string text = body;
    for (size_t at; (at = text.find("NAME")) != text.npos;) text.replace(at, 4, name);
    OptimizationProfile profile;
    profile.dims["n"] = {1, 4, 9};
    return signature_of(text.c_str(), profile);
  };
  EXPECT_EQ(with("one"), with("two"));
  EXPECT_EQ(with("one").find("one"), std::string::npos);
  EXPECT_EQ(with("one").find('\n'), std::string::npos);
  EXPECT_NE(with("one").find("Relu"), std::string::npos);
}

// Refuses nodes named "bad ...", the earlier ones after a while.
class Refusing : public KernelCompiler {
 public:
  std::string target() const override { return "refusing"; }
  KernelAnswer supports(const KernelRequest&) const override { return {true, ""}; }
  Result<KernelImage> compile(const KernelRequest& r) override {
    if (!starts_with(r.node.name, "bad")) return KernelImage{"refusing", "k", "", {}, {}};
    return internal_error("refused");
  }
};

TEST(Lower, TheFirstErrorIsToldWhateverIsDoneFirst) {
  std::string text = "graph \"g\" (%x: f32[2]) -> (%y) {\n  %v0 = Relu(%x) \"good\"\n";
  for (int i = 1; i < 20; ++i) text += cat("  %v", i, " = Neg(%v", i - 1, ") \"bad ", i, "\"\n");
  text += "  %y = Abs(%v19)\n}";
  Compilers compilers;
  compilers.push_back(std::make_unique<Refusing>());
  for (int run = 0; run < 5; ++run) {
    const auto lowered = lower(*parse(text), compilers);
    ASSERT_FALSE(lowered.ok());
    EXPECT_EQ(lowered.status().message(), "Neg 'bad 1': refused");
  }
}

// What decides sizes comes last among what needs as many waits; arithmetic on the sizes comes behind.
TEST(Lower, WaitsForManySizesAtOnce) {
  const auto order = [](const char* text) {
    std::string names;
    for (const Node& n : order_by_waits(*parse(text)).nodes) names += n.outputs.empty() ? "" : n.name;
    return names;
  };
  EXPECT_EQ(order(R"(graph "g" (%x: f32[n], %y: f32[n]) -> (%p, %q, %s, %r) {
    %a: i64[1, u] = NonZero(%x) "a"
    %p: i64[1, u] = Neg(%a) "p"
    %s: i64[2] = tenon.Dims() {dims=["u", "n"]} "s"
    %b: i64[1, v] = NonZero(%y) "b"
    %q: i64[1, v] = Neg(%b) "q"
    %c: i64[2, w] = NonZero(%q) "c"
    %r: f32[n] = Relu(%x) "r"
  })"), "rabpsqc");
  EXPECT_EQ(order(R"(graph "g" (%x: f32[n]) -> (%b) { %a: f32[n] = Neg(%x) "a" %b: f32[n] = Relu(%a) "b" })"), "ab");
}

TEST(Lower, StopsWhenTold) {
  Compilers compilers;
  compilers.push_back(std::make_unique<Refusing>());
  LowerOptions options;
  options.progress = [](int64_t, int64_t) { return false; };
  EXPECT_EQ(lower(*parse(R"(graph "g" (%x: f32[2]) -> (%y) { %y = Relu(%x) })"), compilers, options).status().code(), Code::cancelled);
}

}  // namespace
}  // namespace tenon
