// Loop: for (i = 0; i < M && cond; ++i) (cond, carried..., scan...) = body(i, cond, carried..., captured...);
// gives the last carried values, and each scan value of all rounds stacked along a new first axis.
#include <algorithm>

#include "ops/common/control_flow.h"

namespace tenon::ops {

static ValueInfo scalar_info(DType t) {
  ValueInfo v;
  v.dtype = t;
  v.ranked = true;
  return v;
}

// The value of a scalar input where it is known, as a symbol.
static std::optional<Dim> known_scalar(const InferArgs& a, size_t formals, size_t i) {
  if (i >= formals || !a.has(i)) return std::nullopt;
  if (a.value(i)) return (*a.value(i))[0];
  if (a.has_constant(i)) return Dim(a.in[i].constant.int_at(0));
  return std::nullopt;
}

static Status infer(InferArgs& a) {
  const size_t formals = TRY(formal_inputs(a.attrs, a.in.size(), 0));
  for (size_t i = 0; i < std::min<size_t>(formals, 2); ++i)
    if (a.ranked(i))
      if (auto shape = to_concrete(a.shape(i)); shape && num_elements(*shape) != 1)
        return invalid_model("input '", a.op.inputs[i].name, "' must have one element, its shape is ",
                             to_string(a.shape(i)));
  const bool has_trips = formals > 0 && a.has(0), has_cond = formals > 1 && a.has(1);
  const std::optional<Dim> trips = known_scalar(a, formals, 0), cond = known_scalar(a, formals, 1);

  std::vector<ValueInfo> first = {scalar_info(DType::i64), scalar_info(DType::boolean)};
  first[1].value = std::vector<Dim>{Dim(1)};  // a round begins only while it is true
  std::vector<ValueInfo> carried, captured(a.in.begin() + int64_t(formals), a.in.end());
  for (size_t i = 2; i < formals; ++i) {
    if (!a.has(i)) return invalid_model("carried value ", i - 2, " is absent");
    carried.push_back(without_value(a.in[i]));
  }
  std::vector<ValueInfo> out = TRY(infer_rounds(a, first, carried, captured, 1));
  if (out[0].dtype != DType::boolean)
    return invalid_model("the body's first output must be bool, it is ", name(out[0].dtype));
  if (out.size() < a.out.size() + 1)
    return invalid_model("the body has ", out.size(), " outputs, the node needs ", a.out.size() + 1);

  const bool stays = out[0].value && (*out[0].value)[0].is(1);  // the body never ends the loop itself
  const bool never = (cond && cond->is(0)) || (trips && trips->is_const() && trips->constant() <= 0);
  for (size_t i = 0; i < a.out.size(); ++i) {
    ValueInfo& v = out[i + 1];
    if (i < carried.size()) {
      // No round at all leaves the first value.
      if (never)
        v = carried[i];
      else
        v = TRY(merge_infos(a, carried[i], v, "carried"));
      a.out[i] = v;
      continue;
    }
    ValueInfo stacked = without_value(v);
    if (stacked.ranked) {
      Dim count = a.fresh("rounds");
      if (never)
        count = Dim(0);
      else if (has_trips && trips && stays && (!has_cond || (cond && cond->is(1))))
        count = max(*trips, Dim(0));
      for (Dim& d : stacked.shape)
        if (never && !d.is_const()) d = Dim(0);
      stacked.shape.insert(stacked.shape.begin(), count);
    }
    if (never && !stacked.ranked) {
      stacked.ranked = true;
      stacked.shape = {Dim(0)};
    }
    a.out[i] = stacked;
  }
  return {};
}

static Status reference(RefArgs& a) {
  const size_t formals = TRY(formal_inputs(a.attrs, a.in.size(), 0));
  // Bodies run without inference before them, so what the shapes must be is asked here again.
  for (size_t i = 0; i < std::min<size_t>(formals, 2); ++i)
    if (a.has(i) && a.x(i).size() != 1)
      return invalid_argument("input '", a.op.inputs[i].name, "' must have one element, its shape is ", a.x(i).shape());
  const int64_t trips = formals > 0 && a.has(0) ? a.x(0).int_at(0) : INT64_MAX;
  bool cond = formals > 1 && a.has(1) ? a.x(1).int_at(0) != 0 : true;
  std::vector<Tensor> carried;
  for (size_t i = 2; i < formals; ++i) carried.push_back(a.x(i));
  const size_t n = carried.size();
  std::vector<std::vector<Tensor>> scans(a.out.size() > n ? a.out.size() - n : 0);
  for (int64_t round = 0; round < trips && cond; ++round) {
    std::vector<Tensor> in = {Tensor::scalar_int(round), Tensor::scalar_int(1, DType::boolean)};
    for (Tensor& t : carried) in.push_back(std::move(t));
    for (size_t i = formals; i < a.in.size(); ++i) in.push_back(a.in[i]);
    std::vector<Tensor> out = TRY(a.run_subgraph("body", std::move(in)));
    if (out.size() < 1 + n + scans.size()) return invalid_model("the body has ", out.size(), " outputs");
    if (out[0].size() != 1) return invalid_argument("the body's condition has shape ", out[0].shape());
    cond = out[0].int_at(0) != 0;
    for (size_t i = 0; i < n; ++i) carried[i] = std::move(out[1 + i]);
    for (size_t i = 0; i < scans.size(); ++i) scans[i].push_back(std::move(out[1 + n + i]));
  }
  for (size_t i = 0; i < a.out.size(); ++i) {
    if (i < n) {
      a.out[i] = std::move(carried[i]);
    } else if (!scans[i - n].empty()) {
      a.out[i] = TRY(stack(scans[i - n], 0, false));
    } else {
      TRY(stack_nothing(a, i, 0));
    }
  }
  return {};
}

extern const Op op_loop{
    .name = "Loop",
    .version = 25,
    .compatible_from = 1,
    .inputs = {{"M", DType::i64, 0, Param::optional},
               {"cond", kBool, 0, Param::optional},
               {"v_initial", kAny, 0, Param::variadic}},
    .outputs = {{"v_final_and_scan_outputs", kAny, 0, Param::variadic}},
    .attrs = {required_attr("body", AttrKind::graph), {"captures", int64_t(0)}},
    .infer = infer,
    .reference = reference,
};

}  // namespace tenon::ops
