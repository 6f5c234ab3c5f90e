// ImageScaler: y = x * scale + bias[c], on [N, C, H, W]. Experimental, removed from the standard in opset 10; old
// exporters put it before a network.
#include "ops/op.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (!a.ranked(0)) return a.set_unranked(0, a.dtype(0)), Status();
  if (a.rank(0) != 4) return invalid_model("its input has rank ", a.rank(0), ", it must be [N, C, H, W]");
  const auto biases = int64_t(a.attrs.floats("bias").size());
  const Dim& c = a.shape(0)[1];
  if (biases && c.is_const() && !c.is(biases)) return invalid_model("bias has ", biases, " elements for ", c.constant(), " channels");
  a.set(0, a.dtype(0), a.shape(0));
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  const Floats& bias = a.attrs.floats("bias");
  const double scale = double(a.attrs.f("scale"));
  const int64_t plane = x.dim(2) * x.dim(3);
  for (int64_t i = 0; i < x.size(); ++i) {
    const double b = bias.empty() ? 0 : double(bias[size_t(i / plane % x.dim(1))]);
    y.set(i, x.at(i) * scale + b);
  }
  return {};
}

extern const Op op_image_scaler{
    .name = "ImageScaler",
    .removed_in = 10,
    .inputs = {{"input", kFloats}},
    .outputs = {{"output"}},
    .attrs = {optional_attr("bias", AttrKind::floats), {"scale", 1.0f}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::broadcast,
    .samples = {{{{{1, 3, 4, 5}}}, {{"scale", 0.5f}, {"bias", Floats{1, 2, 3}}}}, {{{{2, 1, 0, 3}}}}},
};

}  // namespace tenon::ops
