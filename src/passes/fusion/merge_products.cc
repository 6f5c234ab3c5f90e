#include "passes/fusion/merge_products.h"

#include <algorithm>
#include <cstring>

#include "passes/known.h"
#include "passes/rewriter.h"

namespace tenon {

namespace {

// An input of Attention: x times a constant matrix, plus a constant row where there is one.
struct Projection {
  const Node *product = nullptr, *sum = nullptr;
  ValueId x = kNoValue, weight = kNoValue, bias = kNoValue;
  int64_t columns = 0, begin = 0;  // of the merged product
};

std::optional<Projection> projection_of(const Rewriter& r, ValueId v) {
  Projection p;
  if (const Node* add = r.once(v) ? r.def(v, "Add") : nullptr) {
    for (size_t i = 0; i < 2; ++i)
      if (r.is_constant(add->inputs[i]) && r.info(add->inputs[i]).shape.size() == 1) p.sum = add, p.bias = add->inputs[i], v = add->inputs[1 - i];
    if (!p.sum) return std::nullopt;
  }
  p.product = r.once(v) ? r.def(v, "MatMul") : nullptr;
  if (!p.product || !r.is_constant(p.product->inputs[1])) return std::nullopt;
  p.x = p.product->inputs[0], p.weight = p.product->inputs[1];
  const Tensor& w = r.constant(p.weight);
  if (w.rank() != 2 || bits(w.dtype()) < 8) return std::nullopt;
  p.columns = w.dim(1);
  if (p.sum && (r.constant(p.bias).size() != p.columns || r.constant(p.bias).dtype() != w.dtype())) return std::nullopt;
  return p;
}

// The columns of all, side by side; zeros where one has no such constant.
Tensor side_by_side(const Rewriter& r, const std::vector<Projection>& all, ValueId Projection::* constant, Shape shape) {
  const DType type = r.constant(all[0].weight).dtype();
  const size_t size = size_t(bits(type) / 8);
  int64_t width = 0;
  for (const Projection& p : all) width += p.columns;
  shape.back() = width;
  Tensor out = Tensor::make(type, shape);
  std::memset(out.as<char>(), 0, size_t(out.bytes()));
  const int64_t rows = out.size() / width;
  for (const Projection& p : all) {
    if (p.*constant == kNoValue) continue;
    const char* from = r.constant(p.*constant).as<char>();
    for (int64_t row = 0; row < rows; ++row)
      std::memcpy(out.as<char>() + size_t(row * width + p.begin) * size, from + size_t(row * p.columns) * size, size_t(p.columns) * size);
  }
  return out;
}

Result<bool> merge(Rewriter& r, const Node& n) {
  if (!is_op(n, "Attention") || !r.info(n.inputs[0]).ranked || r.info(n.inputs[0]).shape.size() != 3) return false;
  // The first input's like, or the keys' and values' alone.
  std::optional<Projection> found[3];
  for (size_t i = 0; i < 3; ++i) found[i] = projection_of(r, n.inputs[i]);
  const size_t first = found[0] && ((found[1] && found[1]->x == found[0]->x) || (found[2] && found[2]->x == found[0]->x)) ? 0 : 1;
  if (!found[first]) return false;
  const DType type = r.constant(found[first]->weight).dtype();
  std::vector<Projection> all;
  std::vector<size_t> at;
  int64_t width = 0;
  for (size_t i = first; i < 3; ++i) {
    if (!found[i] || found[i]->x != found[first]->x || r.constant(found[i]->weight).dtype() != type) continue;
    found[i]->begin = width;
    width += found[i]->columns;
    all.push_back(*found[i]);
    at.push_back(i);
  }
  if (all.size() < 2 || width == 0) return false;

  Attrs attrs = n.attrs;
  Ints columns = attrs.ints("columns"), sizes = attrs.ints("head_sizes");
  if (columns.empty()) {
    const Dim &q = r.info(n.inputs[0]).shape[2], &v = r.info(n.inputs[2]).shape[2];
    if (!q.is_const() || !v.is_const()) return false;
    columns = {0, 0, 0}, sizes = {q.constant() / attrs.i("q_num_heads"), v.constant() / attrs.i("kv_num_heads")};
  }
  for (size_t k = 0; k < all.size(); ++k) columns[at[k]] += all[k].begin;
  attrs.set("columns", columns);
  attrs.set("head_sizes", sizes);

  std::vector<const Node*> products, sums;
  for (const Projection& p : all) {
    products.push_back(p.product);
    if (p.sum) sums.push_back(p.sum);
  }
  const std::string name = r.graph().value(all[0].product->outputs[0]).name;
  const ValueId weight = r.constant(name + ".weight", side_by_side(r, all, &Projection::weight, r.constant(all[0].weight).shape()));
  ValueId y = TRY(r.emit(name + ".merged", "MatMul", {all[0].x, weight}, {}, products));
  if (!sums.empty()) {
    const ValueId bias = r.constant(name + ".bias", side_by_side(r, all, &Projection::bias, {0}));
    y = TRY(r.emit(name + ".merged", "Add", {y, bias}, {}, sums));
  }
  Node node = n;
  for (size_t i : at) node.inputs[i] = y;
  node.attrs = std::move(attrs);
  TRY(r.emit_node(std::move(node)));
  return true;
}

}  // namespace

Result<Graph> merge_products(Graph g, const PassOptions&) {
  TRY(rewrite(g, merge));
  return g;
}

}  // namespace tenon
