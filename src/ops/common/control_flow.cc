#include "ops/common/control_flow.h"

#include <cstring>

namespace tenon {

Result<size_t> formal_inputs(const Attrs& attrs, size_t inputs, size_t least) {
  const int64_t captures = attrs.i("captures");
  if (captures < 0 || size_t(captures) > inputs || inputs - size_t(captures) < least)
    return invalid_model("has ", inputs, " inputs of which ", captures, " are captured, ", least,
                         " others are needed");
  return inputs - size_t(captures);
}

ValueInfo without_value(ValueInfo v) {
  v.constant = Tensor();
  v.value.reset();
  return v;
}

Result<ValueInfo> merge_infos(InferArgs& a, const ValueInfo& x, const ValueInfo& y, const char* hint) {
  if (x.dtype != y.dtype)
    return invalid_model("a value is of type ", name(x.dtype), " on one way and ", name(y.dtype),
                         " on the other");
  ValueInfo m = without_value(x);
  if (!x.ranked || !y.ranked || x.shape.size() != y.shape.size()) {
    m.ranked = false;
    m.shape.clear();
    return m;
  }
  for (size_t i = 0; i < m.shape.size(); ++i)
    if (!(x.shape[i] == y.shape[i])) m.shape[i] = a.fresh(hint);
  if (x.value && y.value && *x.value == *y.value) m.value = x.value;
  return m;
}

static constexpr const char* kEachRound = "each";

bool is_size_of_each_round(std::string_view symbol) {
  return starts_with(symbol, "_each_") || starts_with(symbol, "_each.");
}

Result<std::vector<ValueInfo>> infer_rounds(InferArgs& a, std::vector<ValueInfo> first,
                                            std::vector<ValueInfo> carried, std::vector<ValueInfo> last,
                                            size_t skip) {
  std::vector<std::vector<bool>> varies;  // dims that are symbols of ours already
  for (const ValueInfo& v : carried) varies.emplace_back(v.shape.size(), false);
  for (size_t i = 0; a.body_input && i < carried.size(); ++i) {
    const ValueInfo known = a.body_input("body", first.size() + i);
    if (!known.ranked || !carried[i].ranked || known.shape.size() != carried[i].shape.size()) continue;
    for (size_t d = 0; d < known.shape.size(); ++d)
      if (known.shape[d].is_symbol() && is_size_of_each_round(known.shape[d].to_string()) && !(known.shape[d] == carried[i].shape[d])) {
        carried[i].shape[d] = known.shape[d];
        varies[i][d] = true;
      }
  }
  for (;;) {
    std::vector<ValueInfo> in = first;
    in.insert(in.end(), carried.begin(), carried.end());
    in.insert(in.end(), last.begin(), last.end());
    std::vector<ValueInfo> out = TRY(a.infer_subgraph("body", std::move(in)));
    if (out.size() < skip + carried.size())
      return invalid_model("the body has ", out.size(), " outputs, ", skip + carried.size(),
                           " or more are needed");
    bool changed = false;
    for (size_t i = 0; i < carried.size(); ++i) {
      ValueInfo &now = carried[i], &next = out[skip + i];
      if (now.dtype != next.dtype)
        return invalid_model("carried value ", i, " is of type ", name(now.dtype), ", after a round it is ",
                             name(next.dtype));
      next = without_value(next);
      if (!now.ranked) {
        next.ranked = false;
        next.shape.clear();
        continue;
      }
      if (!next.ranked || next.shape.size() != now.shape.size()) {
        now.ranked = next.ranked = false;
        now.shape.clear();
        next.shape.clear();
        changed = true;
        continue;
      }
      for (size_t d = 0; d < now.shape.size(); ++d) {
        if (next.shape[d] == now.shape[d]) continue;
        next.shape[d] = a.fresh("carried");  // after the last round
        if (varies[i][d]) continue;
        now.shape[d] = a.fresh(kEachRound);
        varies[i][d] = changed = true;
      }
    }
    if (!changed) return out;
  }
}

Result<Tensor> stack(const std::vector<Tensor>& parts, int64_t axis, bool reversed) {
  const Tensor& one = parts[0];
  if (bits(one.dtype()) < 8) return unsupported("stacking values of type ", name(one.dtype()));
  for (const Tensor& t : parts)
    if (t.dtype() != one.dtype() || t.shape() != one.shape())
      return invalid_argument("the body gives a value of shape ", t.shape(), " in one round and ",
                              one.shape(), " in another");
  Shape shape = one.shape();
  shape.insert(shape.begin() + axis, int64_t(parts.size()));
  Tensor y = TRY(Tensor::allocate(one.dtype(), shape));
  int64_t outer = 1;
  for (int64_t d = 0; d < axis; ++d) outer *= shape[size_t(d)];
  if (one.size() == 0) return y;
  const size_t run = size_t(one.bytes() / outer);
  for (int64_t o = 0; o < outer; ++o)
    for (size_t k = 0; k < parts.size(); ++k) {
      const Tensor& from = parts[reversed ? parts.size() - 1 - k : k];
      std::memcpy(y.as<char>() + (size_t(o) * parts.size() + k) * run, from.as<char>() + size_t(o) * run,
                  run);
    }
  return y;
}

Status stack_nothing(RefArgs& a, size_t i, int64_t axis) {
  if (a.out[i] && a.out[i].size() == 0) return {};
  if (!a.infer) return internal_error("a body that never ran, and nobody to ask for its shapes");
  const std::vector<ValueInfo> infos = TRY(a.infer());
  const ValueInfo& info = infos[i];
  Shape shape;
  for (const Dim& d : info.shape) shape.push_back(d.is_const() ? d.constant() : 0);
  if (axis < 0) axis += int64_t(shape.size());
  if (!info.ranked || axis < 0 || axis >= int64_t(shape.size())) shape = {0};
  else shape[size_t(axis)] = 0;
  return a.allocate(i, info.dtype, std::move(shape)).status();
}

Result<Tensor> take(const Tensor& x, int64_t axis, int64_t k) {
  if (bits(x.dtype()) < 8) return unsupported("scanning values of type ", name(x.dtype()));
  Shape shape = x.shape();
  const int64_t n = shape[size_t(axis)];
  shape.erase(shape.begin() + axis);
  Tensor y = TRY(Tensor::allocate(x.dtype(), shape));
  if (y.size() == 0) return y;
  int64_t outer = 1;
  for (int64_t d = 0; d < axis; ++d) outer *= x.dim(d);
  const size_t run = size_t(y.bytes() / outer);
  for (int64_t o = 0; o < outer; ++o)
    std::memcpy(y.as<char>() + size_t(o) * run, x.as<char>() + size_t(o * n + k) * run, run);
  return y;
}

}  // namespace tenon
