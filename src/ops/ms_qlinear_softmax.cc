// com.microsoft QLinearSoftmax: Softmax of quantised numbers, quantised. It tells the opset whose Softmax it
// is: before 13 all dimensions from `axis` on were one.
#include "ops/common/qlinear.h"

namespace tenon::ops {

static Status upgrade(Upgrade& u) {
  const ValueInfo x = u.info(input_of(u, 0));
  const int64_t opset = u.node.attrs.i("opset", 13);
  int64_t axis = u.node.attrs.i("axis", -1);
  u.node.attrs.erase("opset");
  if (opset < 13 && axis != -1) {
    if (!x.ranked) return unsupported("QLinearSoftmax of opset ", opset, " of an input of unknown rank");
    if (axis < 0) axis += int64_t(x.shape.size());
    if (axis != int64_t(x.shape.size()) - 1)
      return unsupported("QLinearSoftmax of opset ", opset, " over several dimensions");
  }
  return rewrite_qlinear(u, "Softmax", 1);
}

extern const Op op_ms_qlinear_softmax{
    .name = "QLinearSoftmax",
    .domain = "com.microsoft",
    .compatible_from = kRewritten,
    .older = {{1, upgrade}},
    .infer = infer_rewritten,
    .reference = reference_rewritten,
};

}  // namespace tenon::ops
