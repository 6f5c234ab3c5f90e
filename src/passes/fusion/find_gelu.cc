#include "passes/fusion/find_gelu.h"

#include <cmath>

#include "passes/known.h"
#include "passes/rewriter.h"

namespace tenon {

namespace {

bool about(double x, double want) { return std::abs(x - want) <= 1e-3 * std::abs(want); }

// A product taken apart: numbers are multiplied up, the rest are factors; x^3 is x three times.
struct Product {
  double number = 1;
  std::vector<ValueId> factors;
};

void take_apart(const Rewriter& r, ValueId v, int depth, Product& p) {
  if (auto c = single_value(r.graph(), v)) {
    p.number *= *c;
    return;
  }
  const Node* n = r.def(v);
  if (n && depth < 4) {
    if (is_op(*n, "Mul")) {
      take_apart(r, n->inputs[0], depth + 1, p);
      take_apart(r, n->inputs[1], depth + 1, p);
      return;
    }
    if (auto c = is_op(*n, "Div") ? single_value(r.graph(), n->inputs[1]) : std::nullopt; c && *c != 0) {
      p.number /= *c;
      take_apart(r, n->inputs[0], depth + 1, p);
      return;
    }
    if (is_op(*n, "Pow"))
      if (auto e = single_value(r.graph(), n->inputs[1]); e && (*e == 2 || *e == 3)) {
        p.factors.insert(p.factors.end(), size_t(*e), n->inputs[0]);
        return;
      }
  }
  p.factors.push_back(v);
}

Product product(const Rewriter& r, ValueId v) {
  Product p;
  take_apart(r, v, 0, p);
  return p;
}

bool is_power(const Product& p, ValueId x, size_t n) {
  return p.factors == std::vector<ValueId>(n, x);
}

// The other side of Add(v, c) for the constant c.
std::optional<ValueId> plus(const Rewriter& r, ValueId v, double c) {
  const Node* n = r.def(v, "Add");
  if (!n) return std::nullopt;
  for (size_t i = 0; i < 2; ++i)
    if (is_about(r.graph(), n->inputs[i], c)) return n->inputs[1 - i];
  return std::nullopt;
}

bool is_erf_part(const Rewriter& r, ValueId v, ValueId x) {
  const Node* erf = r.def(v, "Erf");
  if (!erf) return false;
  const Product p = product(r, erf->inputs[0]);
  return is_power(p, x, 1) && about(p.number, 0.70710678);
}

// sqrt(2/pi) * (x + 0.044715 x^3), also as sqrt(2/pi) * x * (1 + 0.044715 x^2).
bool is_tanh_part(const Rewriter& r, ValueId v, ValueId x) {
  const Node* tanh = r.def(v, "Tanh");
  if (!tanh) return false;
  const Product p = product(r, tanh->inputs[0]);
  if (!about(p.number, 0.79788456)) return false;
  const auto cubic = [&](ValueId sum, size_t power) {
    const Product q = product(r, sum);
    return is_power(q, x, power) && about(q.number, 0.044715);
  };
  if (p.factors.size() == 1) {
    const Node* add = r.def(p.factors[0], "Add");
    return add && ((add->inputs[0] == x && cubic(add->inputs[1], 3)) || (add->inputs[1] == x && cubic(add->inputs[0], 3)));
  }
  if (p.factors.size() != 2) return false;
  for (size_t i = 0; i < 2; ++i)
    if (p.factors[i] == x)
      if (auto sum = plus(r, p.factors[1 - i], 1); sum && cubic(*sum, 2)) return true;
  return false;
}

}  // namespace

Result<Graph> find_gelu(Graph g, const PassOptions&) {
  TRY(rewrite(g, [](Rewriter& r, const Node& n) -> Result<bool> {
    if (!is_op(n, "Mul")) return false;
    Product p;
    take_apart(r, n.inputs[0], 1, p);
    take_apart(r, n.inputs[1], 1, p);
    if (p.factors.size() != 2 || !about(p.number, 0.5)) return false;
    for (size_t i = 0; i < 2; ++i) {
      const ValueId x = p.factors[i];
      const auto inner = plus(r, p.factors[1 - i], 1);
      if (!inner || !same_shape(r.graph(), x, n.outputs[0])) continue;
      const bool erf = is_erf_part(r, *inner, x);
      if (!erf && !is_tanh_part(r, *inner, x)) continue;
      std::vector<const Node*> from = {&n};
      for (ValueId v : n.inputs)
        for (const Node* part : r.between(v, {x})) from.push_back(part);
      TRY(r.emit_to(n.outputs[0], "Gelu", {x}, {{"approximate", erf ? "none" : "tanh"}}, from));
      return true;
    }
    return false;
  }));
  return g;
}

}  // namespace tenon
