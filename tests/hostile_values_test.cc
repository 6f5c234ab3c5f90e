// Sizes, indices and axes that are only known in the run and do not fit: an error that names the node, on every device.
#include <cmath>

#include "whole.h"

namespace tenon {
namespace {

using namespace whole;

Tensor ints(std::vector<int64_t> v) { return Tensor::of_ints(v); }
Tensor scalar(int64_t v) { return Tensor::scalar_int(v); }
Tensor floats(std::vector<double> v) { return Tensor::of_floats(v); }

struct Case {
  const char* name;
  const char* text;                          // one node called "bad"
  std::vector<Tensor> good;                  // inputs that it takes
  std::vector<std::vector<Tensor>> hostile;  // and those it must refuse
};

constexpr int64_t kHuge = int64_t(1) << 40, kMax = INT64_MAX, kMin = INT64_MIN;

std::vector<Case> cases() {
  const Tensor x = ramp({2, 3}), v = ramp({6});
  return {
      {"Trilu", R"(graph "g" (%x: f32[2, 3], %k: i64[n]) -> (%y) { %y = Trilu(%x, %k) "bad" })", {x, ints({1})}, {{x, ints({})}, {x, ints({1, 2})}}},
      {"Slice", R"(graph "g" (%x: f32[2, 3], %s: i64[n], %e: i64[m], %a: i64[k]) -> (%y) { %y: f32[p, q] = Slice(%x, %s, %e, %a) "bad" })",
       {x, ints({0}), ints({1}), ints({0})},
       {{x, ints({0, 1}), ints({1}), ints({0})}, {x, ints({0}), ints({1, 2}), ints({0})}, {x, ints({0}), ints({1}), ints({7})},
        {x, ints({0}), ints({1}), ints({-9})}, {x, ints({0}), ints({1}), ints({0, 1})}, {x, ints({0, 0}), ints({1, 1}), ints({0, 0})},
        {x, ints({0}), ints({1}), ints({})}, {x, ints({0, 0, 0}), ints({1, 1, 1}), ints({0, 1, 2})}, {x, ints({0}), ints({1}), ints({kMin})}}},
      {"SliceSteps", R"(graph "g" (%x: f32[2, 3], %t: i64[n]) -> (%y) {
         const %s: i64[1] = [0] const %e: i64[1] = [2] const %a: i64[1] = [1] %y: f32[p, q] = Slice(%x, %s, %e, %a, %t) "bad" })",
       {x, ints({1})}, {{x, ints({0})}, {x, ints({})}, {x, ints({1, 1})}}},
      {"Gather", R"(graph "g" (%x: f32[2, 3], %i: i64[n]) -> (%y) { %y = Gather(%x, %i) "bad" })", {x, ints({0, -2, 1})},
       {{x, ints({2})}, {x, ints({-3})}, {x, ints({kMax})}, {x, ints({kMin})}, {x, ints({0, 1, 0, kHuge})}}},
      {"GatherElements", R"(graph "g" (%x: f32[6], %i: i64[n]) -> (%y) { %y = GatherElements(%x, %i) "bad" })", {v, ints({5, -6})},
       {{v, ints({6})}, {v, ints({-7})}, {v, ints({kMin})}}},
      {"GatherND", R"(graph "g" (%x: f32[2, 3], %i: i64[1, n]) -> (%y) { %y: f32[*] = GatherND(%x, %i) "bad" })", {x, ints({1, 2}).reshaped({1, 2})},
       {{x, ints({2, 0}).reshaped({1, 2})}, {x, ints({0, -4}).reshaped({1, 2})}, {x, ints({0, 0, 0}).reshaped({1, 3})}, {x, ints({}).reshaped({1, 0})}}},
      {"ScatterND", R"(graph "g" (%x: f32[6], %i: i64[n, 1], %u: f32[m]) -> (%y) { %y = ScatterND(%x, %i, %u) "bad" })",
       {v, ints({1, 2}).reshaped({2, 1}), ramp({2})},
       {{v, ints({1, 6}).reshaped({2, 1}), ramp({2})}, {v, ints({-7}).reshaped({1, 1}), ramp({1})}, {v, ints({1}).reshaped({1, 1}), ramp({2})}}},
      {"ScatterElements", R"(graph "g" (%x: f32[6], %i: i64[n], %u: f32[m]) -> (%y) { %y = ScatterElements(%x, %i, %u) "bad" })", {v, ints({1}), ramp({1})},
       {{v, ints({6}), ramp({1})}, {v, ints({-7}), ramp({1})}, {v, ints({1, 2}), ramp({1})}}},
      {"TopK", R"(graph "g" (%x: f32[6], %k: i64[n]) -> (%y, %i) { %y, %i = TopK(%x, %k) "bad" })", {v, ints({6})},
       {{v, ints({7})}, {v, ints({-1})}, {v, ints({kMax})}, {v, ints({kMin})}, {v, ints({})}, {v, ints({1, 2})}}},
      {"Expand", R"(graph "g" (%x: f32[2, 3], %s: i64[n]) -> (%y) { %y: f32[*] = Expand(%x, %s) "bad" })", {x, ints({4, 1, 3})},
       {{x, ints({-1, 3})}, {x, ints({5, 3})}, {x, ints({kMin, 1, 1})}, {x, ints({kHuge, 1, 1})}, {x, ints({kHuge, kHuge, 1, 1})}, {x, ints({kMax, 2, 3})}}},
      {"OneHot", R"(graph "g" (%i: i64[3], %d: i64[n], %v: f32[m]) -> (%y) { %y: f32[3, k] = OneHot(%i, %d, %v) "bad" })", {ints({0, 1, 2}), ints({4}), ramp({2})},
       {{ints({0, 1, 2}), ints({}), ramp({2})}, {ints({0, 1, 2}), ints({-1}), ramp({2})}, {ints({0, 1, 2}), ints({4}), ramp({1})},
        {ints({0, 1, 2}), ints({4}), ramp({3})}, {ints({0, 1, 2}), ints({4, 4}), ramp({2})}, {ints({0, 1, 2}), ints({kMax}), ramp({2})},
        {ints({0, 1, 2}), ints({kHuge}), ramp({2})}}},
      {"Pad", R"(graph "g" (%x: f32[2, 3], %p: i64[n]) -> (%y) { %y: f32[k, l] = Pad(%x, %p) "bad" })", {x, ints({1, 0, 0, 2})},
       {{x, ints({1, 0, 0})}, {x, ints({})}, {x, ints({1, 0, 0, 0, 0})}, {x, ints({-3, 0, 0, 0})}, {x, ints({kMax, 0, 1, 0})}, {x, ints({kMin, 0, 0, 0})},
        {x, ints({kHuge, kHuge, 0, 0})}}},
      {"PadReflect", R"(graph "g" (%x: f32[2, 3], %p: i64[n]) -> (%y) { %y: f32[k, l] = Pad(%x, %p) {mode="reflect"} "bad" })", {x, ints({1, 0, 0, 2})},
       {{x, ints({1, 0})}, {x, ints({kHuge, 0, 0, 0})}, {x, ints({-9, 0, 0, 0})}}},
      {"PadEmpty", R"(graph "g" (%x: f32[n], %p: i64[2]) -> (%y) { %y: f32[k] = Pad(%x, %p) {mode="edge"} "bad" })", {v, ints({1, 1})},
       {{ramp({0}), ints({1, 1})}}},
      {"PadAxes", R"(graph "g" (%x: f32[2, 3], %p: i64[n], %a: i64[m]) -> (%y) { %y: f32[k, l] = Pad(%x, %p, _, %a) "bad" })", {x, ints({1, 1}), ints({0})},
       {{x, ints({1, 1}), ints({2})}, {x, ints({1, 1}), ints({0, 1})}, {x, ints({1}), ints({0})}, {x, ints({1, 1}), ints({kMin})}}},
      {"Range", R"(graph "g" (%a: i64[], %b: i64[], %d: i64[]) -> (%y) { %y: i64[n] = Range(%a, %b, %d) "bad" })", {scalar(0), scalar(5), scalar(2)},
       {{scalar(0), scalar(5), scalar(0)}, {scalar(kMin), scalar(kMax), scalar(1)}, {scalar(0), scalar(kMax), scalar(1)}}},
      {"RangeFloat", R"(graph "g" (%a: f32[], %b: f32[], %d: f32[]) -> (%y) { %y: f32[n] = Range(%a, %b, %d) "bad" })",
       {Tensor::scalar_float(0), Tensor::scalar_float(2), Tensor::scalar_float(0.5)},
       {{Tensor::scalar_float(0), Tensor::scalar_float(2), Tensor::scalar_float(0)}, {Tensor::scalar_float(0), Tensor::scalar_float(NAN), Tensor::scalar_float(1)},
        {Tensor::scalar_float(0), Tensor::scalar_float(INFINITY), Tensor::scalar_float(1)}, {Tensor::scalar_float(0), Tensor::scalar_float(3e38), Tensor::scalar_float(1)}}},
      {"Tile", R"(graph "g" (%x: f32[2, 3], %r: i64[n]) -> (%y) { %y: f32[*] = Tile(%x, %r) "bad" })", {x, ints({2, 1})},
       {{x, ints({2})}, {x, ints({})}, {x, ints({1, 1, 1})}, {x, ints({-1, 1})}, {x, ints({kMax, 1})}, {x, ints({kHuge, kHuge})}}},
      {"Reshape", R"(graph "g" (%x: f32[2, 3], %s: i64[n]) -> (%y) { %y: f32[*] = Reshape(%x, %s) "bad" })", {x, ints({3, -1})},
       {{x, ints({4, -1})}, {x, ints({-1, -1})}, {x, ints({5})}, {x, ints({-2, 3})}, {x, ints({1, 1, 1, 0})}, {x, ints({})}, {x, ints({kHuge, kHuge})}, {x, ints({kMin})}}},
      {"ConstantOfShape", R"(graph "g" (%s: i64[n]) -> (%y) { %y: f32[*] = ConstantOfShape(%s) "bad" })", {ints({2, 0, 3})},
       {{ints({-1})}, {ints({kMin, 0})}, {ints({kHuge})}, {ints({kHuge, kHuge})}, {ints({kMax, kMax, kMax})}}},
      {"Split", R"(graph "g" (%x: f32[6], %s: i64[2]) -> (%y, %z) { %y: f32[a], %z: f32[b] = Split(%x, %s) "bad" })", {v, ints({2, 4})},
       {{v, ints({2, 5})}, {v, ints({1, 1})}, {v, ints({7, -1})}, {v, ints({kMax, kMax})}, {v, ints({kMin, kMin})}}},
      {"SplitCount", R"(graph "g" (%x: f32[6], %s: i64[n]) -> (%y, %z) { %y: f32[a], %z: f32[b] = Split(%x, %s) "bad" })", {v, ints({2, 4})},
       {{v, ints({6})}, {v, ints({2, 2, 2})}, {v, ints({})}}},
      {"Unsqueeze", R"(graph "g" (%x: f32[2, 3], %a: i64[n]) -> (%y) { %y: f32[*] = Unsqueeze(%x, %a) "bad" })", {x, ints({0, -1})},
       {{x, ints({5})}, {x, ints({-5})}, {x, ints({0, 0})}, {x, ints({kMin})}}},
      {"Squeeze", R"(graph "g" (%x: f32[1, 3], %a: i64[n]) -> (%y) { %y: f32[*] = Squeeze(%x, %a) "bad" })", {ramp({1, 3}), ints({0})},
       {{ramp({1, 3}), ints({1})}, {ramp({1, 3}), ints({4})}, {ramp({1, 3}), ints({kMin})}}},
      {"ReduceSum", R"(graph "g" (%x: f32[2, 3], %a: i64[n]) -> (%y) { %y: f32[*] = ReduceSum(%x, %a) "bad" })", {x, ints({1})},
       {{x, ints({2})}, {x, ints({-3})}, {x, ints({kMin})}}},
      {"CumSum", R"(graph "g" (%x: f32[2, 3], %a: i64[n]) -> (%y) { %y = CumSum(%x, %a) "bad" })", {x, ints({1})},
       {{x, ints({2})}, {x, ints({})}, {x, ints({kMin})}}},
      {"ReverseSequence", R"(graph "g" (%x: f32[2, 3], %l: i64[n]) -> (%y) { %y = ReverseSequence(%x, %l) {batch_axis=0, time_axis=1} "bad" })", {x, ints({2, 3})},
       {{x, ints({4, 1})}, {x, ints({1})}, {x, ints({-1, 1})}}},
      {"Resize", R"(graph "g" (%x: f32[2, 3], %s: i64[n]) -> (%y) { %y: f32[a, b] = Resize(%x, _, _, %s) "bad" })", {x, ints({4, 6})},
       {{x, ints({4})}, {x, ints({-1, 6})}, {x, ints({kHuge, kHuge})}, {x, ints({kMax, 1})}}},
      {"ResizeScales", R"(graph "g" (%x: f32[2, 3], %s: f32[n]) -> (%y) { %y: f32[a, b] = Resize(%x, _, %s) "bad" })", {x, floats({2, 2})},
       {{x, floats({2})}, {x, floats({-1, 2})}, {x, floats({NAN, 2})}, {x, floats({1e30, 2})}, {x, floats({0, 1})}}},
      {"EyeLikeShape", R"(graph "g" (%s: i64[2]) -> (%y) { %e: f32[a, b] = ConstantOfShape(%s) "bad" %y = EyeLike(%e) })", {ints({2, 3})}, {{ints({-2, 3})}, {ints({kHuge, 3})}}},
      {"Compress", R"(graph "g" (%x: f32[6], %c: bool[n]) -> (%y) { %y: f32[k] = Compress(%x, %c) {axis=0} "bad" })", {v, Tensor::of_ints({1, 0, 1}, DType::boolean)},
       {{v, Tensor::of_ints({0, 0, 0, 0, 0, 0, 1}, DType::boolean)}}},
      {"CenterCropPad", R"(graph "g" (%x: f32[2, 3], %s: i64[n]) -> (%y) { %y: f32[*] = CenterCropPad(%x, %s) "bad" })", {x, ints({4, 1})},
       {{x, ints({4})}, {x, ints({-1, 1})}, {x, ints({kHuge, kHuge})}}},
      {"Col2Im", R"(graph "g" (%x: f32[1, 5, 5], %s: i64[n], %b: i64[m]) -> (%y) { %y: f32[*] = Col2Im(%x, %s, %b) "bad" })",
       {ramp({1, 5, 5}), ints({5, 5}), ints({1, 5})},
       {{ramp({1, 5, 5}), ints({5}), ints({1, 5})}, {ramp({1, 5, 5}), ints({-5, 5}), ints({1, 5})}, {ramp({1, 5, 5}), ints({5, 5}), ints({0, 5})},
        {ramp({1, 5, 5}), ints({kHuge, 5}), ints({1, 5})}}},
      {"MaxUnpool", R"(graph "g" (%x: f32[1, 1, 2, 2], %i: i64[1, 1, 2, 2]) -> (%y) { %y: f32[*] = MaxUnpool(%x, %i) {kernel_shape=[2, 2], strides=[2, 2]} "bad" })",
       {ramp({1, 1, 2, 2}), ints({0, 2, 8, 10}).reshaped({1, 1, 2, 2})},
       {{ramp({1, 1, 2, 2}), ints({0, 2, 8, 16}).reshaped({1, 1, 2, 2})}, {ramp({1, 1, 2, 2}), ints({0, 2, 8, -1}).reshaped({1, 1, 2, 2})},
        {ramp({1, 1, 2, 2}), ints({0, 2, 8, kMax}).reshaped({1, 1, 2, 2})}}},
      {"BlackmanWindow", R"(graph "g" (%s: i64[]) -> (%y) { %y: f32[n] = BlackmanWindow(%s) "bad" })", {scalar(4)}, {{scalar(-1)}, {scalar(kHuge)}, {scalar(kMax)}}},
      {"MelWeightMatrix", R"(graph "g" (%n: i64[], %d: i64[]) -> (%y) {
         const %r: i64[] = 8192 const %lo: f32[] = 0.0 const %hi: f32[] = 4096.0 %y: f32[a, b] = MelWeightMatrix(%n, %d, %r, %lo, %hi) "bad" })",
       {scalar(8), scalar(16)}, {{scalar(-1), scalar(16)}, {scalar(8), scalar(-5)}, {scalar(kHuge), scalar(kHuge)}, {scalar(kMax), scalar(kMax)}}},
      {"LoopTrips", R"(graph "g" (%m: i64[n]) -> (%y) { %y = Loop(%m) {body=graph "b" (%i: i64[], %go: bool[]) -> (%on, %t) { %on = Identity(%go) %t = Neg(%i) }} "bad" })",
       {ints({2})}, {{ints({})}, {ints({1, 2})}}},
      {"ScanLengths", R"(graph "g" (%x: f32[n, 3], %z: f32[*]) -> (%y) {
         %y = Scan(%x, %z) {num_scan_inputs=2, scan_input_axes=[0, 1], body=graph "b" (%p: f32[3], %q: f32[*]) -> (%s) { %s = Neg(%p) }} "bad" })",
       {x, ramp({3, 2})}, {{x, ramp({3, 1})}, {x, ramp({3, 3})}, {x, ramp({2})}, {x, ramp({})}}},
      {"IfCondition", R"(graph "g" (%c: bool[n]) -> (%y) { %y = If(%c) {then_branch=graph "t" () -> (%q) { const %q: f32[] = 1.0 }, else_branch=graph "e" () -> (%q) { const %q: f32[] = 2.0 }} "bad" })",
       {Tensor::of_ints({1}, DType::boolean)}, {{Tensor::of_ints({}, DType::boolean)}, {Tensor::of_ints({1, 0}, DType::boolean)}}},
  };
}

// The numbers come through nodes, so that nothing is known of them before they are computed.
std::string computed(std::string text) {
  const size_t begin = text.find('(') + 1, end = text.find(") ->"), body = text.find('{', end) + 1;
  std::string inputs = text.substr(begin, end - begin), before;
  for (size_t at = 0; (at = inputs.find(": i64[", at)) != std::string::npos;) {
    const size_t name = inputs.rfind('%', at);
    const std::string old = inputs.substr(name + 1, at - name - 1);
    size_t close = inputs.find(']', at);
    before += cat(" %", old, " = Neg(%neg_", old, ")");
    inputs.insert(name + 1, "neg_");
    at = close;
  }
  text.insert(body, before);
  return text.replace(begin, end - begin, inputs);
}

std::vector<Tensor> negated(std::vector<Tensor> inputs) {
  for (Tensor& t : inputs) {
    if (t.dtype() != DType::i64) continue;
    Ints v = t.to_ints();
    for (int64_t& i : v) i = int64_t(0 - uint64_t(i));
    t = Tensor::of_ints(v).reshaped(t.shape());
  }
  return inputs;
}

TEST(HostileValues, AreRefusedAndTheNodeIsNamed) {
  for (const char* device : kDevices)
    for (const Case& c : cases())
      for (bool late : {false, true}) {
        SCOPED_TRACE(cat(device, " ", c.name, late ? " computed" : ""));
        const std::string text = late ? computed(c.text) : c.text;
        auto context = open(text, device);
        if (!context) continue;
        auto given = [&](const std::vector<Tensor>& in) { return late ? negated(in) : in; };
        for (size_t k = 0; k < c.hostile.size(); ++k) {
          // Between two hostile runs a good one, which must still be right.
          expect_right(*context, text, given(c.good));
          std::vector<Tensor> out;
          const Status s = context->run(given(c.hostile[k]), out);
          EXPECT_FALSE(s.ok()) << "hostile " << k;
          EXPECT_NE(s.code(), Code::internal) << "hostile " << k << ": " << s.message();
          EXPECT_NE(s.message().find("'bad'"), std::string::npos) << "hostile " << k << ": " << s.message();
        }
      }
}

}  // namespace
}  // namespace tenon
