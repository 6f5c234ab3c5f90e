#include "ir/interpreter.h"

#include <gtest/gtest.h>

#include "ir/text.h"

namespace tenon {
namespace {

TEST(Interpreter, BindsSymbolsOfInputs) {
  auto g = parse(R"g(graph "g" (%x: f32[batch, seq]) -> (%d, %s) {
  %d = tenon.Dims() {dims=["batch", "2*seq+1", "7"]}
  %s = tenon.Dims() {dims=["div(seq, 2)"], scalar=1}
})g");
  ASSERT_TRUE(g.ok()) << g.status().to_string();
  auto out = interpret(*g, {Tensor::make(DType::f32, {3, 5})});
  ASSERT_TRUE(out.ok()) << out.status().to_string();
  EXPECT_EQ((*out)[0].to_ints(), (Ints{3, 11, 7}));
  EXPECT_EQ((*out)[1].to_ints(), Ints{2});
  EXPECT_EQ((*out)[1].rank(), 0);
}

TEST(Interpreter, AnUnboundSymbolIsAnError) {
  auto g = parse(R"(graph "g" () -> (%d) { %d = tenon.Dims() {dims=["batch"]} })");
  ASSERT_TRUE(g.ok()) << g.status().to_string();
  EXPECT_EQ(interpret(*g, {}).status().message(), "Dims '': the value of batch is not known");
}

TEST(Interpreter, RunsFusedNodesByTheirBody) {
  const char* text = R"(graph "g" (%x: f32[n], %y: f32[n]) -> (%z) {
  %z: f32[n] = tenon.Fused(%x, %y) {body=graph "body" (%a: f32[n], %b: f32[n]) -> (%r) {
    %s: f32[n] = Add(%a, %b)
    %r: f32[n] = Relu(%s)
  }, kind="pointwise"} "add + relu" from ["add", "relu"]
}
)";
  auto g = parse(text);
  ASSERT_TRUE(g.ok()) << g.status().to_string();
  EXPECT_EQ(print(*g), text);
  auto out = interpret(*g, {Tensor::of_floats(std::vector<double>{1, -3}), Tensor::of_floats(std::vector<double>{1, 1})});
  ASSERT_TRUE(out.ok()) << out.status().to_string();
  EXPECT_EQ((*out)[0].to_doubles(), (std::vector<double>{2, 0}));
}

}  // namespace
}  // namespace tenon
