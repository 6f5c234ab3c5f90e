#include "ops/common/old_broadcast.h"

namespace tenon {

void append_dims(Upgrade& u, size_t index, int64_t rank, int64_t trailing) {
  Ints axes;
  for (int64_t i = 0; i < trailing; ++i) axes.push_back(rank + i);
  std::string wide = u.fresh_name("unsqueezed");
  u.before.push_back(
      {"", "Unsqueeze", u.node.name, {u.node.inputs[index], u.constant(Tensor::of_ints(axes))}, {wide}, {}});
  u.node.inputs[index] = wide;
}

Status upgrade_broadcast_6(Upgrade& u) {
  const bool placed = u.node.attrs.i("broadcast") && u.node.attrs.has("axis");
  const int64_t axis = u.node.attrs.i("axis");
  u.node.attrs.erase("broadcast");
  u.node.attrs.erase("axis");
  if (!placed || u.node.inputs.size() < 2) return {};
  const ValueInfo a = u.info(u.node.inputs[0]), b = u.info(u.node.inputs[1]);
  if (!a.ranked || !b.ranked) return unsupported("broadcasting of opset 6 with inputs of unknown rank");
  const int64_t rank_a = int64_t(a.shape.size()), rank_b = int64_t(b.shape.size());
  const int64_t first = axis < 0 ? axis + rank_a : axis, trailing = rank_a - first - rank_b;
  if (first < 0 || trailing < 0)
    return invalid_model("axis ", axis, " does not place ", to_string(b.shape), " inside ",
                         to_string(a.shape));
  if (trailing > 0) append_dims(u, 1, rank_b, trailing);
  return {};
}

}  // namespace tenon
