#include "backend/cpu/families/epilogue.h"

#include <algorithm>
#include <cmath>

#include "ir/scalar_region.h"

namespace tenon::cpu {

// The request's input that a body value is, or -1.
static int input_of(const Graph& body, ValueId v) {
  for (size_t k = 0; k < body.inputs.size(); ++k)
    if (body.inputs[k] == v) return int(k);
  return -1;
}

static bool number_of(const Graph& body, ValueId v, float& out) {
  if (v == kNoValue || !body.is_constant(v) || body.constant(v).size() != 1) return false;
  out = float(body.constant(v).at(0));
  return true;
}

// An activation that the micro-kernels have, with its parameters.
static bool known_activation(const Graph& body, const Node& n, Activation& act, float& a, float& b) {
  const std::string& op = n.op->name;
  if (!n.op->domain.empty()) return false;
  if (op == "Relu") act = Activation::relu;
  else if (op == "Sigmoid") act = Activation::sigmoid;
  else if (op == "Tanh") act = Activation::tanh;
  else if (op == "HardSwish") act = Activation::hard_swish;
  else if (op == "HardSigmoid") act = Activation::hard_sigmoid, a = n.attrs.f("alpha"), b = n.attrs.f("beta");
  else if (op == "LeakyRelu") act = Activation::leaky_relu, a = n.attrs.f("alpha");
  else if (op == "Gelu") act = n.attrs.s("approximate") == "tanh" ? Activation::gelu_tanh : Activation::gelu_erf;
  else if (op == "Clip") {
    act = Activation::clip;
    a = -INFINITY, b = INFINITY;
    if (n.inputs.size() > 1 && n.inputs[1] != kNoValue && !number_of(body, n.inputs[1], a)) return false;
    if (n.inputs.size() > 2 && n.inputs[2] != kNoValue && !number_of(body, n.inputs[2], b)) return false;
  } else {
    return false;
  }
  return true;
}

// Takes what the micro-kernels do by name: [Add bias] [Add residual] [activation] [Add residual], in this order. The
// roles of the two kinds of Add are settled when shapes are bound. True if that is the whole body.
bool EpiloguePlan::match_known(const Graph& body, size_t nodes, ValueId seed) {
  ValueId at = seed;
  bool activated = false;
  for (size_t n = 1; n < nodes; ++n) {
    const Node& node = body.nodes[n];
    if (op_is(node, "Add") && node.inputs.size() == 2) {
      const ValueId other = node.inputs[0] == at ? node.inputs[1] : node.inputs[0];
      const int input = input_of(body, other);
      if (input < 0 || other == at || (node.inputs[0] != at && node.inputs[1] != at)) return false;
      // A bias is one number a column; anything else must be a whole tensor. bind() checks the sizes.
      const SymShape &shape = body.info(other).shape, &whole = body.info(at).shape;
      const bool one_row = !shape.empty() && shape.size() <= whole.size() && shape.back() == whole.back() &&
                           std::all_of(shape.begin(), shape.end() - 1, [](const Dim& d) { return d.is(1); });
      if (one_row && whole.size() > 1 && !activated && bias_ < 0 && anchor_bias_ < 0) {
        bias_ = input;
      } else if (residual_ < 0 && shape == whole) {
        residual_ = input;
        residual_after_ = activated;
      } else {
        return false;
      }
    } else if (!activated && residual_after_ == false && node.inputs[0] == at && known_activation(body, node, act_, a_, b_)) {
      activated = true;
    } else if (!activated && op_is(node, "Sigmoid") == false && n + 1 == nodes && op_is(node, "Mul")) {
      return false;
    } else {
      return false;
    }
    at = node.outputs[0];
  }
  return body.outputs.size() == 1 && body.outputs[0] == at;
}

// x * sigmoid(x), spelled as two nodes at the end of a body.
static bool ends_in_silu(const Graph& body) {
  const size_t n = body.nodes.size();
  if (n < 3) return false;
  const Node &s = body.nodes[n - 2], &m = body.nodes[n - 1];
  if (!op_is(s, "Sigmoid") || !op_is(m, "Mul")) return false;
  const ValueId x = s.inputs[0], y = s.outputs[0];
  return (m.inputs[0] == x && m.inputs[1] == y) || (m.inputs[0] == y && m.inputs[1] == x);
}

Result<EpiloguePlan> EpiloguePlan::make(const Anchor& anchor, int anchor_bias) {
  EpiloguePlan plan;
  plan.anchor_bias_ = anchor_bias;
  if (!anchor.body) return plan;
  const Graph& body = *anchor.body;
  const ValueId seed = body.nodes[0].outputs[0];
  if (ends_in_silu(body)) {
    Graph head = body;  // what stands before the silu
    head.nodes.resize(body.nodes.size() - 2);
    head.outputs = {body.nodes[body.nodes.size() - 2].inputs[0]};
    if (plan.match_known(head, head.nodes.size(), seed) && plan.act_ == Activation::none) {
      plan.act_ = Activation::silu;
      return plan;
    }
  } else if (plan.match_known(body, body.nodes.size(), seed)) {
    return plan;
  }
  plan = EpiloguePlan();
  plan.anchor_bias_ = anchor_bias;
  ScalarRegion region = TRY(scalar_region_of_body(body, 1, seed));
  // The operands of the anchor itself are not the epilogue's.
  std::vector<bool> used(region.inputs.size());
  for (const ScalarInst& i : region.program.code)
    if (i.prim == Prim::input) used[size_t(i.input)] = true;
  for (size_t k = 0; k < used.size(); ++k)
    if (!used[k]) region.inputs[k] = DType::none;
  plan.code_ = std::make_shared<const PointwiseCode>(TRY(PointwiseCode::compile(region.program, region.inputs)));
  if (plan.code_->scratch_bytes() > 1 << 18) return unsupported("its epilogue is too large");
  plan.operands_.assign(region.inputs.size(), Operand::unused);
  for (size_t k = 0; k + 1 < used.size(); ++k)
    if (used[k]) plan.operands_[k] = Operand::full;  // settled by bind
  return plan;
}

Status EpiloguePlan::bind(Descs in, const Shape& output) {
  columns_ = output.empty() ? 1 : output.back();
  const auto role = [&](int input) -> Result<Operand> {
    const Shape& s = in[size_t(input)].shape;
    const int64_t n = num_elements(s);
    if (s == output) return Operand::full;
    if (n == 1) return Operand::number;
    if (n == columns_ && !s.empty() && s.back() == columns_) return Operand::column;
    return invalid_argument("an operand of shape ", s, " does not fit an epilogue over ", output);
  };
  for (size_t k = 0; k < operands_.size(); ++k)
    if (operands_[k] != Operand::unused) operands_[k] = TRY(role(int(k)));
  if (bias_ >= 0 && (num_elements(in[size_t(bias_)].shape) != columns_ || in[size_t(bias_)].shape.empty() || in[size_t(bias_)].shape.back() != columns_))
    return invalid_argument("a bias of shape ", in[size_t(bias_)].shape, " does not fit ", columns_, " columns");
  if (residual_ >= 0 && in[size_t(residual_)].shape != output)
    return invalid_argument("a residual of shape ", in[size_t(residual_)].shape, " is added to ", output);
  return {};
}

void EpiloguePlan::fill(Run& run, const void* const* inputs) const {
  const auto floats = [&](int i) { return i >= 0 ? static_cast<const float*>(inputs[i]) : nullptr; };
  run.plan = this;
  run.inputs = inputs;
  run.ld = columns_;
  Epilogue& e = run.epilogue;
  e.col_bias = anchor_bias_ >= 0 ? floats(anchor_bias_) : floats(bias_);
  e.residual = floats(residual_);
  e.residual_after = residual_after_;
  e.act = act_;
  e.a = a_;
  e.b = b_;
  if (code_) {
    e.callback = call;
    e.context = &run;
  }
}

void EpiloguePlan::call(void* context, float* y, int64_t row, int64_t col, int64_t n) {
  const Run& run = *static_cast<const Run*>(context);
  const EpiloguePlan& plan = *run.plan;
  alignas(64) static thread_local char scratch[1 << 18];
  PointwiseSource sources[32];
  for (size_t k = 0; k + 1 < plan.operands_.size(); ++k) {
    const auto* data = static_cast<const float*>(run.inputs[k]);
    switch (plan.operands_[k]) {
      case Operand::unused: break;
      case Operand::number: sources[k] = {data, true}; break;
      case Operand::column: sources[k] = {data + col, false}; break;
      case Operand::full: sources[k] = {data + row * run.ld + col, false}; break;
    }
  }
  sources[plan.operands_.size() - 1] = {y, false};
  void* out = y;
  plan.code_->run(n, sources, &out, scratch);
}

}  // namespace tenon::cpu
