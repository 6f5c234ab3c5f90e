#include "passes/known.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace tenon {

std::optional<double> splat_value(const Graph& g, ValueId v) {
  if (!g.is_constant(v)) return std::nullopt;
  const Tensor& t = g.constant(v);
  const int64_t n = t.size();
  if (n == 0 || (!is_float(t.dtype()) && !is_int(t.dtype()) && t.dtype() != DType::boolean)) return std::nullopt;
  if (n > 1) {
    if (bits(t.dtype()) < 8) return std::nullopt;
    // All equal: the array is itself, one element further on.
    const size_t size = size_t(bits(t.dtype()) / 8);
    if (std::memcmp(t.as<char>(), t.as<char>() + size, size_t(t.bytes()) - size) != 0) return std::nullopt;
  }
  return t.at(0);
}

std::optional<double> single_value(const Graph& g, ValueId v) {
  if (!g.is_constant(v) || g.constant(v).size() != 1) return std::nullopt;
  return splat_value(g, v);
}

bool is_about(const Graph& g, ValueId v, double want) {
  auto x = single_value(g, v);
  return x && std::abs(*x - want) <= 1e-4 * std::abs(want);
}

std::optional<Ints> int_values(const Graph& g, ValueId v) {
  if (v == kNoValue) return std::nullopt;
  const ValueInfo& info = g.info(v);
  if (info.constant && kIndex.contains(info.dtype) && info.constant.size() <= 4096) return info.constant.to_ints();
  return info.value ? to_concrete(*info.value) : std::nullopt;
}

bool same_shape(const SymShape& a, const SymShape& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

bool same_shape(const Graph& g, ValueId a, ValueId b) {
  return a != kNoValue && b != kNoValue && g.info(a).ranked && g.info(b).ranked && same_shape(g.info(a).shape, g.info(b).shape);
}

bool all_ones(const SymShape& shape) {
  return std::all_of(shape.begin(), shape.end(), [](const Dim& d) { return d.is(1); });
}

std::optional<std::vector<double>> channel_values(const Graph& g, ValueId v, int64_t rank, int64_t axis,
                                                  int64_t channels) {
  if (!g.is_constant(v) || !is_float(g.info(v).dtype)) return std::nullopt;
  const Tensor& t = g.constant(v);
  if (t.rank() > rank) return std::nullopt;
  for (int64_t d = 0; d < t.rank(); ++d)
    if (t.dim(d) != 1 && (rank - t.rank() + d != axis || t.dim(d) != channels)) return std::nullopt;
  std::vector<double> values = t.to_doubles();
  if (values.size() == 1) values.resize(size_t(channels), values[0]);
  return values;
}

std::optional<Ints> sorted_axes(const Ints& axes, int64_t rank) {
  Ints out;
  for (int64_t a : axes) {
    if (a < -rank || a >= rank) return std::nullopt;
    out.push_back(a < 0 ? a + rank : a);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::optional<Ints> reduced_axes(const Graph& g, const Node& node) {
  const ValueInfo& x = g.info(node.inputs[0]);
  if (!x.ranked) return std::nullopt;
  const int64_t rank = int64_t(x.shape.size());
  if (node.inputs.size() > 1 && node.inputs[1] != kNoValue) {
    auto axes = int_values(g, node.inputs[1]);
    if (!axes) return std::nullopt;
    if (!axes->empty()) return sorted_axes(*axes, rank);
  }
  if (node.attrs.i("noop_with_empty_axes")) return std::nullopt;
  Ints all(size_t(rank), 0);
  std::iota(all.begin(), all.end(), int64_t(0));
  return all;
}

std::optional<ReshapeTarget> reshape_target(const SymShape& in, const SymShape& out) {
  ReshapeTarget target;
  bool symbolic = false, rest = false, zero = false;
  for (const Dim& d : out) {
    symbolic = symbolic || !d.is_const();
    zero = zero || d.is(0);
  }
  if (zero && symbolic) return std::nullopt;
  target.allow_zero = zero;
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i].is_const()) {
      target.dims.push_back(out[i].constant());
    } else if (i < in.size() && in[i] == out[i]) {
      target.dims.push_back(0);
    } else if (!rest) {
      rest = true;
      target.dims.push_back(-1);
    } else {
      return std::nullopt;
    }
  }
  return target;
}

double guess_bytes(const ValueInfo& info) {
  if (!info.ranked) return 0;
  double n = bits(info.dtype) / 8.0;
  for (size_t i = 0; i < info.shape.size(); ++i) {
    const auto guess = [&](const std::string&) { return std::optional<int64_t>(i == 0 ? 1 : 64); };
    n *= double(std::max<int64_t>(1, info.shape[i].eval(guess).value_or(1)));
  }
  return n;
}

bool is_op(const Node& node, std::string_view name) { return node.op->name == name && node.op->domain.empty(); }

size_t product_factors(const Graph& g, const Node& node) {
  if (!node.attrs.has("exact") || node.inputs.size() < 2) return 0;
  if (is_op(node, "Conv") && node.attrs.i("group") > 1 && g.info(node.inputs[1]).ranked && g.info(node.inputs[1]).shape[1].is(1)) return 0;
  return node.op->name.ends_with("Attention") ? 3 : 2;
}

bool has_body(const Node& node) {
  for (const auto& [name, value] : node.attrs)
    if (std::holds_alternative<GraphPtr>(value)) return true;
  return false;
}

}  // namespace tenon
