#include "ops/common/recurrent.h"

#include <algorithm>
#include <cmath>

namespace tenon {

std::vector<AttrSpec> recurrent_attrs(std::vector<AttrSpec> own) {
  std::vector<AttrSpec> all = {{"direction", "forward"},
                               {"layout", int64_t(0)},
                               optional_attr("hidden_size", AttrKind::i),
                               optional_attr("clip", AttrKind::f),
                               optional_attr("activations", AttrKind::strings),
                               optional_attr("activation_alpha", AttrKind::floats),
                               optional_attr("activation_beta", AttrKind::floats)};
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

const CellKind& cell_kind(std::string_view op) {
  static const CellKind rnn{1, {"Tanh"}}, gru{3, {"Sigmoid", "Tanh"}}, lstm{4, {"Sigmoid", "Tanh", "Tanh"}};
  return op == "LSTM" ? lstm : op == "GRU" ? gru : rnn;
}

Result<int64_t> recurrent_directions(const Attrs& attrs) {
  const std::string& d = attrs.s("direction");
  if (d == "forward" || d == "reverse") return 1;
  if (d == "bidirectional") return 2;
  return invalid_model("attribute 'direction' cannot be '", d, "'");
}

Result<std::vector<Activation>> recurrent_activations(const Attrs& attrs, const CellKind& kind, int64_t dirs) {
  Strings names = attrs.strings("activations");
  if (names.empty())
    for (int64_t d = 0; d < dirs; ++d) names.insert(names.end(), kind.activations.begin(), kind.activations.end());
  const size_t want = kind.activations.size() * size_t(dirs);
  if (names.size() > want && attrs.s("direction") != "bidirectional") names.resize(want);  // some give both directions'
  if (names.size() != want) return invalid_model("has ", names.size(), " activations, ", want, " are needed");
  const Floats &alpha = attrs.floats("activation_alpha"), &beta = attrs.floats("activation_beta");
  size_t next_alpha = 0, next_beta = 0;
  std::vector<Activation> out;
  for (const std::string& name : names) {
    Activation f = TRY(find_activation(name));
    if (activation_parameters(f.kind) >= 1 && next_alpha < alpha.size()) f.alpha = alpha[next_alpha++];
    if (activation_parameters(f.kind) >= 2 && next_beta < beta.size()) f.beta = beta[next_beta++];
    out.push_back(f);
  }
  return out;
}

static Status check_shape(const InferArgs& a, size_t i, const SymShape& want) {
  if (!a.ranked(i)) return {};
  const SymShape& got = a.shape(i);
  bool same = got.size() == want.size();
  for (size_t d = 0; same && d < want.size(); ++d)
    same = !got[d].is_const() || !want[d].is_const() || got[d] == want[d];
  if (same) return {};
  return invalid_model("input '", a.op.inputs[i].name, "' has shape ", to_string(got), ", ", to_string(want), " is needed");
}

Status infer_recurrent(InferArgs& a, const CellKind& kind) {
  const int64_t dirs = TRY(recurrent_directions(a.attrs));
  TRY(recurrent_activations(a.attrs, kind, dirs));
  const int64_t layout = a.attrs.i("layout");
  if (layout != 0 && layout != 1) return invalid_model("attribute 'layout' is ", layout, ", it must be 0 or 1");
  if (a.attrs.has("clip") && !(a.attrs.f("clip") >= 0)) return invalid_model("attribute 'clip' is ", a.attrs.f("clip"));
  for (size_t i : {0, 1, 2})
    if (a.ranked(i) && a.rank(i) != 3) return invalid_model("input '", a.op.inputs[i].name, "' has rank ", a.rank(i), ", not 3");
  const Dim hidden = a.ranked(2)                    ? a.shape(2)[2]
                     : a.attrs.has("hidden_size")   ? Dim(a.attrs.i("hidden_size"))
                                                    : a.fresh("hidden");
  if (a.attrs.has("hidden_size") && hidden.is_const() && !hidden.is(a.attrs.i("hidden_size")))
    return invalid_model("attribute 'hidden_size' is ", a.attrs.i("hidden_size"), ", the weights say ", hidden.to_string());
  const Dim steps = a.ranked(0) ? a.shape(0)[layout ? 1 : 0] : a.fresh("steps");
  const Dim batch = a.ranked(0) ? a.shape(0)[layout ? 0 : 1] : a.fresh("batch");
  const Dim rows = Dim(kind.gates) * hidden;
  if (a.ranked(0)) TRY(check_shape(a, 1, {Dim(dirs), rows, a.shape(0)[2]}));
  TRY(check_shape(a, 2, {Dim(dirs), rows, hidden}));
  TRY(check_shape(a, 3, {Dim(dirs), Dim(2) * rows}));
  TRY(check_shape(a, 4, {batch}));
  const SymShape state = layout ? SymShape{batch, Dim(dirs), hidden} : SymShape{Dim(dirs), batch, hidden};
  TRY(check_shape(a, 5, state));
  TRY(check_shape(a, 6, state));
  TRY(check_shape(a, 7, {Dim(dirs), Dim(3) * hidden}));
  a.set(0, a.dtype(0), layout ? SymShape{batch, steps, Dim(dirs), hidden} : SymShape{steps, Dim(dirs), batch, hidden});
  a.set(1, a.dtype(0), state);
  a.set(2, a.dtype(0), state);
  return {};
}

double CellStep::recur(int64_t row) const {
  double sum = rb[row];
  for (int64_t k = 0; k < hidden; ++k) sum += r[row * hidden + k] * h[k];
  return sum;
}

Status reference_recurrent(RefArgs& a, const CellKind& kind, void (*step)(const CellStep&)) {
  const Tensor& x = a.x(0);
  const bool by_batch = a.attrs.i("layout") != 0;
  const int64_t dirs = TRY(recurrent_directions(a.attrs));
  const std::vector<Activation> act = TRY(recurrent_activations(a.attrs, kind, dirs));
  const int64_t steps = x.dim(by_batch ? 1 : 0), batch = x.dim(by_batch ? 0 : 1), width = x.dim(2);
  const int64_t hidden = a.x(2).dim(2), rows = kind.gates * hidden;
  if (batch == 0 || hidden == 0 || (steps == 0 && a.out.size() == 1)) return {};
  auto doubles = [&](size_t i) { return a.has(i) ? a.x(i).to_doubles() : std::vector<double>(); };
  const std::vector<double> in = x.to_doubles(), w = doubles(1), r = doubles(2), bias = doubles(3), p = doubles(7);
  const std::vector<double> h0 = doubles(5), c0 = doubles(6), zeros(size_t(rows), 0.0);
  std::vector<double> all(a.wants(0) ? size_t(a.y(0).size()) : 0, 0.0);  // steps behind a sequence's end stay 0
  for (int64_t d = 0; d < dirs; ++d) {
    const bool reverse = d == 1 || a.attrs.s("direction") == "reverse";
    const double* wb = bias.empty() ? zeros.data() : bias.data() + d * 2 * rows;
    const double* rb = bias.empty() ? zeros.data() : wb + rows;
    for (int64_t b = 0; b < batch; ++b) {
      int64_t length = steps;
      if (a.has(4)) length = a.x(4).int_at(b);
      if (length < 0 || length > steps) return invalid_argument("sequence length ", length, " is out of range [0, ", steps, "]");
      const int64_t at = (by_batch ? b * dirs + d : d * batch + b) * hidden;
      std::vector<double> h(size_t(hidden), 0.0), c = h, next = h, gates(static_cast<size_t>(rows));
      if (!h0.empty()) std::copy_n(h0.begin() + at, hidden, h.begin());
      if (!c0.empty()) std::copy_n(c0.begin() + at, hidden, c.begin());
      for (int64_t s = 0; s < length; ++s) {
        const int64_t t = reverse ? length - 1 - s : s;
        const double* xt = in.data() + (by_batch ? b * steps + t : t * batch + b) * width;
        for (int64_t g = 0; g < rows; ++g) {
          double sum = wb[g];
          for (int64_t k = 0; k < width; ++k) sum += w[size_t((d * rows + g) * width + k)] * xt[k];
          gates[size_t(g)] = sum;
        }
        step({hidden, gates.data(), r.data() + d * rows * hidden, rb, p.empty() ? nullptr : p.data() + d * 3 * hidden,
              h.data(), c.data(), next.data(), act.data() + size_t(d) * kind.activations.size(),
              a.attrs.has("clip") ? double(a.attrs.f("clip")) : HUGE_VAL, a.attrs});
        h.swap(next);
        if (!all.empty()) {
          const int64_t row = by_batch ? (b * steps + t) * dirs + d : (t * dirs + d) * batch + b;
          std::copy(h.begin(), h.end(), all.begin() + row * hidden);
        }
      }
      if (a.wants(1)) store_doubles(x.dtype(), a.y(1).data(), at, hidden, h.data());
      if (a.wants(2)) store_doubles(x.dtype(), a.y(2).data(), at, hidden, c.data());
    }
  }
  if (!all.empty()) store_doubles(x.dtype(), a.y(0).data(), 0, int64_t(all.size()), all.data());
  return {};
}

}  // namespace tenon
