#include "passes/fusion/find_attention.h"

#include <algorithm>

#include "ir/infer.h"
#include "passes/fusion/strided_view.h"
#include "passes/known.h"
#include "passes/rewriter.h"

namespace tenon {

namespace {

// What the softmax is taken of.
struct Scores {
  const Node* product = nullptr;  // MatMul(q, k')
  double scale = 1;
  // What is added, or a boolean and what stands in the scores' place where it is false; in the order in which it is done.
  struct Mask {
    ValueId value = kNoValue, instead = kNoValue;
  };
  std::vector<Mask> masks;
};

// From a Softmax's input back to the product. Each value on the way has no other use.
std::optional<Scores> scores_of(const Rewriter& r, ValueId v) {
  const Node* n = r.once(v) ? r.def(v) : nullptr;
  if (!n || !n->op->domain.empty()) return std::nullopt;
  const std::string& op = n->op->name;
  if (op == "MatMul") {
    Scores s;
    s.product = n;
    return s;
  }
  if (op == "Cast" && is_float(r.info(n->inputs[0]).dtype)) return scores_of(r, n->inputs[0]);
  if (op == "Mul" || op == "Div") {
    for (size_t i = 0; i < (op == "Mul" ? 2u : 1u); ++i) {
      const auto number = single_value(r.graph(), n->inputs[1 - i]);
      if (!number || !same_shape(r.graph(), n->inputs[i], v)) continue;
      auto s = scores_of(r, n->inputs[i]);
      if (!s || !s->masks.empty()) return std::nullopt;
      s->scale = op == "Mul" ? s->scale * *number : s->scale / *number;
      return s;
    }
    return std::nullopt;
  }
  if (op == "Add") {
    for (size_t i = 0; i < 2; ++i) {
      if (!same_shape(r.graph(), n->inputs[i], v)) continue;
      auto s = scores_of(r, n->inputs[i]);
      if (!s) continue;
      s->masks.push_back({n->inputs[1 - i], kNoValue});
      return s;
    }
    return std::nullopt;
  }
  if (op == "Where" && same_shape(r.graph(), n->inputs[1], v)) {
    const auto number = single_value(r.graph(), n->inputs[2]);
    auto s = number && *number <= -1e4 ? scores_of(r, n->inputs[1]) : std::nullopt;
    if (s) s->masks.push_back({n->inputs[0], n->inputs[2]});
    return s;
  }
  return std::nullopt;
}

// q, k or v: [batch, heads, length, size] somewhere in a base. Without parts where there is only one of it.
struct Heads {
  ValueId value = kNoValue;  // as the product has it
  StridedView view;
  StridedView::Part batch, heads, length, size;
  Dim group = 1;  // each of the heads is used so often
  bool transposed = false;  // the value is [batch, heads, size, length]
};

// A dimension as one part.
std::optional<StridedView::Part> one_part(const std::vector<StridedView::Part>& parts) {
  if (parts.empty()) return StridedView::Part{1, 0};
  return parts.size() == 1 ? std::optional(parts[0]) : std::nullopt;
}

std::optional<Heads> heads_of(const Rewriter& r, ValueId v, bool transposed, bool scaled) {
  Heads h;
  h.value = v;
  h.transposed = transposed;
  h.view = view_of(r, v, scaled);
  if (h.view.dims.size() != 4) return std::nullopt;
  auto& dims = h.view.dims;
  // Heads that are used more than once have a stride of 0.
  if (!dims[1].empty() && dims[1].back().stride.is(0)) {
    h.group = dims[1].back().size;
    dims[1].pop_back();
  }
  const auto batch = one_part(dims[0]), heads = one_part(dims[1]), length = one_part(dims[transposed ? 3 : 2]), size = one_part(dims[transposed ? 2 : 3]);
  if (!batch || !heads || !length || !size) return std::nullopt;
  h.batch = *batch, h.heads = *heads, h.length = *length, h.size = *size;
  return h;
}

bool has_stride(const StridedView::Part& p, const Dim& stride) { return p.size.is(1) || p.stride == stride; }

// How the heads lie: columns of rows [batch, length] or [length, batch], or one behind the other.
struct Columns {
  int64_t begin = 0;
  Dim width;
  bool length_first = false;
};

std::optional<Columns> columns_of(const Rewriter& r, const Heads& h) {
  if (!has_stride(h.size, 1) || !has_stride(h.heads, h.size.size) || !h.view.offset.is_const() || !h.heads.size.is_const() || !h.size.size.is_const())
    return std::nullopt;
  const Dim all = product(r.info(h.view.base).shape), rows = h.batch.size * h.length.size;
  const auto width = exact_quotient(all, rows);
  if (!width || !width->is_const()) return std::nullopt;
  Columns c;
  c.width = *width;
  c.begin = h.view.offset.constant();
  if (c.begin < 0 || c.begin + h.heads.size.constant() * h.size.size.constant() > width->constant()) return std::nullopt;
  if (has_stride(h.length, *width) && has_stride(h.batch, *width * h.length.size)) return c;
  c.length_first = true;
  if (has_stride(h.batch, *width) && has_stride(h.length, *width * h.batch.size)) return c;
  return std::nullopt;
}

bool is_by_head(const Rewriter& r, const Heads& h) {
  return h.view.offset.is(0) && has_stride(h.size, 1) && has_stride(h.length, h.size.size) && has_stride(h.heads, h.size.size * h.length.size) &&
         has_stride(h.batch, h.size.size * h.length.size * h.heads.size) &&
         product(r.info(h.view.base).shape) == h.batch.size * h.heads.size * h.length.size * h.size.size;
}

class AttentionMatch {
 public:
  AttentionMatch(Rewriter& r, const Node& n, const PassOptions& options) : r_(r), n_(n), options_(options) {}

  Result<bool> run() {
    const bool turned = is_op(n_, "Transpose");
    if (turned ? !find_turned() : !is_op(n_, "MatMul") || !find()) return false;
    packed_ = columns_of(r_, q_) && columns_of(r_, k_) && columns_of(r_, v_);
    if (turned && !packed_) return false;
    for (const Heads* h : {&q_, &k_, &v_})
      if (!is_readable(*h)) return false;
    if (!turned) attrs_.set("scale", float(scores_.scale * q_.view.scale * k_.view.scale));
    if (packed_) {
      attrs_.set("q_num_heads", q_.heads.size.constant());
      attrs_.set("kv_num_heads", k_.heads.size.constant());
      if (parts_of_columns()) {
        attrs_.set("columns", Ints{columns_of(r_, q_)->begin, columns_of(r_, k_)->begin, columns_of(r_, v_)->begin});
        attrs_.set("head_sizes", Ints{q_.size.size.constant(), v_.size.size.constant()});
      }
    }
    if (options_.has_kernel && !has_kernel()) return false;
    TRY(emit());
    return true;
  }

 private:
  // The pattern, and that sizes agree for all values of the symbols.
  bool find() {
    const Node* softmax = r_.once(n_.inputs[0]) ? r_.def(n_.inputs[0]) : nullptr;
    if (softmax && is_op(*softmax, "Cast")) softmax = r_.once(softmax->inputs[0]) ? r_.def(softmax->inputs[0]) : nullptr;
    if (!softmax || !is_op(*softmax, "Softmax") || !r_.info(softmax->inputs[0]).ranked) return false;
    const int64_t axis = softmax->attrs.i("axis");
    if (r_.info(softmax->inputs[0]).shape.size() != 4 || (axis != -1 && axis != 3)) return false;
    const auto scores = scores_of(r_, softmax->inputs[0]);
    if (!scores) return false;
    scores_ = *scores;
    const ValueId q = scores->product->inputs[0], k = scores->product->inputs[1], v = n_.inputs[1];
    for (ValueId x : {q, k, v})
      if (!r_.info(x).ranked || r_.info(x).shape.size() != 4 || r_.info(x).dtype != r_.info(q).dtype) return false;
    const auto qh = heads_of(r_, q, false, true), kh = heads_of(r_, k, true, true), vh = heads_of(r_, v, false, false);
    if (!qh || !kh || !vh || !qh->group.is(1) || !(kh->group == vh->group)) return false;
    q_ = *qh, k_ = *kh, v_ = *vh;
    if (scores->product->attrs.i("exact") || n_.attrs.i("exact")) attrs_.set("exact", int64_t(1));
    // Nothing is broadcast in the products, and the result is as large as it should be.
    if (!(q_.batch.size == k_.batch.size && k_.batch.size == v_.batch.size && k_.heads.size == v_.heads.size &&
          q_.heads.size == k_.heads.size * k_.group && k_.length.size == v_.length.size && q_.size.size == k_.size.size))
      return false;
    if (!r_.info(n_.outputs[0]).ranked || r_.info(n_.outputs[0]).dtype != r_.info(q).dtype ||
        !same_size(r_.info(n_.outputs[0]).shape, {q_.batch.size, q_.heads.size, q_.length.size, v_.size.size}))
      return false;
    return masks_fit();
  }

  // Attention by heads, whose result is turned into rows of heads; operands may be made by such Transposes as well.
  bool find_turned() {
    const Node* node = r_.once(n_.inputs[0]) ? r_.def(n_.inputs[0], "Attention") : nullptr;
    if (!node || n_.attrs.ints("perm") != Ints{0, 2, 1, 3} || node->outputs.size() != 1 || node->inputs.size() > 4) return false;
    for (size_t i = 0; i < 3; ++i)
      if (!r_.info(node->inputs[i]).ranked || r_.info(node->inputs[i]).shape.size() != 4) return false;
    const auto q = heads_of(r_, node->inputs[0], false, false), k = heads_of(r_, node->inputs[1], false, false), v = heads_of(r_, node->inputs[2], false, false);
    if (!q || !k || !v || !q->group.is(1) || !k->group.is(1) || !v->group.is(1)) return false;
    q_ = *q, k_ = *k, v_ = *v;
    if (!(q_.batch.size == k_.batch.size && k_.batch.size == v_.batch.size && k_.heads.size == v_.heads.size && k_.length.size == v_.length.size)) return false;
    attrs_ = node->attrs;
    attention_ = node;
    if (node->inputs.size() > 3 && node->inputs[3] != kNoValue) {
      scores_.masks.push_back({node->inputs[3], kNoValue});
      if (!r_.info(node->inputs[3]).ranked) return false;
      mask_shape_ = r_.info(node->inputs[3]).shape;
    }
    return true;
  }

  // Masks have their last dimension whole, the others whole or 1.
  bool masks_fit() {
    const Dim want[] = {q_.batch.size, q_.heads.size, q_.length.size, k_.length.size};
    for (const Scores::Mask& m : scores_.masks) {
      if (!r_.info(m.value).ranked) return false;
      const SymShape& shape = r_.info(m.value).shape;
      if (shape.empty() || shape.size() > 4) return false;
      mask_shape_.insert(mask_shape_.begin(), std::max(shape.size(), mask_shape_.size()) - mask_shape_.size(), Dim(1));
      for (size_t i = 0; i < shape.size(); ++i) {
        const Dim &have = shape[shape.size() - 1 - i], &whole = want[3 - i];
        if (!(have == whole) && (i == 0 || !have.is(1))) return false;
        if (have == whole) mask_shape_[mask_shape_.size() - 1 - i] = whole;
      }
    }
    return true;
  }

  // Some operand is only a part of its columns.
  bool parts_of_columns() const {
    for (const Heads* h : {&q_, &k_, &v_}) {
      const auto c = columns_of(r_, *h);
      if (c->begin != 0 || !(c->width == h->heads.size * h->size.size)) return true;
    }
    return false;
  }

  // The shape that an operand's base gets before it may be transposed.
  SymShape base_shape(const Heads& h) const {
    const auto c = columns_of(r_, h);
    if (packed_ && c->length_first) return {h.length.size, h.batch.size, c->width};
    if (packed_) return {h.batch.size, h.length.size, c->width};
    if (is_by_head(r_, h)) return {h.batch.size, h.heads.size, h.length.size, h.size.size};
    return {h.batch.size, h.length.size, h.heads.size, h.size.size};  // it keeps its Transpose, as another stands by heads
  }
  bool is_readable(const Heads& h) const {
    if (!packed_ && !is_by_head(r_, h)) {
      const auto c = columns_of(r_, h);
      if (!c || c->length_first || c->begin != 0 || !(c->width == h.heads.size * h.size.size)) return false;
    }
    const SymShape shape = base_shape(h), &have = r_.info(h.view.base).shape;
    return same_size(have, shape) || reshape_target(have, shape);
  }
  static bool same_size(const SymShape& a, const SymShape& b) { return a.size() == b.size() && same_shape(a, b); }

  // Asks with values of the shapes and types that emit() will give.
  bool has_kernel() const {
    Graph g;
    const auto add = [&](DType type, const SymShape& shape) {
      ValueInfo info;
      info.dtype = type, info.ranked = true, info.shape = shape;
      g.inputs.push_back(g.add_value("x", info));
    };
    for (const Heads* h : {&q_, &k_, &v_}) {
      const DType type = r_.info(h->value).dtype;
      if (packed_) add(type, {h->batch.size, h->length.size, columns_of(r_, *h)->width});
      else add(type, {h->batch.size, h->heads.size, h->length.size, h->size.size});
    }
    if (!scores_.masks.empty()) add(mask_type(), mask_shape_);
    const ValueId y = g.add_value("y");
    g.add_node(find_op("", "Attention"), n_.name, attrs_, g.inputs, {y});
    return infer_graph(g).ok() && options_.has_kernel(g, g.nodes[0]);
  }

  DType mask_type() const {
    const Scores::Mask& m = scores_.masks.front();
    return r_.info(m.instead == kNoValue ? m.value : m.instead).dtype;
  }

  Result<ValueId> reshaped(ValueId v, const SymShape& shape) {
    if (same_size(r_.info(v).shape, shape)) return v;
    const auto target = reshape_target(r_.info(v).shape, shape);
    CHECK(target);  // is_readable
    const std::string name = r_.graph().value(v).name;
    const ValueId dims = r_.constant(name + ".shape", target->tensor());
    return r_.emit(name, "Reshape", {v, dims}, target->attrs(), {&n_});
  }

  Result<ValueId> operand(const Heads& h) {
    const bool turn = packed_ && columns_of(r_, h)->length_first;
    for (const auto& [base, made] : turned_)
      if (turn && base == h.view.base) return made;
    const ValueId rows = TRY(reshaped(h.view.base, base_shape(h)));
    if (!turn && (packed_ || is_by_head(r_, h))) return rows;
    const Ints perm = turn ? Ints{1, 0, 2} : Ints{0, 2, 1, 3};
    const ValueId made = TRY(r_.emit(r_.graph().value(h.view.base).name, "Transpose", {rows}, {{"perm", perm}}, {&n_}));
    if (turn) turned_.push_back({h.view.base, made});
    return made;
  }

  Result<ValueId> mask() {
    ValueId all = kNoValue;
    for (const Scores::Mask& m : scores_.masks) {
      const std::string name = r_.graph().value(m.value).name;
      if (m.instead == kNoValue) {
        all = all == kNoValue ? m.value : TRY(r_.emit(name, "Add", {all, m.value}, {}, {&n_}));
      } else {
        if (all == kNoValue) {
          Tensor zero = Tensor::make(r_.info(m.instead).dtype, {});
          zero.set(0, 0);
          all = r_.constant("zero", std::move(zero));
        }
        all = TRY(r_.emit(name, "Where", {m.value, all, m.instead}, {}, {&n_}));
      }
    }
    return all;
  }

  Status emit() {
    std::vector<ValueId> inputs, ends;
    const Node& product = attention_ ? *attention_ : *scores_.product;
    for (size_t i = 0; i < (attention_ ? 3 : 2); ++i) ends.push_back(product.inputs[i]);
    for (const Heads* h : {&q_, &k_, &v_}) inputs.push_back(TRY(operand(*h)));
    if (!scores_.masks.empty()) inputs.push_back(TRY(mask()));
    for (const Scores::Mask& m : scores_.masks) ends.push_back(m.value);
    const SymShape rows = {q_.batch.size, q_.length.size, q_.heads.size, v_.size.size};
    std::vector<const Node*> from = {&n_};
    for (const Node* part : r_.between(n_.inputs[0], ends)) from.push_back(part);
    if (!packed_) return r_.emit_to(n_.outputs[0], "Attention", inputs, attrs_, from);
    const ValueId y = TRY(r_.emit(r_.graph().value(n_.outputs[0]).name, "Attention", inputs, attrs_, from));
    if (attention_) {
      const auto target = reshape_target(r_.info(y).shape, rows);
      CHECK(target);
      return r_.emit_to(n_.outputs[0], "Reshape", {y, r_.constant(r_.graph().value(y).name + ".shape", target->tensor())}, target->attrs(), {&n_});
    }
    const ValueId split = TRY(reshaped(y, rows));
    return r_.emit_to(n_.outputs[0], "Transpose", {split}, {{"perm", Ints{0, 2, 1, 3}}}, {&n_});
  }

  Rewriter& r_;
  const Node& n_;
  const PassOptions& options_;
  const Node* attention_ = nullptr;  // by heads, where it has been found
  Scores scores_;
  SymShape mask_shape_;
  Heads q_, k_, v_;
  bool packed_ = false;  // columns of rank 3, else by heads
  Attrs attrs_;
  std::vector<std::pair<ValueId, ValueId>> turned_;  // bases whose batch has come first
};

}  // namespace

Result<Graph> find_attention(Graph g, const PassOptions& options) {
  TRY(rewrite(g, [&](Rewriter& r, const Node& n) -> Result<bool> { return AttentionMatch(r, n, options).run(); }));
  return g;
}

}  // namespace tenon
