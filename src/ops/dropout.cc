// Dropout: y = x when not training. When training, y = x * mask / (1 - ratio), where each element of the mask
// is kept with probability 1 - ratio.
#include <cmath>
#include <cstring>
#include <random>

#include "ops/op.h"

namespace tenon::ops {

// Before opset 12 there was no training; before opset 10 the mask had the type of the data.
static Status upgrade_dropout_7(Upgrade& u) {
  u.node.attrs.erase("ratio");
  if (u.opset >= 10 || u.node.outputs.size() < 2 || u.node.outputs[1].empty()) return {};
  const DType type = u.info(u.node.inputs[0]).dtype;
  std::string mask = u.fresh_name("mask");
  u.after.push_back({"", "Cast", u.node.name, {mask}, {u.node.outputs[1]}, {{"to", int64_t(type)}}});
  u.node.outputs[1] = mask;
  return {};
}

static Status infer(InferArgs& a) {
  for (size_t i : {1, 2})
    if (a.ranked(i))
      for (const Dim& d : a.shape(i))
        if (d.is_const() && !d.is(1))
          return invalid_model("input ", i, " must be a scalar, not ", to_string(a.shape(i)));
  if (!a.ranked(0)) {
    a.set_unranked(0, a.dtype(0));
    a.set_unranked(1, DType::boolean);
    return {};
  }
  a.set(0, a.dtype(0), a.shape(0));
  a.set(1, DType::boolean, a.shape(0));
  return {};
}

// The numbers are those of numpy's RandomState(seed), so a run with a seed can be compared with the
// standard's own reference. Without a seed the generator starts at 0: the same input gives the same output.
static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  const int64_t n = x.size();
  const double ratio = a.has(1) ? a.x(1).at(0) : 0.5;
  const bool training = a.has(2) && a.x(2).int_at(0) != 0;
  if (!(ratio >= 0 && ratio < 1)) return invalid_argument("ratio must be in [0, 1), not ", ratio);
  std::vector<int64_t> mask(size_t(n), 1);
  if (!training || ratio == 0) {
    if (n) std::memcpy(a.y(0).data(), x.data(), size_t(x.bytes()));
  } else {
    std::mt19937 random(static_cast<uint32_t>(a.attrs.i("seed")));
    std::vector<double> values = x.to_doubles();
    for (size_t i = 0; i < size_t(n); ++i) {
      const uint64_t high = random() >> 5, low = random() >> 6;
      const double uniform = (double(high) * 67108864 + double(low)) / 9007199254740992.0;
      mask[i] = uniform >= ratio;
      values[i] = mask[i] ? values[i] / (1 - ratio) : values[i] * 0;
    }
    store_doubles(x.dtype(), a.y(0).data(), 0, n, values.data());
  }
  if (a.wants(1)) store_ints(DType::boolean, a.y(1).data(), 0, n, mask.data());
  return {};
}

extern const Op op_dropout{
    .name = "Dropout",
    .version = 22,
    .compatible_from = 12,
    .older = {{7, upgrade_dropout_7}},
    .inputs = {{"data", kFloats | kFloat8s},
               {"ratio", kFloats | kFloat8s, 0, Param::optional},
               {"training_mode", kBool, 0, Param::optional}},
    .outputs = {{"output"}, {"mask", kBool, 0, Param::optional}},
    .attrs = {optional_attr("seed", AttrKind::i)},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::opaque,
    .samples = {{{{{2, 3, 5}}}, {}, 2}, {{{{0, 4}}}}},
};

}  // namespace tenon::ops
