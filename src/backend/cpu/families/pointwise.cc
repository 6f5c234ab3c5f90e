// Elementwise operators and fused groups of them: one blocked loop over a scalar program.
#include "backend/cpu/families.h"
#include "backend/cpu/kernels/pointwise.h"
#include "ir/scalar_region.h"

namespace tenon::cpu {

static bool concerns(const KernelRequest& r) {
  return is_scalar_node(r.node) || r.node.attrs.s("kind") == "pointwise";
}

static Result<PointwiseCode> code_for(const Graph& g, const Node& node) {
  ScalarRegion region = TRY(scalar_region(g, node));
  return PointwiseCode::compile(region.program, region.inputs);
}

static KernelAnswer supports(const KernelRequest& r) {
  auto code = code_for(r.graph, r.node);
  return code.ok() ? yes() : no(code.status().message());
}

static Result<std::unique_ptr<Kernel>> load(const KernelSource& s, Isa) {
  PointwiseCode code = TRY(code_for(s.graph, s.node));
  return make_kernel([code](Descs in, Descs out, int threads) -> LaunchResult {
    std::vector<Shape> shapes;
    for (const TensorDesc& d : in) shapes.push_back(d.shape);
    auto plan = std::make_shared<PointwisePlan>(TRY(PointwisePlan::make(code, shapes, out[0].shape)));
    return make_launch(int64_t(plan->scratch_bytes(threads)), [plan](const LaunchArgs& a, ThreadPool& pool) {
      plan->run(pool, a.inputs, a.outputs, a.scratch);
      return Status();
    });
  });
}

extern const Family kPointwise{"pointwise", concerns, supports, nullptr, load};

}  // namespace tenon::cpu
