#include "engine/pieces.h"

#include <algorithm>

namespace tenon {

namespace {

using Runs = std::optional<std::vector<int64_t>>;

bool is_op(const Node& node, const char* name) {
  return node.op->domain.empty() && node.op->name == name;
}

int64_t elements(std::span<const int64_t> shape) {
  return num_elements(shape);
}

// Whether a box of shape y within x is one run of bytes: dimensions before the last that it cuts are of
// size 1.
bool is_run(const Shape& x, const Shape& y) {
  size_t cut = x.size();
  while (cut > 0 && y[cut - 1] == x[cut - 1]) --cut;
  return cut == 0 || elements(std::span(y).first(cut - 1)) == 1;
}

// The shapes of present values; nothing where one is not known, or its elements are no whole bytes.
std::optional<std::vector<const Shape*>> shapes_of(const Graph& g, const std::vector<ValueId>& values,
                                                   const KnownValues& known) {
  std::vector<const Shape*> out;
  for (ValueId v : values) {
    const Shape* s = v == kNoValue ? nullptr : known.shape(v);
    if (!s || elements(*s) < 0 || bits(g.info(v).dtype) == 0 || bits(g.info(v).dtype) % 8)
      return std::nullopt;
    out.push_back(s);
  }
  return out;
}

// The elements of inputs 1 and up, empty for those that are absent; nothing where one is not known.
std::optional<std::vector<Ints>> numbers_of(const Node& node, const KnownValues& known) {
  constexpr int64_t kMost = 64;
  std::vector<Ints> out;
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    const ValueId v = node.inputs[i];
    if (v == kNoValue) {
      out.emplace_back();
      continue;
    }
    const Shape* s = known.shape(v);
    if (!s || elements(*s) > kMost) return std::nullopt;
    auto values = known.ints(v);
    if (!values) return std::nullopt;
    out.push_back(std::move(*values));
  }
  return out;
}

std::optional<size_t> axis_of(const Node& node, const Shape& shape) {
  const int64_t rank = int64_t(shape.size()),
                axis = node.attrs.i("axis") + (node.attrs.i("axis") < 0 ? rank : 0);
  return axis >= 0 && axis < rank ? std::optional(size_t(axis)) : std::nullopt;
}

// All three: in elements.
Runs split_runs(const Node& node, const Shape& x, const std::vector<const Shape*>& parts,
                const std::vector<Ints>&) {
  const auto axis = axis_of(node, x);
  if (!axis || elements(std::span(x).first(*axis)) != 1) return std::nullopt;
  Runs out(std::in_place);
  int64_t at = 0;
  for (const Shape* y : parts) {
    if (y->size() != x.size()) return std::nullopt;
    out->push_back(at);
    at += elements(*y);
  }
  return out;
}

Runs slice_runs(const Node&, const Shape& x, const std::vector<const Shape*>& parts,
                const std::vector<Ints>& numbers) {
  const Shape& y = *parts[0];
  if (numbers.size() < 2 || y.size() != x.size() || elements(y) == 0 || !is_run(x, y)) return std::nullopt;
  const Ints &starts = numbers[0], axes = numbers.size() > 2 ? numbers[2] : Ints(),
             steps = numbers.size() > 3 ? numbers[3] : Ints();
  if ((!axes.empty() && axes.size() != starts.size()) || (!steps.empty() && steps.size() != starts.size()))
    return std::nullopt;
  const Shape strides = row_major_strides(x);
  int64_t at = 0;
  for (size_t i = 0; i < starts.size(); ++i) {
    int64_t axis = axes.empty() ? int64_t(i) : axes[i];
    if (axis < 0) axis += int64_t(x.size());
    if (axis < 0 || axis >= int64_t(x.size())) return std::nullopt;
    const int64_t d = x[size_t(axis)];
    if (y[size_t(axis)] > 1 && !steps.empty() && steps[i] != 1) return std::nullopt;
    at += std::clamp<int64_t>(starts[i] < 0 ? starts[i] + d : starts[i], 0, d - 1) * strides[size_t(axis)];
  }
  return std::vector<int64_t>{at};
}

Runs gather_runs(const Node& node, const Shape& x, const std::vector<const Shape*>&,
                 const std::vector<Ints>& numbers) {
  const auto axis = axis_of(node, x);
  if (!axis || numbers.size() != 1 || numbers[0].size() != 1 || elements(std::span(x).first(*axis)) != 1)
    return std::nullopt;
  const int64_t index = numbers[0][0], d = x[*axis];
  if (index < -d || index >= d) return std::nullopt;  // the kernel says what is wrong
  return std::vector<int64_t>{(index < 0 ? index + d : index) * elements(std::span(x).subspan(*axis + 1))};
}

}  // namespace

Runs runs_of_input(const Graph& g, const Node& node, const KnownValues& known) {
  const auto runs = is_op(node, "Split")    ? split_runs
                    : is_op(node, "Slice")  ? slice_runs
                    : is_op(node, "Gather") ? gather_runs
                                            : nullptr;
  if (!runs || !known.shape || !known.ints || node.inputs.empty() || node.outputs.empty())
    return std::nullopt;
  const auto x = shapes_of(g, {node.inputs[0]}, known), y = shapes_of(g, node.outputs, known);
  if (!x || !y) return std::nullopt;
  const auto numbers = numbers_of(node, known);
  Runs out = numbers ? runs(node, *(*x)[0], *y, *numbers) : std::nullopt;
  if (!out) return out;
  const DType t = g.info(node.inputs[0]).dtype;
  for (size_t k = 0; k < out->size(); ++k) {
    if (g.info(node.outputs[k]).dtype != t || (*out)[k] + elements(*(*y)[k]) > elements(*(*x)[0]))
      return std::nullopt;
    (*out)[k] = byte_size(t, (*out)[k]);
  }
  return out;
}

std::optional<Columns> columns_of_output(const Graph& g, const Node& node, const KnownValues& known) {
  if (!is_op(node, "Concat") || !known.shape || node.outputs.size() != 1) return std::nullopt;
  const auto x = shapes_of(g, node.inputs, known), y = shapes_of(g, node.outputs, known);
  if (!x || !y) return std::nullopt;
  const Shape& whole = *(*y)[0];
  const auto axis = axis_of(node, whole);
  if (!axis) return std::nullopt;
  const DType t = g.info(node.outputs[0]).dtype;
  Columns out;
  out.rows = elements(std::span(whole).first(*axis));
  out.row_bytes = byte_size(t, elements(std::span(whole).subspan(*axis)));
  int64_t at = 0;
  for (size_t i = 0; i < x->size(); ++i) {
    const Shape& part = *(*x)[i];
    if (g.info(node.inputs[i]).dtype != t || part.size() != whole.size()) return std::nullopt;
    out.begin.push_back(at);
    at += byte_size(t, elements(std::span(part).subspan(*axis)));
  }
  return at == out.row_bytes ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace tenon
