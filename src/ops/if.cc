// If: the outputs of then_branch where cond is true, of else_branch where it is not.
#include "ops/common/control_flow.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (a.ranked(0))
    if (auto shape = to_concrete(a.shape(0)); shape && num_elements(*shape) != 1)
      return invalid_model("the condition must have one element, its shape is ", to_string(a.shape(0)));
  const std::vector<ValueInfo> captured(a.in.begin() + 1, a.in.end());
  std::vector<ValueInfo> out;
  const bool known = a.has_constant(0) || (a.value(0) && (*a.value(0))[0].is_const());
  if (known) {
    const bool yes = a.has_constant(0) ? a.in[0].constant.int_at(0) != 0 : !(*a.value(0))[0].is(0);
    out = TRY(a.infer_subgraph(yes ? "then_branch" : "else_branch", captured));
  } else {
    auto yes = a.infer_subgraph("then_branch", captured), no = a.infer_subgraph("else_branch", captured);
    // Exporters leave branches that cannot work for the shapes at hand and are never taken.
    if (!yes.ok() && !no.ok()) return yes.status().with_prefix("then_branch: ");
    if (yes.ok() && no.ok()) {
      if (yes->size() != no->size())
        return invalid_model("then_branch has ", yes->size(), " outputs, else_branch has ", no->size());
      for (size_t i = 0; i < yes->size(); ++i)
        out.push_back(TRY(merge_infos(a, (*yes)[i], (*no)[i], "branch")));
    } else {
      out = yes.ok() ? *yes : *no;
    }
  }
  if (out.size() < a.out.size())
    return invalid_model("a branch has ", out.size(), " outputs, the node has ", a.out.size());
  out.resize(a.out.size());
  a.out = std::move(out);
  return {};
}

static Status reference(RefArgs& a) {
  if (a.x(0).size() != 1) return invalid_argument("the condition must have one element, its shape is ", a.x(0).shape());
  std::vector<Tensor> out =
      TRY(a.run_subgraph(a.x(0).int_at(0) ? "then_branch" : "else_branch", {a.in.begin() + 1, a.in.end()}));
  if (out.size() < a.out.size()) return invalid_model("the branch has ", out.size(), " outputs");
  for (size_t i = 0; i < a.out.size(); ++i) a.out[i] = std::move(out[i]);
  return {};
}

extern const Op op_if{
    .name = "If",
    .version = 25,
    .compatible_from = 1,
    .inputs = {{"cond", kBool, 0}, {"captured", kAny, 0, Param::variadic}},
    .outputs = {{"outputs", kAny, 0, Param::variadic}},
    .attrs = {required_attr("then_branch", AttrKind::graph),
              required_attr("else_branch", AttrKind::graph),
              {"captures", int64_t(0)}},
    .infer = infer,
    .reference = reference,
};

}  // namespace tenon::ops
