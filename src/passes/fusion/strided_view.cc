#include "passes/fusion/strided_view.h"

#include "passes/known.h"

namespace tenon {

std::optional<Dim> exact_quotient(const Dim& whole, const Dim& part) {
  std::set<std::string> symbols;
  part.collect_symbols(symbols);
  const auto one = [&](const std::string& s) { return symbols.contains(s) ? std::optional<Dim>(Dim(1)) : std::nullopt; };
  const Dim divisor = part.substitute(one);
  if (!divisor.is_const() || divisor.is(0)) return std::nullopt;
  const Dim quotient = floor_div(whole.substitute(one), divisor);
  return quotient * part == whole ? std::optional(quotient) : std::nullopt;
}

namespace {

using Part = StridedView::Part;
using Parts = std::vector<Part>;

// Parts that follow each other without a gap are one.
void add_part(Parts& parts, const Part& p) {
  if (!parts.empty() && parts.back().stride == p.size * p.stride) parts.back() = {parts.back().size * p.size, p.stride};
  else parts.push_back(p);
}

StridedView itself(const Rewriter& r, ValueId v) {
  StridedView view;
  view.base = v;
  Dim stride(1);
  const SymShape& shape = r.info(v).shape;
  view.dims.resize(shape.size());
  for (size_t d = shape.size(); d-- > 0;) {
    if (!shape[d].is(1)) view.dims[d] = {{shape[d], stride}};
    stride = stride * shape[d];
  }
  return view;
}

// The same elements in the same order as dimensions of other sizes.
bool reshape(StridedView& view, const SymShape& shape) {
  Parts open;  // back: the next
  for (size_t d = view.dims.size(); d-- > 0;) open.insert(open.end(), view.dims[d].rbegin(), view.dims[d].rend());
  std::vector<Parts> dims(shape.size());
  for (size_t d = 0; d < shape.size(); ++d) {
    for (Dim left = shape[d]; !left.is(1);) {
      if (open.empty()) return false;
      Part& p = open.back();
      if (const auto more = exact_quotient(left, p.size)) {
        add_part(dims[d], p);
        open.pop_back();
        left = *more;
      } else if (const auto inner = exact_quotient(p.size, left)) {
        add_part(dims[d], {left, p.stride * *inner});
        p.size = *inner;
        left = 1;
      } else {
        return false;
      }
    }
  }
  view.dims = std::move(dims);
  return open.empty();
}

// `count` from `begin` on, of a dimension.
bool slice(StridedView& view, int64_t axis, const Dim& begin, const Dim& count) {
  axis = axis < 0 ? axis + int64_t(view.dims.size()) : axis;
  Parts& parts = view.dims[size_t(axis)];
  if (parts.size() != 1) return parts.empty() && begin.is(0) && count.is(1);
  view.offset = view.offset + begin * parts[0].stride;
  parts[0].size = count;
  if (count.is(1)) parts.clear();
  return true;
}

bool gather(const Rewriter& r, const Node& n, StridedView& view) {
  const auto index = single_value(r.graph(), n.inputs[1]);
  if (!index || !r.info(n.inputs[1]).shape.empty()) return false;
  int64_t axis = n.attrs.i("axis"), at = int64_t(*index);
  axis = axis < 0 ? axis + int64_t(view.dims.size()) : axis;
  const Dim& size = r.info(n.inputs[0]).shape[size_t(axis)];
  if (!size.is_const()) return false;
  at = at < 0 ? at + size.constant() : at;
  if (at < 0 || at >= size.constant() || !slice(view, axis, Dim(at), Dim(1))) return false;
  view.dims.erase(view.dims.begin() + axis);
  return true;
}

bool split(const Rewriter& r, const Node& n, ValueId out, StridedView& view) {
  int64_t axis = n.attrs.i("axis");
  axis = axis < 0 ? axis + int64_t(view.dims.size()) : axis;
  Dim begin(0);
  for (ValueId v : n.outputs) {
    if (v == kNoValue || !r.info(v).ranked) return false;
    const Dim& size = r.info(v).shape[size_t(axis)];
    if (v == out) return slice(view, axis, begin, size);
    begin = begin + size;
  }
  return false;
}

// Along one axis, in steps of 1, within what is there.
bool slice_node(const Rewriter& r, const Node& n, StridedView& view) {
  const auto input = [&](size_t i) { return i < n.inputs.size() ? n.inputs[i] : kNoValue; };
  const auto starts = int_values(r.graph(), input(1)), ends = int_values(r.graph(), input(2)), axes = int_values(r.graph(), input(3)),
             steps = int_values(r.graph(), input(4));
  if (!starts || !ends || !axes || starts->size() != 1 || axes->size() != 1 || (input(4) != kNoValue && (!steps || steps != Ints{1}))) return false;
  const int64_t axis = (*axes)[0] < 0 ? (*axes)[0] + int64_t(view.dims.size()) : (*axes)[0];
  const Dim& size = r.info(n.inputs[0]).shape[size_t(axis)];
  if (!size.is_const()) return false;
  const int64_t begin = (*starts)[0] < 0 ? (*starts)[0] + size.constant() : (*starts)[0];
  if (begin < 0 || begin >= size.constant()) return false;
  return slice(view, axis, Dim(begin), r.info(n.outputs[0]).shape[size_t(axis)]);
}

bool expand(const Rewriter& r, const Node& n, StridedView& view) {
  const SymShape &in = r.info(n.inputs[0]).shape, &out = r.info(n.outputs[0]).shape;
  view.dims.insert(view.dims.begin(), out.size() - in.size(), Parts());
  for (size_t d = 0; d < out.size(); ++d) {
    const size_t behind = out.size() - 1 - d;
    const Dim from = behind < in.size() ? in[in.size() - 1 - behind] : Dim(1);
    if (from == out[d]) continue;
    if (!from.is(1)) return false;
    view.dims[d] = {{out[d], Dim(0)}};
  }
  return true;
}

}  // namespace

StridedView view_of(const Rewriter& r, ValueId v, bool scaled) {
  const Node* n = r.def(v);
  if (!n || !n->op->domain.empty() || !r.info(v).ranked) return itself(r, v);
  for (ValueId in : n->inputs)
    if (in != kNoValue && !r.info(in).ranked) return itself(r, v);
  const std::string& op = n->op->name;
  if (op == "Mul" || op == "Div") {
    for (size_t i = 0; i < 2 && scaled; ++i) {
      const auto number = single_value(r.graph(), n->inputs[1 - i]);
      if (!number || (op == "Div" && i == 1) || !same_shape(r.graph(), n->inputs[i], v)) continue;
      StridedView view = view_of(r, n->inputs[i], true);
      view.scale = op == "Mul" ? view.scale * *number : view.scale / *number;
      return view;
    }
    return itself(r, v);
  }
  if (op != "Reshape" && op != "Transpose" && op != "Gather" && op != "Split" && op != "Slice" && op != "Expand") return itself(r, v);
  StridedView view = view_of(r, n->inputs[0], scaled);
  bool traced = false;
  if (op == "Reshape") traced = reshape(view, r.info(v).shape);
  if (op == "Gather") traced = gather(r, *n, view);
  if (op == "Split") traced = split(r, *n, v, view);
  if (op == "Slice") traced = slice_node(r, *n, view);
  if (op == "Expand") traced = expand(r, *n, view);
  if (op == "Transpose") {
    std::vector<Parts> dims;
    const Ints& perm = n->attrs.ints("perm");
    for (size_t d = 0; d < view.dims.size(); ++d) dims.push_back(view.dims[perm.empty() ? view.dims.size() - 1 - d : size_t(perm[d])]);
    view.dims = std::move(dims);
    traced = true;
  }
  return traced ? view : itself(r, v);
}

}  // namespace tenon
