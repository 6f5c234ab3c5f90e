#include "passes/fusion/fold_scales.h"

#include <cmath>

#include "passes/known.h"
#include "passes/rewriter.h"

namespace tenon {

namespace {

// y = x * scale + shift for each channel.
struct Affine {
  std::vector<double> scale, shift;
};

// What a producer with weights offers: where its weights' channels are and how many.
struct Weighted {
  Node node;
  int64_t channels = 0, channel_axis = 1;  // of its output
  int64_t weight_input = 1;
};

// The producer of v, if its weights are constant and nobody else sees v.
std::optional<Weighted> weighted_producer(const Rewriter& r, ValueId v) {
  const Node* n = r.def(v);
  if (!n || !r.once(v) || !n->op->domain.empty() || n->outputs.size() != 1 || !r.info(v).ranked) return std::nullopt;
  const std::string& op = n->op->name;
  if (op != "Conv" && op != "ConvTranspose" && op != "Gemm" && op != "MatMul") return std::nullopt;
  if (!r.is_constant(n->inputs[1]) || !is_float(r.info(n->inputs[1]).dtype)) return std::nullopt;
  if (n->inputs.size() > 2 && n->inputs[2] != kNoValue && !r.is_constant(n->inputs[2])) return std::nullopt;
  const Tensor& w = r.constant(n->inputs[1]);
  Weighted out{*n};
  const int64_t rank = int64_t(r.info(v).shape.size());
  if (op == "Conv") out.channels = w.dim(0);
  else if (op == "ConvTranspose") out.channels = w.dim(1) * n->attrs.i("group", 1);
  else if (op == "Gemm") out.channels = w.dim(n->attrs.i("transB") ? 0 : 1);
  else if (w.rank() < 2 || rank < 2) return std::nullopt;
  else out.channels = w.dim(w.rank() - 1);
  if (op == "MatMul" || n->attrs.i("channels_last")) out.channel_axis = rank - 1;
  if (op == "Gemm" && n->inputs.size() > 2 && n->inputs[2] != kNoValue &&
      !channel_values(r.graph(), n->inputs[2], 2, 1, out.channels))
    return std::nullopt;
  return out;
}

Tensor scaled_weights(const Weighted& p, const Tensor& w, const std::vector<double>& scale) {
  Tensor out = Tensor::make(w.dtype(), w.shape());
  // The weights as [groups, outer, channels of a group, inner].
  const bool transposed = p.node.op->name == "ConvTranspose";
  const bool leading = p.node.op->name == "Conv" || (p.node.op->name == "Gemm" && p.node.attrs.i("transB"));
  const int64_t groups = transposed ? std::max<int64_t>(1, p.node.attrs.i("group", 1)) : 1;
  const int64_t channels = p.channels / groups;
  int64_t inner = 1;
  for (int64_t d = leading ? 1 : transposed ? 2 : w.rank(); d < w.rank(); ++d) inner *= w.dim(d);
  if (channels == 0 || inner == 0 || w.size() == 0) return w;
  const int64_t outer = w.size() / (groups * channels * inner);
  int64_t i = 0;
  for (int64_t g = 0; g < groups; ++g)
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t c = 0; c < channels; ++c) {
        const double k = scale[size_t(g * channels + c)];
        for (int64_t j = 0; j < inner; ++j, ++i) {
          if (w.dtype() == DType::f32) out.as<float>()[i] = float(double(w.as<float>()[i]) * k);
          else out.set(i, w.at(i) * k);
        }
      }
  return out;
}

// Puts the affine map into the producer's weights. False: its weights cannot hold it.
Result<bool> fold_into(Rewriter& r, const Node& n, const Weighted& p, const Affine& map) {
  const std::string& op = p.node.op->name;
  bool shifts = false, scales = false;
  for (double s : map.shift) shifts = shifts || s != 0;
  for (double s : map.scale) scales = scales || s != 1;
  if (op == "MatMul" && shifts) return false;
  const ValueId weights = p.node.inputs[1];
  const Tensor w = r.constant(weights);
  std::vector<ValueId> inputs = p.node.inputs;
  inputs.resize(std::max<size_t>(inputs.size(), 2));
  Attrs attrs = p.node.attrs;
  if (scales) inputs[1] = r.constant(r.graph().value(weights).name, scaled_weights(p, w, map.scale));
  const bool has_bias = inputs.size() > 2 && inputs[2] != kNoValue;
  if (op != "MatMul" && (has_bias || shifts)) {
    std::vector<double> bias(size_t(p.channels), 0.0);
    if (has_bias) bias = *channel_values(r.graph(), inputs[2], op == "Gemm" ? 2 : 1, op == "Gemm" ? 1 : 0, p.channels);
    const double beta = op == "Gemm" ? double(attrs.f("beta", 1)) : 1;
    for (size_t c = 0; c < bias.size(); ++c) bias[c] = bias[c] * beta * map.scale[c] + map.shift[c];
    if (op == "Gemm") attrs.set("beta", 1.0f);
    const std::string hint = has_bias ? r.graph().value(inputs[2]).name : r.graph().value(weights).name + ".bias";
    inputs.resize(3);
    inputs[2] = r.constant(hint, Tensor::of_floats(bias, w.dtype()));
  }
  TRY(r.emit_to(n.outputs[0], op, inputs, attrs, {&p.node, &n}));
  return true;
}

std::optional<Affine> batch_norm_map(const Rewriter& r, const Node& n) {
  if (n.attrs.i("training_mode") || !r.info(n.inputs[0]).ranked) return std::nullopt;
  for (size_t i = 1; i < 5; ++i)
    if (!r.is_constant(n.inputs[i]) || r.constant(n.inputs[i]).rank() != 1) return std::nullopt;
  const std::vector<double> s = r.constant(n.inputs[1]).to_doubles(), b = r.constant(n.inputs[2]).to_doubles();
  const std::vector<double> m = r.constant(n.inputs[3]).to_doubles(), v = r.constant(n.inputs[4]).to_doubles();
  if (s.size() != b.size() || s.size() != m.size() || s.size() != v.size()) return std::nullopt;
  Affine map;
  for (size_t c = 0; c < s.size(); ++c) {
    const double k = s[c] / std::sqrt(v[c] + double(n.attrs.f("epsilon")));
    map.scale.push_back(k);
    map.shift.push_back(b[c] - m[c] * k);
  }
  return map;
}

Result<bool> batch_norm(Rewriter& r, const Node& n) {
  if (n.outputs.size() != 1) return false;
  const auto map = batch_norm_map(r, n);
  if (!map) return false;
  const int64_t rank = int64_t(r.info(n.inputs[0]).shape.size());
  const auto p = weighted_producer(r, n.inputs[0]);
  if (p && p->channel_axis == 1 && p->channels == int64_t(map->scale.size()) && TRY(fold_into(r, n, *p, *map))) return true;
  if (rank < 2) return false;
  Shape shape(size_t(rank - 1), 1);
  shape[0] = int64_t(map->scale.size());
  const std::string name = r.graph().value(n.outputs[0]).name;
  const DType type = r.info(n.inputs[0]).dtype;
  const ValueId k = r.constant(name + ".scale", Tensor::of_floats(map->scale, type).reshaped(shape));
  const ValueId b = r.constant(name + ".shift", Tensor::of_floats(map->shift, type).reshaped(shape));
  const ValueId scaled = TRY(r.emit(name, "Mul", {n.inputs[0], k}, {}, {&n}));
  TRY(r.emit_to(n.outputs[0], "Add", {scaled, b}, {}, {&n}));
  return true;
}

// Mul, Div, Add or Sub of a constant after weights.
Result<bool> constant_operand(Rewriter& r, const Node& n) {
  const std::string& op = n.op->name;
  for (size_t side = 0; side < 2; ++side) {
    if (side == 1 && (op == "Div" || op == "Sub")) return false;
    const auto p = weighted_producer(r, n.inputs[side]);
    if (!p || !same_shape(r.graph(), n.inputs[side], n.outputs[0])) continue;
    const int64_t rank = int64_t(r.info(n.outputs[0]).shape.size());
    const auto c = channel_values(r.graph(), n.inputs[1 - side], rank, p->channel_axis, p->channels);
    if (!c) continue;
    Affine map{std::vector<double>(c->size(), 1.0), std::vector<double>(c->size(), 0.0)};
    for (size_t i = 0; i < c->size(); ++i) {
      if (op == "Mul") map.scale[i] = (*c)[i];
      else if (op == "Div") map.scale[i] = 1 / (*c)[i];
      else map.shift[i] = op == "Add" ? (*c)[i] : -(*c)[i];
      if (!std::isfinite(map.scale[i])) return false;
    }
    if (TRY(fold_into(r, n, *p, map))) return true;
  }
  return false;
}

}  // namespace

Result<Graph> fold_scales(Graph g, const PassOptions&) {
  TRY(rewrite(g, [](Rewriter& r, const Node& n) -> Result<bool> {
    if (is_op(n, "BatchNormalization")) return batch_norm(r, n);
    if (is_op(n, "Mul") || is_op(n, "Div") || is_op(n, "Add") || is_op(n, "Sub")) return constant_operand(r, n);
    return false;
  }));
  return g;
}

}  // namespace tenon
