#include "passes/cleanup/transposes.h"

#include <algorithm>
#include <numeric>

#include "ir/interpreter.h"
#include "passes/known.h"
#include "passes/rewriter.h"

namespace tenon {

namespace {

// Output dimension i of a Transpose is input dimension perm[i].
Ints inverse(const Ints& perm) {
  Ints out(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) out[size_t(perm[i])] = int64_t(i);
  return out;
}

bool is_identity(const Ints& perm) { return std::is_sorted(perm.begin(), perm.end()); }

template <class T>
std::vector<T> permuted(const std::vector<T>& x, const Ints& perm) {
  std::vector<T> out;
  for (int64_t p : perm) out.push_back(x[size_t(p)]);
  return out;
}

// The permutation of a Transpose; empty where even the rank is unknown.
Ints perm_of(const Graph& g, const Node& n) {
  if (n.attrs.has("perm")) return n.attrs.ints("perm");
  if (!g.info(n.inputs[0]).ranked) return {};
  Ints perm(g.info(n.inputs[0]).shape.size());
  std::iota(perm.rbegin(), perm.rend(), int64_t(0));
  return perm;
}

// The dimensions other than 1 keep their order, so that nothing moves in memory.
bool moves_nothing(const SymShape& shape, const Ints& perm) {
  int64_t last = -1;
  for (int64_t p : perm) {
    if (shape[size_t(p)].is(1)) continue;
    if (p < last) return false;
    last = p;
  }
  return true;
}

// Dimensions that a Reshape turns into each other: [h, w] and [h*w], say. Dimensions of 1 are left out.
struct DimGroup {
  std::vector<size_t> in, out;
};

// The finest such groups in order; nothing where sizes do not tell.
std::optional<std::vector<DimGroup>> dim_groups(const SymShape& in, const SymShape& out) {
  constexpr size_t kMost = 4;
  const auto without_ones = [](const SymShape& shape) {
    std::vector<size_t> at;
    for (size_t d = 0; d < shape.size(); ++d)
      if (!shape[d].is(1)) at.push_back(d);
    return at;
  };
  const std::vector<size_t> a = without_ones(in), b = without_ones(out);
  std::vector<DimGroup> groups;
  for (size_t i = 0, j = 0; i < a.size() || j < b.size();) {
    size_t p = 0, q = 0;
    for (size_t total = 2; total <= 2 * kMost && !p; ++total)
      for (size_t n = 1; n < total && !p; ++n) {
        const size_t m = total - n;
        if (i + n > a.size() || j + m > b.size()) continue;
        Dim x(1), y(1);
        for (size_t k = 0; k < n; ++k) x = x * in[a[i + k]];
        for (size_t k = 0; k < m; ++k) y = y * out[b[j + k]];
        if (x == y) p = n, q = m;
      }
    if (!p) return std::nullopt;
    groups.push_back({{a.begin() + int64_t(i), a.begin() + int64_t(i + p)}, {b.begin() + int64_t(j), b.begin() + int64_t(j + q)}});
    i += p;
    j += q;
  }
  return groups;
}

// One node looked at with a Transpose before it.
class Sink {
 public:
  Sink(Rewriter& r, const Node& n) : r_(r), n_(n) {}

  Result<bool> run() {
    if (n_.inputs.empty() || n_.outputs.empty()) return false;
    if (n_.op->scalar && (n_.op->domain.empty() || !n_.op->infer)) return elementwise();
    if (!n_.op->domain.empty()) return false;
    const std::string& op = n_.op->name;
    if (op == "Concat") return concat();
    if (!from(0)) return false;
    if (op == "Transpose") return merge();
    if (op == "Reshape") return reshape();
    if (op == "MatMul") return rows();
    if (starts_with(op, "Reduce")) return reduce(reduced_axes(r_.graph(), n_));
    if (op == "ArgMax" || op == "ArgMin") return reduce(sorted_axes({n_.attrs.i("axis")}, rank()));
    if (op == "GlobalAveragePool") return global_pool("ReduceMean");
    if (op == "GlobalMaxPool") return global_pool("ReduceMax");
    if (op == "Softmax" || op == "LogSoftmax") return softmax();
    if (op == "Split") return split();
    if (op == "Slice") return slice();
    if (op == "Pad") return pad();
    if (op == "Resize") return resize();
    if (op == "QuantizeLinear" || op == "DequantizeLinear") return quantize();
    return false;
  }

 private:
  int64_t rank() const { return int64_t(perm_.size()); }
  std::string name(size_t output = 0) const { return r_.graph().value(n_.outputs[output]).name; }
  // The dimension of x_ that the node calls `axis`; nothing if there is none.
  std::optional<int64_t> map_axis(int64_t axis) const {
    if (axis < -rank() || axis >= rank()) return std::nullopt;
    return perm_[size_t(axis < 0 ? axis + rank() : axis)];
  }

  // Input i is Transpose(x_, perm_).
  bool from(size_t i) {
    transpose_ = i < n_.inputs.size() ? r_.def(n_.inputs[i], "Transpose") : nullptr;
    if (!transpose_ || !r_.info(n_.inputs[i]).ranked) return false;
    perm_ = perm_of(r_.graph(), *transpose_);
    x_ = transpose_->inputs[0];
    return !perm_.empty() && r_.info(x_).ranked;
  }

  // The node on untransposed inputs, then the Transpose.
  Result<bool> sink(std::vector<ValueId> inputs, Attrs attrs, std::string_view type = {}) {
    const Node transpose = *transpose_;
    Node node = n_;
    if (!type.empty()) node.op = find_op("", type);
    node.inputs = std::move(inputs);
    node.attrs = std::move(attrs);
    std::vector<ValueId> inner;
    for (size_t i = 0; i < n_.outputs.size(); ++i)
      inner.push_back(n_.outputs[i] == kNoValue ? kNoValue : r_.graph().add_value(name(i)));
    node.outputs = inner;
    TRY(r_.emit_node(std::move(node)));
    for (size_t i = 0; i < inner.size(); ++i)
      if (inner[i] != kNoValue) TRY(r_.emit_to(n_.outputs[i], "Transpose", {inner[i]}, {{"perm", perm_}}, {&transpose}));
    return true;
  }
  Result<bool> sink_first(Attrs attrs) {
    std::vector<ValueId> inputs = n_.inputs;
    inputs[0] = x_;
    return sink(std::move(inputs), std::move(attrs));
  }

  // Leading dimensions of 1 are left out, [1, 1, 1, C] is [C]; not where the operator has ideas of its own about ranks.
  SymShape strip(SymShape shape) const {
    if (n_.op->infer) return shape;
    shape.erase(shape.begin(), std::find_if(shape.begin(), shape.end(), [](const Dim& d) { return !d.is(1); }));
    return shape;
  }

  // What stands for operand v once the others are not transposed any more; nothing if that costs work.
  Result<std::optional<ValueId>> operand(ValueId v) {
    using Found = std::optional<ValueId>;
    if (v == kNoValue) return Found(v);
    if (const Node* t = r_.def(v, "Transpose"); t && perm_of(r_.graph(), *t) == perm_) return Found(t->inputs[0]);
    const ValueInfo info = r_.info(v);
    if (!info.ranked || int64_t(info.shape.size()) > rank()) return Found();
    if (all_ones(info.shape)) return Found(v);
    SymShape padded(perm_.size() - info.shape.size(), Dim(1));
    padded.insert(padded.end(), info.shape.begin(), info.shape.end());
    const Ints back = inverse(perm_);
    const SymShape stripped = strip(permuted(padded, back));
    const std::string hint = r_.graph().value(v).name;
    if (info.constant) {
      const Op* op = find_op("", "Transpose");
      const std::vector<Tensor> in = {info.constant.reshaped(*to_concrete(padded))};
      auto out = interpret_node(*op, {{"perm", back}}, in, 1);
      if (!out.ok()) return Found();
      return Found(r_.constant(hint, (*out)[0].reshaped(*to_concrete(stripped))));
    }
    if (!moves_nothing(padded, back)) return Found();
    const auto target = reshape_target(info.shape, stripped);
    if (!target) return Found();
    const ValueId dims = r_.constant(hint + ".shape", target->tensor());
    return Found(TRY(r_.emit(hint, "Reshape", {v, dims}, target->attrs(), {&n_})));
  }

  // Whether every operand comes along; tried first, so that nothing is emitted in vain.
  bool comes_along(ValueId v) {
    if (v == kNoValue) return true;
    if (const Node* t = r_.def(v, "Transpose"); t && perm_of(r_.graph(), *t) == perm_) return true;
    const ValueInfo& info = r_.info(v);
    if (!info.ranked || int64_t(info.shape.size()) > rank()) return false;
    if (info.constant || all_ones(info.shape)) return true;
    SymShape padded(perm_.size() - info.shape.size(), Dim(1));
    padded.insert(padded.end(), info.shape.begin(), info.shape.end());
    const Ints back = inverse(perm_);
    return moves_nothing(padded, back) && reshape_target(info.shape, strip(permuted(padded, back)));
  }

  Result<bool> operands(std::vector<ValueId>& inputs) {
    for (ValueId v : inputs)
      if (!comes_along(v)) return false;
    for (ValueId& v : inputs) {
      auto w = TRY(operand(v));
      if (!w) return false;
      v = *w;
    }
    return true;
  }

  Result<bool> elementwise() {
    if (n_.outputs.size() != 1 || !r_.info(n_.outputs[0]).ranked) return false;
    const size_t out_rank = r_.info(n_.outputs[0]).shape.size();
    for (size_t i = 0; i < n_.inputs.size(); ++i) {
      if (!from(i) || perm_.size() != out_rank) continue;
      std::vector<ValueId> inputs = n_.inputs;
      if (!TRY(operands(inputs))) continue;
      return sink(std::move(inputs), n_.attrs);
    }
    return false;
  }

  Result<bool> concat() {
    size_t i = 0;
    while (i < n_.inputs.size() && !from(i)) ++i;
    if (i == n_.inputs.size()) return false;
    const auto axis = map_axis(n_.attrs.i("axis"));
    if (!axis) return false;
    // Operands of a Concat are not broadcast, so only whole ones come along.
    for (ValueId v : n_.inputs) {
      const Node* t = r_.def(v, "Transpose");
      const bool same = t && perm_of(r_.graph(), *t) == perm_;
      if (!same && !(r_.is_constant(v) && int64_t(r_.info(v).shape.size()) == rank())) return false;
    }
    std::vector<ValueId> inputs;
    for (ValueId v : n_.inputs) {
      if (const Node* t = r_.def(v, "Transpose")) {
        inputs.push_back(t->inputs[0]);
        continue;
      }
      const std::vector<Tensor> in = {r_.constant(v)};
      auto out = interpret_node(*find_op("", "Transpose"), {{"perm", inverse(perm_)}}, in, 1);
      if (!out.ok()) return false;
      inputs.push_back(r_.constant(r_.graph().value(v).name, (*out)[0]));
    }
    Attrs attrs = n_.attrs;
    attrs.set("axis", *axis);
    return sink(std::move(inputs), std::move(attrs));
  }

  Result<bool> merge() {
    const Ints outer = perm_of(r_.graph(), n_);
    if (outer.size() != perm_.size()) return false;
    const Ints both = permuted(perm_, outer);
    if (is_identity(both)) {
      r_.replace(n_.outputs[0], x_);
      return true;
    }
    const Node transpose = *transpose_;
    TRY(r_.emit_to(n_.outputs[0], "Transpose", {x_}, {{"perm", both}}, {&n_, &transpose}));
    return true;
  }

  // Reshape(Transpose(x)) = Transpose(Reshape(x)) where the Reshape joins and splits only what lies together in x.
  Result<bool> reshape() {
    const SymShape &x = r_.info(x_).shape, &y = r_.info(n_.outputs[0]).shape;
    if (!r_.info(n_.outputs[0]).ranked || y.empty()) return false;
    auto groups = dim_groups(r_.info(n_.inputs[0]).shape, y);
    if (!groups || groups->empty()) return false;
    Ints place(x.size(), 0);  // of x's dimensions among those that are not 1
    for (size_t d = 0, k = 0; d < x.size(); ++d) place[d] = x[d].is(1) ? -1 : int64_t(k++);
    for (DimGroup& group : *groups) {
      for (size_t& d : group.in) d = size_t(place[size_t(perm_[d])]);
      for (size_t k = 1; k < group.in.size(); ++k)
        if (group.in[k] != group.in[k - 1] + 1) return false;
    }
    // A dimension of 1 goes along with the one before it.
    std::vector<std::vector<size_t>> parts;
    for (size_t k = 0; k < groups->size(); ++k) {
      const size_t begin = k == 0 ? 0 : (*groups)[k].out.front();
      const size_t end = k + 1 < groups->size() ? (*groups)[k + 1].out.front() : y.size();
      parts.emplace_back();
      for (size_t d = begin; d < end; ++d) parts.back().push_back(d);
    }
    std::vector<size_t> order(groups->size());
    std::iota(order.begin(), order.end(), size_t(0));
    std::sort(order.begin(), order.end(), [&](size_t p, size_t q) { return (*groups)[p].in[0] < (*groups)[q].in[0]; });
    Ints moved;  // y's dimensions in x's order
    for (size_t k : order) moved.insert(moved.end(), parts[k].begin(), parts[k].end());
    const SymShape shape = permuted(y, moved);
    const auto target = reshape_target(x, shape);
    if (!target) return false;
    const Node transpose = *transpose_;
    const ValueId dims = r_.constant(name() + ".shape", target->tensor());
    if (is_identity(moved)) {
      TRY(r_.emit_to(n_.outputs[0], "Reshape", {x_, dims}, target->attrs(), {&n_}));
      return true;
    }
    const ValueId inner = TRY(r_.emit(name(), "Reshape", {x_, dims}, target->attrs(), {&n_}));
    TRY(r_.emit_to(n_.outputs[0], "Transpose", {inner}, {{"perm", inverse(moved)}}, {&transpose}));
    return true;
  }

  Result<bool> reduce(std::optional<Ints> axes) {
    if (!axes) return false;
    Ints mapped = permuted(perm_, *axes);
    std::sort(mapped.begin(), mapped.end());
    Attrs attrs = n_.attrs;
    std::vector<ValueId> inputs = {x_};
    if (attrs.has("axis")) attrs.set("axis", mapped[0]);
    else inputs.push_back(r_.constant(name() + ".axes", Tensor::of_ints(mapped)));
    if (attrs.i("keepdims", 1)) return sink(std::move(inputs), std::move(attrs));
    // The dimensions that are left, in the node's order, as places among those of x_ that are left.
    Ints kept, order;
    for (int64_t p = 0; p < rank(); ++p)
      if (!std::binary_search(mapped.begin(), mapped.end(), p)) kept.push_back(p);
    for (int64_t p : perm_)
      if (auto it = std::lower_bound(kept.begin(), kept.end(), p); it != kept.end() && *it == p) order.push_back(it - kept.begin());
    perm_ = order;
    if (!is_identity(order)) return sink(std::move(inputs), std::move(attrs));
    Node node = n_;
    node.inputs = std::move(inputs);
    node.attrs = std::move(attrs);
    TRY(r_.emit_node(std::move(node)));
    return true;
  }

  Result<bool> global_pool(std::string_view type) {
    Ints axes(perm_.begin() + std::min<int64_t>(2, rank()), perm_.end());
    std::sort(axes.begin(), axes.end());
    if (axes.empty()) return false;
    const ValueId v = r_.constant(name() + ".axes", Tensor::of_ints(axes));
    return sink({x_, v}, {{"keepdims", int64_t(1)}}, type);
  }

  // Products with a matrix do not care how the rows are ordered.
  Result<bool> rows() {
    const ValueInfo& w = r_.info(n_.inputs[1]);
    if (!w.ranked || w.shape.size() != 2 || perm_.back() != rank() - 1) return false;
    return sink_first(n_.attrs);
  }

  // Kernels like the last axis best, so only where it stays last or the next Transpose undoes this one.
  Result<bool> softmax() {
    const auto axis = map_axis(n_.attrs.i("axis"));
    if (!axis || *axis != rank() - 1) return false;
    Attrs attrs = n_.attrs;
    attrs.set("axis", *axis);
    return sink_first(std::move(attrs));
  }

  Result<bool> split() {
    const auto axis = map_axis(n_.attrs.i("axis"));
    if (!axis) return false;
    Attrs attrs = n_.attrs;
    attrs.set("axis", *axis);
    return sink_first(std::move(attrs));
  }

  // The axes that `count` numbers are for, mapped; nothing where they are not known.
  std::optional<ValueId> mapped_axes(ValueId axes, ValueId numbers) {
    Ints which;
    if (axes != kNoValue) {
      auto known = int_values(r_.graph(), axes);
      if (!known) return std::nullopt;
      which = *known;
    } else {
      const ValueInfo& info = r_.info(numbers);
      if (!info.ranked || info.shape.size() != 1 || !info.shape[0].is_const()) return std::nullopt;
      which.resize(size_t(std::min(info.shape[0].constant(), rank())));
      std::iota(which.begin(), which.end(), int64_t(0));
    }
    for (int64_t& a : which) {
      auto m = map_axis(a);
      if (!m) return std::nullopt;
      a = *m;
    }
    return r_.constant(name() + ".axes", Tensor::of_ints(which));
  }

  Result<bool> slice() {
    const auto axes = mapped_axes(n_.inputs.size() > 3 ? n_.inputs[3] : kNoValue, n_.inputs[1]);
    if (!axes) return false;
    std::vector<ValueId> inputs = n_.inputs;
    inputs.resize(std::max<size_t>(inputs.size(), 4), kNoValue);
    inputs[0] = x_;
    inputs[3] = *axes;
    // One type for all indices.
    if (r_.info(inputs[1]).dtype == DType::i32)
      inputs[3] = r_.constant(name() + ".axes", Tensor::of_ints(r_.constant(*axes).to_ints(), DType::i32));
    return sink(std::move(inputs), n_.attrs);
  }

  Result<bool> pad() {
    std::vector<ValueId> inputs = n_.inputs;
    inputs[0] = x_;
    const auto pads = int_values(r_.graph(), n_.inputs[1]);
    if (inputs.size() < 4 && pads && int64_t(pads->size()) == 2 * rank()) {
      Ints moved(pads->size());
      for (size_t i = 0; i < perm_.size(); ++i) {
        moved[size_t(perm_[i])] = (*pads)[i];
        moved[size_t(perm_[i] + rank())] = (*pads)[i + perm_.size()];
      }
      inputs[1] = r_.constant(name() + ".pads", Tensor::of_ints(moved));
      return sink(std::move(inputs), n_.attrs);
    }
    if (inputs.size() < 4 || inputs[3] == kNoValue) return false;
    const auto axes = mapped_axes(inputs[3], kNoValue);
    if (!axes) return false;
    inputs[3] = *axes;
    return sink(std::move(inputs), n_.attrs);
  }

  Result<bool> resize() {
    // Nothing behind it to meet, and more to move there.
    const ValueId y = n_.outputs[0];
    if (r_.is_output(y) && guess_bytes(r_.info(y)) > guess_bytes(r_.info(x_))) return false;
    Attrs attrs = n_.attrs;
    std::vector<ValueId> inputs = n_.inputs;
    inputs[0] = x_;
    if (attrs.has("axes")) {
      Ints axes;
      for (int64_t a : attrs.ints("axes")) {
        auto m = map_axis(a);
        if (!m) return false;
        axes.push_back(*m);
      }
      attrs.set("axes", axes);
      return sink(std::move(inputs), std::move(attrs));
    }
    bool movable = inputs.size() < 2 || inputs[1] == kNoValue || attrs.s("coordinate_transformation_mode") != "tf_crop_and_resize";
    for (size_t i = 2; i < inputs.size(); ++i)
      if (inputs[i] != kNoValue) movable = movable && r_.is_constant(inputs[i]);
    if (!movable) {
      attrs.set("axes", perm_);  // numbers stay as they are, each says now which dimension it is for
      return sink(std::move(inputs), std::move(attrs));
    }
    if (inputs.size() > 1) inputs[1] = kNoValue;
    for (size_t i = 2; i < inputs.size(); ++i) {
      if (inputs[i] == kNoValue || r_.constant(inputs[i]).size() != rank()) continue;
      const Tensor& t = r_.constant(inputs[i]);
      const std::string hint = r_.graph().value(inputs[i]).name;
      const Ints back = inverse(perm_);
      inputs[i] = is_float(t.dtype()) ? r_.constant(hint, Tensor::of_floats(permuted(t.to_doubles(), back), t.dtype()))
                                      : r_.constant(hint, Tensor::of_ints(permuted(t.to_ints(), back)));
    }
    return sink(std::move(inputs), std::move(attrs));
  }

  Result<bool> quantize() {
    if (n_.attrs.i("block_size") != 0 || !r_.info(n_.inputs[1]).ranked) return false;
    if (all_ones(r_.info(n_.inputs[1]).shape)) return sink_first(n_.attrs);
    const auto axis = map_axis(n_.attrs.i("axis", 1));
    if (!axis || r_.info(n_.inputs[1]).shape.size() != 1) return false;
    Attrs attrs = n_.attrs;
    attrs.set("axis", *axis);
    return sink_first(std::move(attrs));
  }

  Rewriter& r_;
  const Node& n_;
  const Node* transpose_ = nullptr;
  Ints perm_;
  ValueId x_ = kNoValue;
};

// Transposes that move nothing in memory are views.
Result<bool> to_reshape(Rewriter& r, const Node& n) {
  if (!is_op(n, "Transpose") || !r.info(n.inputs[0]).ranked) return false;
  const SymShape in = r.info(n.inputs[0]).shape;
  const Ints perm = perm_of(r.graph(), n);
  if (is_identity(perm)) {
    r.replace(n.outputs[0], n.inputs[0]);
    return true;
  }
  if (!moves_nothing(in, perm)) return false;
  const auto target = reshape_target(in, permuted(in, perm));
  if (!target) return false;
  const ValueId dims = r.constant(r.graph().value(n.outputs[0]).name + ".shape", target->tensor());
  TRY(r.emit_to(n.outputs[0], "Reshape", {n.inputs[0], dims}, target->attrs(), {&n}));
  return true;
}

}  // namespace

Result<Graph> transposes(Graph g, const PassOptions&) {
  TRY(rewrite(g, [](Rewriter& r, const Node& n) { return Sink(r, n).run(); }));
  TRY(rewrite(g, to_reshape));
  return g;
}

double transposed_bytes(const Graph& g) {
  double sum = 0;
  for (const Node& n : g.nodes) {
    if (!is_op(n, "Transpose") || !g.info(n.inputs[0]).ranked) continue;
    if (!moves_nothing(g.info(n.inputs[0]).shape, perm_of(g, n))) sum += guess_bytes(g.info(n.outputs[0]));
  }
  return sum;
}

}  // namespace tenon
