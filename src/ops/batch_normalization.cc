// BatchNormalization: y = (x - mean) / sqrt(var + epsilon) * scale + B for each channel; training_mode takes the moments
// from the batch and updates the running ones.
#include <cmath>

#include "ops/common/norm.h"

namespace tenon::ops {

// Until opset 14 a node was in training mode when it had more than one output; two of those five are gone.
static Status upgrade_9(Upgrade& u) {
  size_t present = 0;
  for (auto& name : u.node.outputs) present += !name.empty();
  if (present > 1) u.node.attrs.set("training_mode", int64_t(1));
  u.node.outputs.resize(std::min<size_t>(u.node.outputs.size(), present > 1 ? 3 : 1));
  return {};
}

// Until opset 9 `spatial` = 0 gave each element of an instance its own moments.
static Status upgrade_7(Upgrade& u) {
  if (u.node.attrs.i("spatial", 1) == 0) return unsupported("opset ", u.opset, " BatchNormalization with spatial = 0");
  u.node.attrs.erase("spatial");
  return upgrade_9(u);
}

static Status infer(InferArgs& a) {
  const bool training = a.attrs.i("training_mode") != 0;
  if (!training && a.out.size() > 1) return invalid_model("has ", a.out.size(), " outputs outside of training mode");
  Dim channels = a.ranked(1) && a.rank(1) == 1 ? a.shape(1)[0] : a.fresh("channels");
  if (a.ranked(0)) {
    if (a.rank(0) < 1) return invalid_model("needs an input of rank 1 or more");
    channels = a.rank(0) > 1 ? a.shape(0)[1] : Dim(1);
    for (size_t i = 1; i < 5; ++i) TRY(check_vector(a, i, channels));
  }
  a.set(1, a.dtype(3), {channels});
  a.set(2, a.dtype(4), {channels});
  return infer_same(a);
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  const bool training = a.attrs.i("training_mode") != 0;
  const int64_t batch = x.dim(0), channels = x.rank() > 1 ? x.dim(1) : 1;
  const int64_t plane = x.size() > 0 ? x.size() / (batch * channels) : 0;
  std::vector<double> values = x.to_doubles(), mean = a.x(3).to_doubles(), var = a.x(4).to_doubles();
  if (training) {
    const double keep = a.attrs.f("momentum");
    for (int64_t c = 0; c < channels; ++c) {
      std::vector<double> all;
      for (int64_t n = 0; n < batch; ++n) {
        const double* p = values.data() + (n * channels + c) * plane;
        all.insert(all.end(), p, p + plane);
      }
      const Moments m = moments(all.data(), int64_t(all.size()));
      if (a.wants(1)) a.y(1).set(c, mean[size_t(c)] * keep + m.mean * (1 - keep));
      if (a.wants(2)) a.y(2).set(c, var[size_t(c)] * keep + m.variance * (1 - keep));
      mean[size_t(c)] = m.mean, var[size_t(c)] = m.variance;
    }
  }
  std::vector<double> scale = a.x(1).to_doubles(), bias = a.x(2).to_doubles();
  for (size_t c = 0; c < scale.size(); ++c) {
    scale[c] /= std::sqrt(var[c] + double(a.attrs.f("epsilon")));
    bias[c] -= mean[c] * scale[c];
  }
  scale_channels(values, batch, scale, bias);
  store_doubles(y.dtype(), y.data(), 0, y.size(), values.data());
  return {};
}

extern const Op op_batch_normalization{
    .name = "BatchNormalization",
    .version = 15,
    .compatible_from = 14,
    .older = {{7, upgrade_7}, {9, upgrade_9}},
    .inputs = {{"X", kFloats},
               {"scale", kFloats, 'S'},
               {"B", kFloats, 'S'},
               {"input_mean", kFloats, 'U'},
               {"input_var", kFloats, 'U'}},
    .outputs = {{"Y"},
                {"running_mean", kFloats, 'U', Param::optional},
                {"running_var", kFloats, 'U', Param::optional}},
    .attrs = {{"epsilon", 1e-5f}, {"momentum", 0.9f}, {"training_mode", int64_t(0)}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::broadcast,
    .tolerance = {.f32 = 16},
    .samples = {{{{{2, 3, 5, 7}}, {{3}}, {{3}}, {{3}}, {{3}, DType::f32, 0.5, 2}}},
                {{{{2, 3}}, {{3}}, {{3}}, {{3}}, {{3}, DType::f32, 0.5, 2}}},
                {{{{4, 2, 3}}, {{2}}, {{2}}, {{2}}, {{2}, DType::f32, 0.5, 2}}, {{"training_mode", int64_t(1)}}, 3},
                {{{{0, 3, 4}}, {{3}}, {{3}}, {{3}}, {{3}, DType::f32, 0.5, 2}}}},
};

}  // namespace tenon::ops
