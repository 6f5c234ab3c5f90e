#include "op_samples.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "ir/infer.h"
#include "ir/verifier.h"

namespace tenon {

static Tensor draw(const SampleInput& s, uint64_t seed) {
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

std::string sample_label(const Op& op, size_t sample, SampleForm form) {
  const char* forms[] = {"", " (no constants)", " (symbolic)"};
  return cat(op.domain.empty() ? "" : op.domain + ".", op.name, " sample ", sample, forms[int(form)]);
}

bool has_form(const Sample& sample, SampleForm form) {
  const auto any = [&](auto test) { return std::any_of(sample.inputs.begin(), sample.inputs.end(), test); };
  switch (form) {
    case SampleForm::constants: return true;
    case SampleForm::no_constants: return any([](const SampleInput& s) { return !s.values.empty(); });
    case SampleForm::symbolic:
      return any([](const SampleInput& s) { return s.values.empty() && std::any_of(s.shape.begin(), s.shape.end(), [](int64_t d) { return d > 1; }); });
  }
  return false;
}

Result<SampleGraph> sample_graph(const Op& op, size_t sample_index, SampleForm form) {
  const Sample& sample = op.samples[sample_index];
  SampleGraph out;
  Graph& g = out.graph;
  std::vector<ValueId> in, results;
  for (size_t i = 0; i < sample.inputs.size(); ++i) {
    const SampleInput& from = sample.inputs[i];
    const Tensor t = draw(from, sample_index * 16 + i + 1);
    const std::string name = cat("x", i);
    if (!t) {
      in.push_back(kNoValue);
    } else if (form != SampleForm::no_constants && !from.values.empty()) {
      in.push_back(g.add_constant(name, t));
    } else {
      SymShape shape = to_sym(t.shape());
      if (form == SampleForm::symbolic)
        for (Dim& d : shape)
          if (d.constant() > 1) d = Dim::symbol(cat("n", d.constant()));
      in.push_back(g.add_value(name, {t.dtype(), true, shape, Tensor(), std::nullopt}));
      g.inputs.push_back(in.back());
      out.inputs.push_back(t);
    }
  }
  for (size_t i = 0; i < sample.outputs; ++i) results.push_back(g.add_value(cat("y", i)));
  Attrs attrs = sample.attrs;
  TRY(normalize_attrs(op, attrs));
  Node& node = g.add_node(&op, "node", std::move(attrs), std::move(in), std::move(results));
  TRY(infer_node(g, node));
  for (ValueId v : g.nodes[0].outputs) g.add_output(g.value(v).name, v);
  TRY(verify(g));
  return out;
}

// Distance of neighbouring numbers of a type at magnitude m.
static double last_place(DType t, double m) {
  const int digits = t == DType::f64 ? 53 : t == DType::f32 ? 24 : t == DType::f16 ? 11 : t == DType::bf16 ? 8 : t == DType::f8e5m2 || t == DType::f8e5m2fnuz ? 3 : 4;
  return m > 0 ? std::ldexp(1.0, std::ilogb(m) - digits + 1) : 0;
}

std::string difference(const Tolerance& tolerance, const Tensor& got, const Tensor& want) {
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
  const double ulps = bits(want.dtype()) <= 16 ? tolerance.f16 : tolerance.f32;
  const double allowed = ulps * last_place(want.dtype(), largest);
  for (int64_t i = 0; i < want.size(); ++i) {
    const double a = got.at(i), b = want.at(i);
    if (a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= allowed) continue;
    return cat("element ", i, " is ", a, ", expected ", b, ", allowed difference ", allowed);
  }
  return "";
}

}  // namespace tenon
