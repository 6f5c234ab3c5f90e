#include "passes/cleanup/split_einsum.h"

#include <algorithm>

#include "ops/common/einsum.h"
#include "passes/known.h"
#include "passes/rewriter.h"

namespace tenon {

namespace {

using Labels = std::vector<int>;

bool holds(const Labels& labels, int label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

// A value whose dimensions carry labels.
struct Array {
  ValueId value = kNoValue;
  SymShape shape;
  Labels labels;

  size_t place(int label) const {
    return size_t(std::find(labels.begin(), labels.end(), label) - labels.begin());
  }
  const Dim& size(int label) const { return shape[place(label)]; }
};

// Makes nodes; without a rewriter it only finds out whether they can be made, as a node that was emitted
// stays.
class Splitter {
 public:
  Splitter(const Node& node, Rewriter* rewriter) : node_(node), rewriter_(rewriter) {}

  // Sums over all labels that are not in `keep`.
  Status sum(Array& x, const Labels& keep) {
    Ints axes;
    Array y;
    for (size_t d = 0; d < x.labels.size(); ++d) {
      if (holds(keep, x.labels[d])) {
        y.labels.push_back(x.labels[d]);
        y.shape.push_back(x.shape[d]);
      } else {
        axes.push_back(int64_t(d));
      }
    }
    if (axes.empty()) return {};
    y.value = TRY(emit("ReduceSum", {x.value, ints(axes)}, {{"keepdims", int64_t(0)}}));
    x = std::move(y);
    return {};
  }

  // Brings the dimensions into this order; all of its labels are there.
  Status arrange(Array& x, const Labels& order) {
    if (x.labels == order) return {};
    Ints perm;
    Array y{kNoValue, {}, order};
    for (int label : order) {
      perm.push_back(int64_t(x.place(label)));
      y.shape.push_back(x.size(label));
    }
    y.value = TRY(emit("Transpose", {x.value}, {{"perm", perm}}));
    x = std::move(y);
    return {};
  }

  // The same with a dimension of 1 for each label of `order` that is not there.
  Status spread(Array& x, const Labels& order) {
    Labels mine;
    Ints added;
    for (size_t d = 0; d < order.size(); ++d)
      if (holds(x.labels, order[d]))
        mine.push_back(order[d]);
      else
        added.push_back(int64_t(d));
    TRY(arrange(x, mine));
    if (added.empty()) return {};
    Array y{kNoValue, {}, order};
    for (int label : order) y.shape.push_back(holds(mine, label) ? x.size(label) : Dim(1));
    y.value = TRY(emit("Unsqueeze", {x.value, ints(added)}, {}));
    x = std::move(y);
    return {};
  }

  // x * y without a sum, in this order of labels.
  Status multiply(Array& x, Array y, const Labels& order) {
    TRY(spread(x, order));
    TRY(spread(y, order));
    for (size_t d = 0; d < order.size(); ++d) {
      if (x.shape[d].is(1))
        x.shape[d] = y.shape[d];
      else if (!y.shape[d].is(1) && !(x.shape[d] == y.shape[d]))
        return no();
    }
    x.value = TRY(emit("Mul", {x.value, y.value}, {}));
    return {};
  }

  // The product summed over `summed`; what both have otherwise is the batch.
  Status contract(Array& x, Array y, const Labels& summed) {
    Labels outer, batch, rows, columns;
    for (int label : x.labels)
      if (!holds(summed, label)) (holds(y.labels, label) ? batch : rows).push_back(label);
    for (int label : y.labels)
      if (!holds(x.labels, label)) columns.push_back(label);
    // Several rows are one where that needs no view: the product takes the others as dimensions that y
    // broadcasts over.
    const bool fixed =
        std::all_of(rows.begin(), rows.end(), [&](int label) { return x.size(label).is_const(); });
    if (rows.size() > 1 && (batch.empty() || !fixed)) {
      outer.assign(rows.begin(), rows.end() - 1);
      rows.erase(rows.begin(), rows.end() - 1);
    }
    // Sizes of 1 broadcast in a batch; a sum must not.
    for (int label : summed)
      if (!(x.size(label) == y.size(label))) return no();
    SymShape out;
    for (int label : outer) out.push_back(x.size(label));
    for (int label : batch) {
      const Dim &a = x.size(label), &b = y.size(label);
      if (!(a == b) && !a.is(1) && !b.is(1)) return no();
      out.push_back(a.is(1) ? b : a);
    }
    SymShape wide = out;
    for (int label : rows) wide.push_back(x.size(label));
    for (int label : columns) wide.push_back(y.size(label));

    const Labels leading = joined(outer, batch, {});
    TRY(arrange(x, joined(leading, rows, summed)));
    TRY(arrange(y, joined(batch, summed, columns)));
    TRY(merge(x, leading.size(), rows.size()));
    TRY(merge(y, batch.size(), summed.size()));
    out.push_back(x.shape[leading.size()]);
    out.push_back(y.shape.back());
    x.value = TRY(emit("MatMul", {x.value, y.value}, {}));
    x.shape = out;
    if (rows.size() != 1 || columns.size() != 1) TRY(reshape(x, wide));
    x.labels = joined(leading, rows, columns);
    return {};
  }

  Status finish(const Array& x) {
    if (rewriter_) TRY(rewriter_->emit_to(node_.outputs[0], "Identity", {x.value}, {}, {&node_}));
    return {};
  }

 private:
  static Status no() { return unsupported("stays"); }
  static Labels joined(Labels a, const Labels& b, const Labels& c) {
    a.insert(a.end(), b.begin(), b.end());
    a.insert(a.end(), c.begin(), c.end());
    return a;
  }

  ValueId ints(const Ints& values) {
    return rewriter_ ? rewriter_->constant(name() + ".axes", Tensor::of_ints(values)) : kNoValue;
  }
  std::string name() const { return rewriter_->graph().value(node_.outputs[0]).name; }
  Result<ValueId> emit(const char* type, std::vector<ValueId> inputs, Attrs attrs) {
    if (!rewriter_) return kNoValue;
    return rewriter_->emit(name(), type, std::move(inputs), std::move(attrs), {&node_});
  }

  // Makes what follows the first `kept` dimensions of x two: the next `count`, and the rest.
  Status merge(Array& x, size_t kept, size_t count) {
    SymShape shape(x.shape.begin(), x.shape.begin() + int64_t(kept));
    const auto middle = x.shape.begin() + int64_t(kept), last = middle + int64_t(count);
    shape.push_back(product(SymShape(middle, last)));
    shape.push_back(product(SymShape(last, x.shape.end())));
    return count == 1 && x.shape.size() == kept + 2 ? Status() : reshape(x, shape);
  }
  Status reshape(Array& x, const SymShape& shape) {
    const auto target = reshape_target(x.shape, shape);
    if (!target) return no();
    if (rewriter_)
      x.value = TRY(emit("Reshape", {x.value, rewriter_->constant(name() + ".shape", target->tensor())},
                         target->attrs()));
    x.shape = shape;
    return {};
  }

  const Node& node_;
  Rewriter* rewriter_;
};

// Operands are taken from left to right, a label is summed as soon as nothing later needs it.
Status split(Splitter s, const Graph& g, const Node& n, const EinsumEquation& eq) {
  Array acc;
  for (size_t i = 0; i < eq.terms.size(); ++i) {
    Labels later = eq.output;
    for (size_t k = i + 1; k < eq.terms.size(); ++k)
      later.insert(later.end(), eq.terms[k].begin(), eq.terms[k].end());
    Array x{n.inputs[i], g.info(n.inputs[i]).shape, eq.terms[i]};
    if (i == 0) {
      acc = std::move(x);
      TRY(s.sum(acc, later));
      continue;
    }
    Labels for_x = later, for_acc = later, summed, order;
    for_x.insert(for_x.end(), acc.labels.begin(), acc.labels.end());
    for_acc.insert(for_acc.end(), x.labels.begin(), x.labels.end());
    TRY(s.sum(x, for_x));
    TRY(s.sum(acc, for_acc));
    for (int label : acc.labels)
      if (!holds(later, label)) summed.push_back(label);
    if (!summed.empty()) {
      TRY(s.contract(acc, x, summed));
      continue;
    }
    const bool last = i + 1 == eq.terms.size();
    if (last)
      order = eq.output;
    else
      order = acc.labels;
    for (int label : x.labels)
      if (!holds(order, label)) order.push_back(label);
    TRY(s.multiply(acc, x, order));
  }
  TRY(s.arrange(acc, eq.output));
  return s.finish(acc);
}

}  // namespace

Result<Graph> split_einsum(Graph g, const PassOptions&) {
  constexpr size_t kMostDims = 6;  // of a product's operand
  TRY(rewrite(g, [](Rewriter& r, const Node& n) -> Result<bool> {
    if (!is_op(n, "Einsum")) return false;
    std::vector<size_t> ranks;
    for (ValueId v : n.inputs) {
      if (!r.info(v).ranked || !is_float(r.info(v).dtype)) return false;
      ranks.push_back(r.info(v).shape.size());
    }
    const EinsumEquation eq = TRY(parse_einsum(n.attrs.s("equation"), ranks));
    Labels used;
    for (const Labels& term : eq.terms) {
      for (int label : term) {
        if (std::count(term.begin(), term.end(), label) > 1) return false;
        if (!holds(used, label)) used.push_back(label);
      }
    }
    if (used.size() > kMostDims ||
        !std::all_of(eq.output.begin(), eq.output.end(), [&](int label) { return holds(used, label); }))
      return false;
    if (!split(Splitter(n, nullptr), r.graph(), n, eq).ok()) return false;
    TRY(split(Splitter(n, &r), r.graph(), n, eq));
    return true;
  }));
  return g;
}

}  // namespace tenon
