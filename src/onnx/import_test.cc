// Import of hand-made models: names, weights, external data, functions, subgraphs, and everything that must be refused.
#include "onnx/import.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "ir/interpreter.h"
#include "onnx/proto_writer.h"

namespace tenon::onnx {
namespace {

constexpr int kFloat = 1, kInt64 = 7, kBoolean = 9;

Result<ImportedModel> import(const Proto& model, const std::string& folder = "") {
  const std::string& b = model.bytes();
  return import_bytes({reinterpret_cast<const uint8_t*>(b.data()), b.size()}, nullptr, folder);
}

std::string error(const Result<ImportedModel>& r) { return r.ok() ? "no error" : r.status().message(); }

void expect_error(const Proto& model, Code code, const std::string& text, const std::string& folder = "") {
  auto r = import(model, folder);
  ASSERT_FALSE(r.ok()) << "expected: " << text;
  EXPECT_EQ(r.status().code(), code) << error(r);
  EXPECT_NE(error(r).find(text), std::string::npos) << error(r);
}

template <class T>
std::string raw(const std::vector<T>& v) {
  return {reinterpret_cast<const char*>(v.data()), v.size() * sizeof(T)};
}

Tensor run_one(const Proto& model, std::vector<Tensor> inputs) {
  auto m = import(model);
  EXPECT_TRUE(m.ok()) << error(m);
  if (!m.ok()) return {};
  auto out = interpret(m->graph, std::move(inputs));
  EXPECT_TRUE(out.ok()) << out.status().message();
  return out.ok() ? (*out)[0] : Tensor();
}

Tensor floats(const std::vector<double>& v) { return Tensor::of_floats(v); }

TEST(Import, WeightsThatAreAlsoInputsAreConstants) {
  const Proto g = proto_graph({proto_node("Add", {"x", "w"}, {"y"})}, {proto_value("x", kFloat, {2}), proto_value("w", kFloat, {2})},
                              {"y"}, {proto_tensor("w", kFloat, {2}, raw<float>({1, 2}))});
  auto m = import(proto_model(g));
  ASSERT_TRUE(m.ok()) << error(m);
  EXPECT_EQ(m->graph.inputs.size(), 1u);
  EXPECT_EQ(m->producer, "test");
  EXPECT_EQ(run_one(proto_model(g), {floats({10, 20})}).to_doubles(), (std::vector<double>{11, 22}));
}

TEST(Import, OpsetsOutsideTheRangeAreRefused) {
  const Proto g = proto_graph({proto_node("Relu", {"x"}, {"y"})}, {proto_value("x", kFloat, {2})}, {"y"});
  expect_error(proto_model(g, 99), Code::unsupported, "the newest one supported is 28");
  expect_error(proto_model(g, 0), Code::invalid_model, "opset 0");
  expect_error(proto_model(g, -5), Code::invalid_model, "opset -5");
  EXPECT_TRUE(import(proto_model(g, 7)).ok());
}

TEST(Import, UnsupportedNodesAreListedAllAtOnce) {
  Proto named = proto_node("Frobnicate", {"x"}, {"a"});
  named.text(3, "first");
  const Proto g = proto_graph({named, proto_node("Relu", {"a"}, {"b"}), proto_node("Custom", {"b"}, {"y"}, "my.domain")},
                              {proto_value("x", kFloat, {2})}, {"y"});
  auto m = import(proto_model(g));
  ASSERT_FALSE(m.ok());
  EXPECT_EQ(m.status().code(), Code::unsupported);
  for (const char* part : {"2 nodes are not supported", "Frobnicate 'first': no such operator", "my.domain.Custom 'y': custom operator"})
    EXPECT_NE(error(m).find(part), std::string::npos) << error(m);
}

TEST(Import, WrongGraphsSayWhatIsWrong) {
  const Proto x = proto_value("x", kFloat, {2});
  auto model = [&](std::vector<Proto> nodes, Names outputs, std::vector<Proto> weights = {}) {
    return proto_model(proto_graph(nodes, {x}, outputs, weights));
  };
  expect_error(model({proto_node("Relu", {"nope"}, {"y"})}, {"y"}), Code::invalid_model, "Relu 'y': input 'nope' is not computed");
  expect_error(model({proto_node("Relu", {"x"}, {"y"})}, {"z"}), Code::invalid_model, "output 'z' is not computed");
  expect_error(model({proto_node("Relu", {"x"}, {"x"})}, {"x"}), Code::invalid_model, "'x' is defined twice");
  expect_error(model({proto_node("Relu", {"x"}, {"y"})}, {}), Code::invalid_model, "no outputs");
  expect_error(model({proto_node("Relu", {}, {"y"})}, {"y"}), Code::invalid_model, "'X' is missing");
  expect_error(model({proto_node("Relu", {"x"}, {"y", "z"})}, {"y"}), Code::invalid_model, "has 2 outputs");
  expect_error(model({proto_node("Relu", {"x"}, {"y"}).message(5, proto_attr("speed", 3))}, {"y"}), Code::invalid_model, "no attribute 'speed'");
  expect_error(model({proto_node("Concat", {"x"}, {"y"}).message(5, proto_attr("axis", 7))}, {"y"}), Code::invalid_model, "axis 7");
  const Proto w = proto_tensor("w", kFloat, {2}, raw<float>({1, 2}));
  expect_error(model({proto_node("Add", {"x", "w"}, {"y"})}, {"y"}, {w, w}), Code::invalid_model, "two weights are called 'w'");
}

TEST(Import, WrongWeightsSayWhatIsWrong) {
  auto with = [](const Proto& w) {
    return proto_model(proto_graph({proto_node("Add", {"x", "w"}, {"y"})}, {proto_value("x", kFloat, {2})}, {"y"}, {w}));
  };
  expect_error(with(proto_tensor("w", kFloat, {3}, raw<float>({1, 2}))), Code::invalid_model, "has 8 bytes where f32[3] needs 12");
  expect_error(with(proto_tensor("w", kFloat, {-1}, "")), Code::invalid_model, "impossible dimensions");
  expect_error(with(proto_tensor("w", kFloat, {int64_t(1) << 40, int64_t(1) << 40}, "")), Code::invalid_model, "impossible dimensions");
  expect_error(with(proto_tensor("w", 77, {2}, "")), Code::invalid_model, "unknown data type 77");
  expect_error(with(proto_tensor("w", 8, {2}, "")), Code::unsupported, "strings");
  expect_error(with(Proto().integer(1, 1 << 30).integer(2, kFloat).text(8, "w")), Code::invalid_model, "holds 0 values");
  // No elements, strides that overflow: legal, and no memory is asked for.
  auto m = import(with(proto_tensor("w", kFloat, {0, int64_t(1) << 40, int64_t(1) << 40}, "")));
  EXPECT_FALSE(m.ok());
}

TEST(Import, ExternalData) {
  char folder[] = "/tmp/tenon_import_XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string file = std::string(folder) + "/w.bin";
  std::ofstream(file, std::ios::binary) << raw<float>({0, 5, 6});
  auto with = [](std::string_view location, std::string_view offset, int64_t count) {
    auto entry = [](std::string_view k, std::string_view v) { return Proto().text(1, k).text(2, v); };
    Proto w;
    w.integer(1, count).integer(2, kFloat).text(8, "w").message(13, entry("location", location)).message(13, entry("offset", offset));
    w.integer(14, 1);
    return proto_model(proto_graph({proto_node("Add", {"x", "w"}, {"y"})}, {proto_value("x", kFloat, {count})}, {"y"}, {w}));
  };
  auto m = import(with("w.bin", "4", 2), folder);
  ASSERT_TRUE(m.ok()) << error(m);
  auto y = interpret(m->graph, {floats({1, 1})});
  ASSERT_TRUE(y.ok());
  EXPECT_EQ((*y)[0].to_doubles(), (std::vector<double>{6, 7}));

  expect_error(with("w.bin", "4", 3), Code::invalid_model, "needs 12 bytes at 4 of 'w.bin', which has 12", folder);
  expect_error(with("w.bin", "-4", 2), Code::invalid_model, "needs 8 bytes at -4", folder);
  expect_error(with("w.bin", "9223372036854775807", 2), Code::invalid_model, "needs 8 bytes", folder);
  expect_error(with("w.bin", "four", 2), Code::invalid_model, "bad offset", folder);
  expect_error(with(file, "4", 2), Code::invalid_model, "absolute path", folder);
  expect_error(with("../w.bin", "4", 2), Code::invalid_model, "outside the model's folder", folder);
  expect_error(with("a/../../w.bin", "4", 2), Code::invalid_model, "outside the model's folder", folder);
  expect_error(with("", "4", 2), Code::invalid_model, "without a location", folder);
  expect_error(with("none.bin", "4", 2), Code::not_found, "none.bin", folder);
  expect_error(with("w.bin", "4", 2), Code::invalid_model, "as bytes cannot have");
  std::remove(file.c_str());
  std::remove(folder);
}

TEST(Import, FunctionsAreInlinedWithTheirArguments) {
  // scaled(a) {axis} = Concat(a, a, axis); called twice, the second overload doubles.
  const Proto join = proto_function("f", "pair", {"a"}, {"b"}, {proto_node("Concat", {"a", "a"}, {"b"}).message(5, proto_ref("axis", 2, "where"))});
  const Proto twice = proto_function("f", "pair", {"a"}, {"b"}, {proto_node("Add", {"a", "a"}, {"b"})}, "twice");
  const Proto outer = proto_function("f", "outer", {"a"}, {"b"}, {proto_node("pair", {"a"}, {"t"}, "f").message(5, proto_attr("where", 0)),
                                                                  proto_node("pair", {"t"}, {"b"}, "f").text(8, "twice")});
  const Proto g = proto_graph({proto_node("outer", {"x"}, {"y"}, "f")}, {proto_value("x", kFloat, {2})}, {"y"});
  EXPECT_EQ(run_one(proto_model(g, 21, {join, twice, outer}), {floats({1, 2})}).to_doubles(), (std::vector<double>{2, 4, 2, 4}));
}

TEST(Import, FunctionsThatNeverEndAreRefused) {
  const Proto g = proto_graph({proto_node("a", {"x"}, {"y"}, "f")}, {proto_value("x", kFloat, {2})}, {"y"});
  const Proto a = proto_function("f", "a", {"p"}, {"q"}, {proto_node("b", {"p"}, {"q"}, "f")});
  const Proto b = proto_function("f", "b", {"p"}, {"q"}, {proto_node("a", {"p"}, {"q"}, "f")});
  expect_error(proto_model(g, 21, {a, b}), Code::invalid_model, "does one call itself?");
  // No recursion, but each doubles the one before.
  std::vector<Proto> list = {proto_function("f", "f0", {"p"}, {"q"}, {proto_node("Relu", {"p"}, {"q"})})};
  std::vector<std::string> names = {"f0"};
  for (int i = 1; i < 40; ++i) {
    names.push_back("f" + std::to_string(i));
    list.push_back(proto_function("f", names.back(), {"p"}, {"q"}, {proto_node(names[size_t(i) - 1], {"p"}, {"t"}, "f"),
                                                                   proto_node(names[size_t(i) - 1], {"t"}, {"q"}, "f")}));
  }
  const Proto deep = proto_graph({proto_node("f39", {"x"}, {"y"}, "f")}, {proto_value("x", kFloat, {2})}, {"y"});
  expect_error(proto_model(deep, 21, list), Code::invalid_model, "expand to more than");
}

TEST(Import, LoopWithNothingButATripCountCapturesAValue) {
  // Loop(M, _, ) {body: (i, go) -> (go, x + x)}: the capture must not end up in the place of the condition.
  const Proto body = proto_graph({proto_node("Identity", {"go"}, {"on"}), proto_node("Add", {"x", "x"}, {"s"})},
                                 {proto_value("i", kInt64, {}), proto_value("go", kBoolean, {})}, {"on", "s"});
  for (const Names& in : {Names{"m"}, Names{"m", ""}}) {
    const Proto g = proto_graph({proto_node("Loop", in, {"y"}).message(5, proto_attr("body", body))}, {proto_value("x", kFloat, {2})},
                                {"y"}, {proto_tensor("m", kInt64, {}, raw<int64_t>({3}))});
    const Tensor y = run_one(proto_model(g), {floats({1, 2})});
    ASSERT_TRUE(y);
    EXPECT_EQ(y.shape(), (Shape{3, 2}));
    EXPECT_EQ(y.to_doubles(), (std::vector<double>{2, 4, 2, 4, 2, 4}));
  }
}

TEST(Import, ABranchThatCannotWorkIsNoErrorUntilItIsTaken) {
  const Proto good = proto_graph({proto_node("Add", {"x", "x"}, {"t"})}, {}, {"t"});
  const Proto bad = proto_graph({proto_node("Split", {"x", "sizes"}, {"a", "b"}), proto_node("Add", {"a", "b"}, {"e"})}, {}, {"e"},
                                {proto_tensor("sizes", kInt64, {2}, raw<int64_t>({3, -1}))});
  const Proto g = proto_graph({proto_node("If", {"c"}, {"y"}).message(5, proto_attr("then_branch", good)).message(5, proto_attr("else_branch", bad))},
                              {proto_value("x", kFloat, {2}), proto_value("c", kBoolean, {})}, {"y"});
  auto m = import(proto_model(g));
  ASSERT_TRUE(m.ok()) << error(m);
  const Tensor yes = Tensor::scalar_int(1, DType::boolean), no = Tensor::scalar_int(0, DType::boolean);
  auto y = interpret(m->graph, {floats({1, 2}), yes});
  ASSERT_TRUE(y.ok()) << y.status().message();
  EXPECT_EQ((*y)[0].to_doubles(), (std::vector<double>{2, 4}));
  auto taken = interpret(m->graph, {floats({1, 2}), no});
  ASSERT_FALSE(taken.ok());
  EXPECT_NE(taken.status().message().find("Split"), std::string::npos) << taken.status().message();
}

TEST(Import, NestedLoopsEnd) {
  // Each body carries a value whose size changes, so each level needs several rounds of inference.
  Proto body = proto_graph({proto_node("Concat", {"v", "v"}, {"w"}).message(5, proto_attr("axis", 0)), proto_node("Identity", {"go"}, {"on"})},
                           {proto_value("i", kInt64, {}), proto_value("go", kBoolean, {}), proto_value("v", kFloat, {2})}, {"on", "w"});
  for (int depth = 0; depth < 20; ++depth)
    body = proto_graph({proto_node("Loop", {"m", "", "v"}, {"w"}).message(5, proto_attr("body", body)), proto_node("Identity", {"go"}, {"on"})},
                       {proto_value("i", kInt64, {}), proto_value("go", kBoolean, {}), proto_value("v", kFloat, {2})}, {"on", "w"});
  const Proto g = proto_graph({proto_node("Loop", {"m", "", "x"}, {"y"}).message(5, proto_attr("body", body))}, {proto_value("x", kFloat, {2})}, {"y"},
                              {proto_tensor("m", kInt64, {}, raw<int64_t>({1}))});
  auto m = import(proto_model(g));
  EXPECT_TRUE(m.ok()) << error(m);  // and soon
}

TEST(Import, NoPrefixAndNoChangedByteCrashes) {
  const Proto body = proto_graph({proto_node("Identity", {"go"}, {"on"}), proto_node("Add", {"x", "w"}, {"s"})},
                                 {proto_value("i", kInt64, {}), proto_value("go", kBoolean, {})}, {"on", "s"});
  const Proto g = proto_graph({proto_node("Loop", {"m"}, {"l"}).message(5, proto_attr("body", body)), proto_node("pair", {"l"}, {"y"}, "f")},
                              {proto_value("x", kFloat, {2})}, {"y"},
                              {proto_tensor("m", kInt64, {}, raw<int64_t>({3})), proto_tensor("w", kFloat, {2}, raw<float>({1, 2}))});
  const Proto f = proto_function("f", "pair", {"a"}, {"b"}, {proto_node("Concat", {"a", "a"}, {"b"}).message(5, proto_attr("axis", 1))});
  const std::string whole = proto_model(g, 21, {f}).bytes();
  auto try_bytes = [](const std::string& b) {
    return import_bytes({reinterpret_cast<const uint8_t*>(b.data()), b.size()}, nullptr, "").ok();
  };
  ASSERT_TRUE(try_bytes(whole));
  for (size_t n = 0; n < whole.size(); ++n) (void)try_bytes(whole.substr(0, n));
  EXPECT_FALSE(try_bytes(""));
  EXPECT_FALSE(try_bytes(whole.substr(0, whole.size() / 2)));
  for (size_t n = 0; n < whole.size(); ++n)
    for (int bit : {0, 3, 7}) {
      std::string damaged = whole;
      damaged[n] = char(damaged[n] ^ (1 << bit));
      (void)try_bytes(damaged);
    }
}

TEST(Import, GraphsNestedWithoutEndAreRefused) {
  Proto g = proto_graph({}, {}, {});
  for (int i = 0; i < 100; ++i) g = proto_graph({proto_node("If", {"c"}, {"y"}).message(5, proto_attr("then_branch", g))}, {}, {"y"});
  expect_error(proto_model(g), Code::invalid_model, "nested more than 32 deep");
}

}  // namespace
}  // namespace tenon::onnx
