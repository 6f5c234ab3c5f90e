// TopK, CumSum and CumProd: along one axis.
#include "backend/cpu/kernels/topk.h"

#include "backend/cpu/families.h"

namespace tenon::cpu {

// Sizes around an axis.
template <class Desc>
static Status split_at(Desc& d, const Shape& shape, int64_t axis) {
  const int64_t rank = int64_t(shape.size());
  if (axis < -rank || axis >= rank) return invalid_argument("axis ", axis, " of rank ", rank);
  const std::span<const int64_t> all(shape);
  const auto at = size_t(axis < 0 ? axis + rank : axis);
  d.outer = num_elements(all.first(at));
  d.n = all[at];
  d.inner = num_elements(all.subspan(at + 1));
  return {};
}

static KernelAnswer supports_top_k(const KernelRequest& r) {
  const DType t = type_of(r, 0);
  return top_k_holds(t) ? yes() : no(cat("no kernel for ", name(t)));
}

static Result<std::unique_ptr<Kernel>> load_top_k(const KernelSource& s, Isa) {
  return make_kernel(
      [&node = s.node](Descs in, Descs, int threads) -> LaunchResult {
        TopKDesc d;
        d.type = in[0].dtype;
        d.largest = node.attrs.i("largest") != 0;
        TRY(split_at(d, in[0].shape, node.attrs.i("axis")));
        const auto k = int_values(in[1]);
        if (k.size() != 1 || k[0] < 0 || k[0] > d.n)
          return invalid_argument("cannot take ", k.empty() ? 0 : k[0], " of ", d.n, " elements");
        d.k = k[0];
        const bool indices = node.outputs.size() > 1;
        return make_launch(top_k_scratch_bytes(d, threads),
                           [d, indices](const LaunchArgs& a, ThreadPool& pool) {
                             top_k(pool, d, a.inputs[0], a.outputs[0],
                                   indices ? static_cast<int64_t*>(a.outputs[1]) : nullptr, a.scratch);
                             return Status();
                           });
      },
      0b10u);
}

extern const Family kTopK{"topk", [](const KernelRequest& r) { return op_is(r.node, "TopK"); },
                          supports_top_k, nullptr, load_top_k};

static bool concerns_cumulative(const KernelRequest& r) {
  return op_is(r.node, "CumSum") || op_is(r.node, "CumProd");
}

static KernelAnswer supports_cumulative(const KernelRequest& r) {
  const DType t = type_of(r, 0);
  return cumulative_holds(t) ? yes() : no(cat("no kernel for ", name(t)));
}

static Result<std::unique_ptr<Kernel>> load_cumulative(const KernelSource& s, Isa) {
  return make_kernel(
      [&node = s.node](Descs in, Descs, int) -> LaunchResult {
        CumulativeDesc d;
        d.type = in[0].dtype;
        d.product = op_is(node, "CumProd");
        d.exclusive = node.attrs.i("exclusive") != 0;
        d.reverse = node.attrs.i("reverse") != 0;
        const auto axis = int_values(in[1]);
        if (axis.size() != 1) return invalid_argument("axis is not a scalar");
        TRY(split_at(d, in[0].shape, axis[0]));
        return make_launch(0, [d](const LaunchArgs& a, ThreadPool& pool) {
          cumulative(pool, d, a.inputs[0], a.outputs[0]);
          return Status();
        });
      },
      0b10u);
}

extern const Family kCumulative{"cumulative", concerns_cumulative, supports_cumulative, nullptr,
                                load_cumulative};

}  // namespace tenon::cpu
