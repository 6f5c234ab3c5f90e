// GroupNormalization: y = (x - mean) / sqrt(variance + epsilon) * scale + bias, the moments taken over each group of
// channels of each instance; scale and bias are given for each channel.
#include "ops/common/norm.h"

namespace tenon::ops {

// Until opset 21 scale and bias were given for each group: repeat them for the group's channels.
static Status upgrade_18(Upgrade& u) {
  if (u.node.inputs.size() != 3) return invalid_model("has ", u.node.inputs.size(), " inputs, 3 are needed");
  const ValueInfo x = u.info(u.node.inputs[0]);
  const int64_t groups = u.node.attrs.i("num_groups");
  if (!x.ranked || x.shape.size() < 2 || !x.shape[1].is_const())
    return unsupported("opset ", u.opset, " GroupNormalization of an unknown number of channels");
  const int64_t channels = x.shape[1].constant();
  if (groups < 1 || channels % groups) return invalid_model(channels, " channels do not divide into ", groups, " groups");
  for (size_t i = 1; i < 3; ++i) {
    std::string column = u.fresh_name("column"), table = u.fresh_name("table"), flat = u.fresh_name("per_channel");
    std::string shape = u.constant(Tensor::of_ints({groups, 1}));
    std::string repeat = u.constant(Tensor::of_ints({groups, channels / groups}));
    std::string all = u.constant(Tensor::of_ints({channels}));
    u.before.push_back({"", "Reshape", u.node.name, {u.node.inputs[i], shape}, {column}, {}});
    u.before.push_back({"", "Expand", u.node.name, {column, repeat}, {table}, {}});
    u.before.push_back({"", "Reshape", u.node.name, {table, all}, {flat}, {}});
    u.node.inputs[i] = flat;
  }
  return {};
}

static Status infer(InferArgs& a) {
  const int64_t groups = a.attrs.i("num_groups");
  if (groups < 1) return invalid_model("attribute 'num_groups' is ", groups, ", it must be positive");
  if (!a.ranked(0)) return infer_same(a);
  if (a.rank(0) < 2) return invalid_model("needs an input of rank 2 or more, not ", a.rank(0));
  const Dim& channels = a.shape(0)[1];
  if (channels.is_const() && channels.constant() % groups)
    return invalid_model(channels.constant(), " channels do not divide into ", groups, " groups");
  TRY(check_vector(a, 1, channels));
  TRY(check_vector(a, 2, channels));
  return infer_same(a);
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  if (y.size() == 0) return {};
  std::vector<double> values = x.to_doubles();
  normalize_rows(values, x.dim(0) * a.attrs.i("num_groups"), a.attrs.f("epsilon"));
  scale_channels(values, x.dim(0), a.x(1).to_doubles(), a.x(2).to_doubles());
  store_doubles(y.dtype(), y.data(), 0, y.size(), values.data());
  return {};
}

extern const Op op_group_normalization{
    .name = "GroupNormalization",
    .version = 21,
    .compatible_from = 21,
    .older = {{18, upgrade_18}},
    .inputs = {{"X", kFloats}, {"scale", kFloats}, {"bias", kFloats}},
    .attrs = {required_attr("num_groups", AttrKind::i), {"epsilon", 1e-5f}, {"stash_type", int64_t(1)}},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::reduction,
    .tolerance = {.f32 = 16},
    .samples = {{{{{2, 6, 5, 3}}, {{6}}, {{6}}}, {{"num_groups", int64_t(2)}}},
                {{{{1, 4, 9}}, {{4}}, {{4}}}, {{"num_groups", int64_t(4)}}}},
};

}  // namespace tenon::ops
