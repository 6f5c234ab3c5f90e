// com.microsoft's operators on quantised tensors, which import writes as ONNX's; expected values are worked
// out by hand.
#include <gtest/gtest.h>

#include "ir/interpreter.h"
#include "onnx/import.h"
#include "onnx/proto_writer.h"

namespace tenon::onnx {
namespace {

constexpr int kFloat = 1, kUint8 = 2, kInt8 = 3, kInt32 = 6;
using Doubles = std::vector<double>;

template <class T>
std::string raw(const std::vector<T>& v) {
  return {reinterpret_cast<const char*>(v.data()), v.size() * sizeof(T)};
}

Proto scale(std::string_view name, float v) {
  return proto_tensor(name, kFloat, {}, raw<float>({v}));
}
Proto zero(std::string_view name, uint8_t v, int dtype = kUint8) {
  return proto_tensor(name, dtype, {}, raw<uint8_t>({v}));
}

// The outputs of one com.microsoft node; x is its u8 input of this shape, all else are weights.
Tensor run(const Proto& node, const std::vector<int64_t>& shape, const std::vector<int64_t>& x,
           const std::vector<Proto>& weights) {
  const Proto model = proto_model(proto_graph({node}, {proto_value("x", kUint8, shape)}, {"y"}, weights));
  const std::string& b = model.bytes();
  auto m = import_bytes({reinterpret_cast<const uint8_t*>(b.data()), b.size()}, nullptr, "");
  EXPECT_TRUE(m.ok()) << m.status().message();
  if (!m.ok()) return {};
  Tensor input = *Tensor::allocate(DType::u8, shape);
  for (size_t i = 0; i < x.size(); ++i) input.set_int(int64_t(i), x[i]);
  auto out = interpret(m->graph, {input});
  EXPECT_TRUE(out.ok()) << out.status().message();
  return out.ok() ? (*out)[0] : Tensor();
}

Proto node(std::string_view op, const Names& in, const std::vector<Proto>& attrs = {}) {
  Proto n = proto_node(op, in, {"y"}, "com.microsoft");
  for (const Proto& a : attrs) n.message(5, a);
  return n;
}

Proto ints_attr(std::string_view name, const std::vector<int64_t>& v) {
  Proto a = Proto().text(1, name).integer(20, 7);
  for (int64_t i : v) a.integer(8, i);
  return a;
}

TEST(Qlinear, AddQuantisesTheSum) {
  // (10 - 2) * 0.5 + (4 - 0) * 0.25 = 5, at 0.2 is 25, plus 1.
  const Tensor y = run(node("QLinearAdd", {"x", "xs", "xz", "w", "ws", "", "ys", "yz"}), {3}, {10, 2, 255},
                       {scale("xs", 0.5f), zero("xz", 2), proto_tensor("w", kUint8, {1}, raw<uint8_t>({4})),
                        scale("ws", 0.25f), scale("ys", 0.2f), zero("yz", 1)});
  EXPECT_EQ(y.dtype(), DType::u8);
  EXPECT_EQ(y.to_doubles(), (Doubles{26, 6, 255}));
}

TEST(Qlinear, AnAbsentZeroPointKeepsTheType) {
  const Tensor y = run(node("QLinearLeakyRelu", {"x", "xs", "xz", "ys"}), {2}, {10, 4},
                       {scale("xs", 1), zero("xz", 4), scale("ys", 2)});
  EXPECT_EQ(y.dtype(), DType::u8);
  EXPECT_EQ(y.to_doubles(), (Doubles{3, 0}));
}

TEST(Qlinear, ConcatBringsPartsToOneScale) {
  const Tensor y = run(
      node("QLinearConcat", {"ys", "yz", "x", "xs", "xz", "x", "ys", "yz"}, {proto_attr("axis", int64_t(0))}),
      {2}, {6, 8}, {scale("ys", 0.5f), zero("yz", 3), scale("xs", 1), zero("xz", 4)});
  EXPECT_EQ(y.to_doubles(), (Doubles{7, 11, 6, 8}));
}

TEST(Qlinear, GemmWithBiasStaysFloatWithoutAnOutputScale) {
  // x [1, 2] times w [2, 2] whose columns have scales 1 and 2; the bias counts in x_scale * w_scale.
  const std::vector<Proto> weights{scale("xs", 0.5f),
                                   zero("xz", 1),
                                   proto_tensor("w", kInt8, {2, 2}, raw<int8_t>({1, 2, 3, 4})),
                                   proto_tensor("ws", kFloat, {2}, raw<float>({1, 2})),
                                   proto_tensor("wz", kInt8, {2}, raw<int8_t>({0, 1})),
                                   proto_tensor("c", kInt32, {2}, raw<int32_t>({10, 20}))};
  const Tensor y = run(node("QGemm", {"x", "xs", "xz", "w", "ws", "wz", "c"}), {1, 2}, {3, 5}, weights);
  EXPECT_EQ(y.dtype(), DType::f32);
  EXPECT_EQ(y.to_doubles(), (Doubles{(2 * 1 + 4 * 3 + 10) * 0.5, (2 * 1 + 4 * 3 + 20) * 0.5 * 2}));
}

TEST(Qlinear, PoolsTakeChannelsLast) {
  const std::vector<int64_t> x{1, 100, 2, 200,
                               3, 100, 6, 240};  // [1, 2, 2, 2]: two channels beside each other
  const Tensor mean =
      run(node("QLinearGlobalAveragePool", {"x", "s", "z", "s", "z"}, {proto_attr("channels_last", 1)}),
          {1, 2, 2, 2}, x, {scale("s", 1), zero("z", 0)});
  EXPECT_EQ(mean.shape(), (Shape{1, 1, 1, 2}));
  EXPECT_EQ(mean.to_doubles(), (Doubles{3, 160}));
  const Tensor top =
      run(node("NhwcMaxPool", {"x"}, {ints_attr("kernel_shape", {2, 1})}), {1, 2, 2, 2}, x, {});
  EXPECT_EQ(top.shape(), (Shape{1, 1, 2, 2}));
  EXPECT_EQ(top.to_doubles(), (Doubles{3, 100, 6, 240}));
}

}  // namespace
}  // namespace tenon::onnx
