// Upsample: the standard's earlier name for Resize with coordinates x / scale; import turns it into that.
#include "ops/op.h"

namespace tenon::ops {

static Status upgrade_9(Upgrade& u) {
  if (u.node.inputs.size() != 2) return invalid_model("has ", u.node.inputs.size(), " inputs, 2 are needed");
  u.node.op_type = "Resize";
  u.node.inputs = {u.node.inputs[0], "", u.node.inputs[1]};
  if (u.node.attrs.s("mode") == "bilinear") u.node.attrs.set("mode", "linear");
  u.node.attrs.set("coordinate_transformation_mode", "asymmetric");
  u.node.attrs.set("nearest_mode", "floor");
  return {};
}

// Opset 7 had the scales in an attribute.
static Status upgrade_7(Upgrade& u) {
  if (u.node.inputs.size() != 1) return invalid_model("has ", u.node.inputs.size(), " inputs, 1 is needed");
  const Floats& scales = u.node.attrs.floats("scales");
  u.node.inputs.push_back(u.constant(Tensor::of_floats(std::vector<double>(scales.begin(), scales.end()))));
  u.node.attrs.erase("scales");
  return upgrade_9(u);
}

static Status gone() { return unsupported("Upsample is part of opsets 7 to 9 only; use Resize"); }

extern const Op op_upsample{
    .name = "Upsample",
    .version = 9,
    .compatible_from = 10,
    .removed_in = 10,
    .older = {{7, upgrade_7}, {9, upgrade_9}},
    .inputs = {{"X", kAny}, {"scales", DType::f32, 'S'}},
    .attrs = {{"mode", "nearest"}},
    .infer = [](InferArgs&) { return gone(); },
    .reference = [](RefArgs&) { return gone(); },
};

}  // namespace tenon::ops
