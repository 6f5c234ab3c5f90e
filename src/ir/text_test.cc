#include "ir/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "ir/interpreter.h"

namespace tenon {
namespace {

constexpr const char* kAll = R"(graph "main" (%x: f32[batch, 2*n+1], %n: i64[], %"odd \"name\"\n": f16[*]) -> (%y "prob", %x) {
  const %W: f32[2, 2] = [1.0, -2.5, inf, nan]
  const %"a:b": i8[3] = [-128, 0, 127]
  const %e: bool[0] = []
  const %big: u64[] = 18446744073709551615
  const %h: bf16[2] = [0.33398438, 1.00025555e+30]
  const %i4: i4[3] = [-8, 7, 1]
  %a: f32[batch, 2*n+1], _ = Dropout(%x) "a name" from ["one", "two \\"]
  %b: f32[batch, 2*n+1] = Softmax(%a) {axis=0} "soft"
  %c: f32[batch, _size_7] = Relu(%b)
  %y: f32[batch, _size_7] = Relu(%c) from ["solo"]
}
)";

std::string round_trip(std::string_view text) {
  auto g = parse(text);
  EXPECT_TRUE(g.ok()) << g.status().to_string();
  return g.ok() ? print(*g) : "";
}

TEST(Text, PrintsWhatItParsed) {
  std::string text = kAll;
  EXPECT_EQ(round_trip(text), text);
  EXPECT_EQ(parse(text)->fresh_symbols, 7);
}

TEST(Text, InfersTypesThatAreLeftOut) {
  EXPECT_EQ(round_trip(R"(
graph "g" (%x: f32[n, 4]) -> (%z) {  // a comment
  const %k: f32[4] = splat 0.5
  %y = Add(%x, %k)
  %z = Concat(%y, %x) {axis=0}
})"),
            R"(graph "g" (%x: f32[n, 4]) -> (%z) {
  const %k: f32[4] = [0.5, 0.5, 0.5, 0.5]
  %y: f32[n, 4] = Add(%x, %k)
  %z: f32[2*n, 4] = Concat(%y, %x) {axis=0}
}
)");
}

TEST(Text, RandomDataIsTheSameEverywhere) {
  auto g = parse("graph \"g\" () -> (%a, %b) { const %a: f32[1000] = random 7 const %b: u8[2] = random 7 }");
  ASSERT_TRUE(g.ok()) << g.status().to_string();
  double sum = 0, squares = 0;
  for (double v : g->constant(0).to_doubles()) sum += v, squares += v * v;
  EXPECT_NEAR(sum / 1000, 0, 0.1);
  EXPECT_NEAR(squares / 1000, 1, 0.1);
  EXPECT_EQ(g->constant(0).at(0), g->constant(0).at(0));
}

TEST(Text, LargeConstantsAreBase64OrInTheTable) {
  auto g = parse("graph \"g\" () -> (%a, %b) { const %a: f32[7, 11] = random 7 const %b: f32[77] = random 7 }");
  ASSERT_TRUE(g.ok());
  const std::string text = print(*g);
  EXPECT_NE(text.find("base64\""), text.npos);
  auto again = parse(text);
  ASSERT_TRUE(again.ok()) << again.status().to_string();
  EXPECT_TRUE(again->constant(0).identical(g->constant(0)));

  g->value(1).info = constant_info(g->constant(0).reshaped({77}));  // shares the buffer
  BlobTable blobs;
  const std::string with_table = print(*g, &blobs);
  EXPECT_EQ(blobs.tensors.size(), 1u);
  auto from_table = parse(with_table, &blobs);
  ASSERT_TRUE(from_table.ok()) << from_table.status().to_string();
  EXPECT_EQ(from_table->constant(1).buffer(), g->constant(0).buffer());
  BlobTable second;
  EXPECT_EQ(print(*from_table, &second), with_table);
  EXPECT_FALSE(parse(with_table).ok());
}

TEST(Text, OddBitsSurvive) {
  Tensor t = Tensor::make(DType::f32, {2});
  const uint32_t bits[2] = {0x7fc12345, 0x80000000};  // a NaN with a payload; minus zero
  std::memcpy(t.data(), bits, 8);
  Graph g;
  g.add_output("y", g.add_constant("y", t));
  auto again = parse(print(g));
  ASSERT_TRUE(again.ok()) << again.status().to_string();
  EXPECT_TRUE(again->constant(0).identical(t));
}

TEST(Text, ErrorsSayWhere) {
  struct Case {
    const char *text, *message;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"", "line 1, column 1: expected 'graph'"},
           {"graph \"g\" (%x: f99[1]) -> () {}", "line 1, column 16: unknown data type 'f99'"},
           {"graph \"g\" (%x: f32[1]) -> (%y) {}", "output %y is not defined"},
           {"graph \"g\" (%x: f32[1]) -> () {\n  %y = Nope(%x)\n}", "line 2, column 8: unknown operator 'Nope'"},
           {"graph \"g\" (%x: f32[1]) -> () {\n  %x = Relu(%x)\n}", "defined twice"},
           {"graph \"g\" (%x: f32[1]) -> () { %y = Relu(%z) }", "%z is not defined"},
           {"graph \"g\" (%x: f32[1]) -> () { %y = Relu(%y) }", "used by the node that defines it"},
           {"graph \"g\" (%x: f32[1]) -> () { %y = Relu(%x) {a=1} }", "has no attribute 'a'"},
           {"graph \"g\" (%x: f32[2], %z: f32[3]) -> () { %y = Add(%x, %z) }", "broadcast"},
           {"graph \"g\" (%x: f32[-1]) -> () {}", "negative dimension"},
           {"graph \"g\" () -> () { const %c: f32[1000000000000] = splat 1.0 }", "too large"},
           {"graph \"g\" () -> () { const %c: f32[1000000000000] = [1.0] }", "too few numbers"},
           {"graph \"g\" () -> () { const %c: f32[1000000000000] = base64\"AAAA\" }", "another size"},
           {"graph \"g\" () -> () { const %c: f32[9000000000, 9000000000] = base64\"AAAA\" }", "another size"},
           {"graph \"g\" () -> () { const %c: f32[1] = #0 }", "no data #0"},
           {"graph \"g\" () -> () { const %c: i8[1] = [128] }", "expected a number of type i8"},
           {"graph \"g\" (%x: f32[1]) -> () {", "found the end"},
       }) {
    auto g = parse(c.text);
    ASSERT_FALSE(g.ok()) << c.text;
    EXPECT_NE(g.status().message().find(c.message), std::string::npos) << g.status().message();
  }
}

TEST(Text, NoPrefixCrashes) {
  const std::string text = kAll;
  for (size_t n = 0; n < text.size(); ++n) EXPECT_FALSE(parse(text.substr(0, n)).ok() && n + 1 < text.size());
  for (size_t n = 0; n < text.size(); ++n)
    for (char c : {'"', '(', '9', '%', '\0'}) {
      std::string damaged = text;
      damaged[n] = c;
      (void)parse(damaged).ok();
    }
}

}  // namespace
}  // namespace tenon
