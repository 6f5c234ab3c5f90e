// Fused: several nodes that one kernel computes; `body` says in ONNX terms what they are, `kind` what sort of kernel.
// Made by passes, never by models.
#include "ops/op.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  std::vector<ValueInfo> out = TRY(a.infer_subgraph ? a.infer_subgraph("body", a.in)
                                                    : Result<std::vector<ValueInfo>>(internal_error("no subgraphs here")));
  if (out.size() < a.out.size()) return invalid_model("has ", a.out.size(), " outputs, its body ", out.size());
  for (size_t i = 0; i < a.out.size(); ++i) a.out[i] = std::move(out[i]);
  return {};
}

static Status reference(RefArgs& a) {
  if (!a.run_subgraph) return internal_error("no subgraphs here");
  std::vector<Tensor> out = TRY(a.run_subgraph("body", std::vector<Tensor>(a.in.begin(), a.in.end())));
  if (out.size() < a.out.size()) return invalid_model("has ", a.out.size(), " outputs, its body ", out.size());
  for (size_t i = 0; i < a.out.size(); ++i) a.out[i] = std::move(out[i]);
  return {};
}

extern const Op op_fused{
    .name = "Fused",
    .domain = "tenon",
    .inputs = {{"inputs", kAny, 0, Param::variadic}},
    .outputs = {{"outputs", kAny, 0, Param::variadic}},
    .attrs = {required_attr("body", AttrKind::graph), required_attr("kind", AttrKind::s)},
    .infer = infer,
    .reference = reference,
};

}  // namespace tenon::ops
