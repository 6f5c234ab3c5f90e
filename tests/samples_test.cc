// Every operator on every device: each sample of the operator book, compiled as a graph of one node, against the
// reference, within the operator's own tolerance.
#include <gtest/gtest.h>

#include <cmath>

#include "backend/compiler.h"
#include "base/random.h"
#include "compiler/compile.h"
#include "ir/infer.h"
#include "ir/interpreter.h"
#include "ir/verifier.h"
#include "runtime/engine.h"

namespace tenon {
namespace {

Tensor draw(const SampleInput& s, uint64_t seed) {
  if (s.absent) return {};
  Tensor t = Tensor::make(s.dtype, s.shape);
  Random random(seed);
  for (int64_t i = 0; i < t.size(); ++i) {
    if (!s.values.empty()) {
      const double v = s.values[size_t(i) % s.values.size()];
      is_float(s.dtype) ? t.set(i, v) : t.set_int(i, int64_t(v));
      continue;
    }
    const double unit = double(random.next() >> 11) / double(uint64_t(1) << 53);
    if (is_float(s.dtype)) t.set(i, s.low + unit * (s.high - s.low));
    else if (s.dtype == DType::boolean) t.set_int(i, unit < 0.5);
    else t.set_int(i, int64_t(std::floor(s.low + unit * (s.high - s.low + 1))));
  }
  return t;
}

// One node; inputs with given values are constants when `constants`, since they are axes, sizes and the like.
Result<Graph> one_node(const Op& op, const Sample& sample, const std::vector<Tensor>& tensors, bool constants,
                       std::vector<Tensor>& inputs) {
  Graph g;
  std::vector<ValueId> in, out;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::string name = cat("x", i);
    if (!tensors[i]) {
      in.push_back(kNoValue);
    } else if (constants && !sample.inputs[i].values.empty()) {
      in.push_back(g.add_constant(name, tensors[i]));
    } else {
      in.push_back(g.add_value(name, {tensors[i].dtype(), true, to_sym(tensors[i].shape()), Tensor(), std::nullopt}));
      g.inputs.push_back(in.back());
      inputs.push_back(tensors[i]);
    }
  }
  for (size_t i = 0; i < sample.outputs; ++i) out.push_back(g.add_value(cat("y", i)));
  Attrs attrs = sample.attrs;
  TRY(normalize_attrs(op, attrs));
  Node& node = g.add_node(&op, "node", std::move(attrs), std::move(in), std::move(out));
  TRY(infer_node(g, node));
  for (ValueId v : g.nodes[0].outputs) g.add_output(g.value(v).name, v);
  TRY(verify(g));
  return g;
}

// Distance of neighbouring numbers of a type at magnitude m.
double last_place(DType t, double m) {
  const int digits = t == DType::f64 ? 53 : t == DType::f32 ? 24 : t == DType::f16 ? 11 : t == DType::bf16 ? 8 : t == DType::f8e5m2 || t == DType::f8e5m2fnuz ? 3 : 4;
  return m > 0 ? std::ldexp(1.0, std::ilogb(m) - digits + 1) : 0;
}

std::string difference(const Op& op, const Tensor& got, const Tensor& want) {
  if (got.dtype() != want.dtype() || got.shape() != want.shape())
    return cat("is ", name(got.dtype()), got.shape(), ", expected ", name(want.dtype()), want.shape());
  if (!is_float(want.dtype())) {
    for (int64_t i = 0; i < want.size(); ++i)
      if (got.int_at(i) != want.int_at(i)) return cat("element ", i, " is ", got.int_at(i), ", expected ", want.int_at(i));
    return "";
  }
  double largest = 0;
  for (int64_t i = 0; i < want.size(); ++i)
    if (std::isfinite(want.at(i))) largest = std::max(largest, std::abs(want.at(i)));
  const double ulps = bits(want.dtype()) <= 16 ? op.tolerance.f16 : op.tolerance.f32;
  const double allowed = ulps * last_place(want.dtype(), largest);
  for (int64_t i = 0; i < want.size(); ++i) {
    const double a = got.at(i), b = want.at(i);
    if (a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= allowed) continue;
    return cat("element ", i, " is ", a, ", expected ", b, ", allowed difference ", allowed);
  }
  return "";
}

class Samples : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Devices, Samples, ::testing::ValuesIn(device_names()), [](auto& p) { return p.param; });

TEST_P(Samples, AgreeWithTheReference) {
  if (Status s = device_state(GetParam()); !s.ok()) GTEST_SKIP() << s.message();
  int compared = 0;
  for (const Op* op : all_ops()) {
    if (!op->deterministic) continue;
    for (size_t k = 0; k < op->samples.size(); ++k)
      for (bool constants : {true, false}) {
        const Sample& sample = op->samples[k];
        const std::string label = cat(op->domain.empty() ? "" : op->domain + ".", op->name, " sample ", k, constants ? "" : " (no constants)");
        std::vector<Tensor> tensors, inputs;
        bool any_values = false;
        for (size_t i = 0; i < sample.inputs.size(); ++i) {
          tensors.push_back(draw(sample.inputs[i], k * 16 + i + 1));
          any_values = any_values || !sample.inputs[i].values.empty();
        }
        if (!constants && !any_values) continue;
        auto g = one_node(*op, sample, tensors, constants, inputs);
        if (!g.ok()) {
          ADD_FAILURE() << label << ": " << g.status().message();
          continue;
        }
        auto want = interpret(*g, inputs);
        if (!want.ok()) {
          ADD_FAILURE() << label << ": the reference fails: " << want.status().message();
          continue;
        }
        BuildOptions options;
        options.device = GetParam();
        options.golden = false;
        auto built = compile_model({*g, 21, ""}, "0", options);
        auto engine = built.ok() ? LoadedEngine::load_bytes(built->bytes, nullptr) : built.status();
        auto context = engine.ok() ? Context::create(*engine, {2}) : engine.status();
        std::vector<Tensor> got;
        Status s = context.ok() ? (*context)->run(inputs, got) : context.status();
        if (!s.ok()) {
          ADD_FAILURE() << label << ": " << s.to_string();
          continue;
        }
        ++compared;
        for (size_t i = 0; i < got.size(); ++i) {
          const std::string d = difference(*op, got[i], (*want)[i]);
          EXPECT_EQ(d, "") << label << ", output " << i;
        }
      }
  }
  EXPECT_GT(compared, 300);
}

TEST(OperatorBook, EveryOperatorHasASample) {
  for (const Op* op : all_ops()) {
    bool body = op->domain == "tenon" || op->name == "Upsample";  // the latter is only rewritten on import
    for (const AttrSpec& a : op->attrs) body = body || a.kind == AttrKind::graph;
    EXPECT_TRUE(body || !op->samples.empty()) << op->name;
  }
}

}  // namespace
}  // namespace tenon
