#include "ops/common/flatten_upgrade.h"

namespace tenon {

Status upgrade_flattened(Upgrade& u) {
  NodeDef& node = u.node;
  if (node.inputs.empty() || node.outputs.empty()) return invalid_model("has no input or no output");
  const ValueInfo x = u.info(node.inputs[0]);
  if (!x.ranked) return unsupported("opset ", u.opset, " ", node.op_type, " of an input of unknown rank");
  const int64_t rank = int64_t(x.shape.size());
  int64_t axis = node.attrs.i("axis", 1);
  if (axis < 0) axis += rank;
  node.attrs.set("axis", axis);
  if (axis == rank - 1) return {};
  const std::string flat = u.fresh_name("flat"), y = u.fresh_name("rows"), shape = u.fresh_name("shape");
  u.before.push_back({"", "Flatten", node.name, {node.inputs[0]}, {flat}, {{"axis", axis}}});
  u.before.push_back({"", "Shape", node.name, {node.inputs[0]}, {shape}, {}});
  u.after.push_back({"", "Reshape", node.name, {y, shape}, node.outputs, {}});
  node.inputs = {flat};
  node.outputs = {y};
  node.attrs.set("axis", int64_t(-1));
  return {};
}

}  // namespace tenon
