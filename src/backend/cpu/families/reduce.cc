// Reductions over axes, ArgMax and ArgMin.
#include "backend/cpu/families.h"
#include "backend/cpu/kernels/reduce.h"

namespace tenon::cpu {

static std::optional<ReduceOp> reduce_op(const Node& n) {
  static const std::pair<const char*, ReduceOp> names[] = {
      {"ReduceSum", ReduceOp::sum},   {"ReduceMean", ReduceOp::mean}, {"ReduceMax", ReduceOp::max},
      {"ReduceMin", ReduceOp::min},   {"ReduceProd", ReduceOp::prod}, {"ReduceL1", ReduceOp::l1},
      {"ReduceL2", ReduceOp::l2},     {"ReduceSumSquare", ReduceOp::sum_square},
      {"ReduceLogSum", ReduceOp::log_sum}, {"ReduceLogSumExp", ReduceOp::log_sum_exp},
      {"GlobalAveragePool", ReduceOp::mean}, {"GlobalMaxPool", ReduceOp::max}};
  for (auto [name, op] : names)
    if (op_is(n, name)) return op;
  return std::nullopt;
}

static Result<ReduceDesc> describe_reduce(const Node& n, Descs in) {
  ReduceDesc d{*reduce_op(n), in[0].dtype, in[0].shape, {}};
  const int64_t rank = int64_t(in[0].shape.size());
  if (n.op->name.starts_with("Global")) {
    for (int64_t i = 2; i < rank; ++i) d.axes.push_back(i);
    return d;
  }
  if (in.size() > 1 && in[1].value) d.axes = int_values(in[1]);
  for (int64_t& a : d.axes) a = a < 0 ? a + rank : a;
  if (d.axes.empty() && !n.attrs.i("noop_with_empty_axes"))
    for (int64_t i = 0; i < rank; ++i) d.axes.push_back(i);
  return d;
}

static KernelAnswer supports_reduce(const KernelRequest& r) {
  const DType t = type_of(r, 0);
  auto plan = ReducePlan::make({*reduce_op(r.node), t, {2}, {0}});
  return plan.ok() ? yes() : no(plan.status().message());
}

static Result<std::unique_ptr<Kernel>> load_reduce(const KernelSource& s, Isa) {
  return make_kernel([&node = s.node](Descs in, Descs, int threads) -> LaunchResult {
    auto plan = std::make_shared<ReducePlan>(TRY(ReducePlan::make(TRY(describe_reduce(node, in)))));
    return make_launch(int64_t(plan->scratch_bytes()), [plan](const LaunchArgs& a, ThreadPool& pool) {
      plan->run(pool, a.inputs[0], a.outputs[0], a.scratch);
      return Status();
    });
  }, 0b10u);
}

extern const Family kReduce{"reduce", [](const KernelRequest& r) { return reduce_op(r.node).has_value(); }, supports_reduce,
                            nullptr, load_reduce};

static bool concerns_arg(const KernelRequest& r) { return op_is(r.node, "ArgMax") || op_is(r.node, "ArgMin"); }

static KernelAnswer supports_arg(const KernelRequest& r) {
  return arg_reduce_holds(type_of(r, 0)) ? yes() : no(cat("no kernel for ", name(type_of(r, 0))));
}

static Result<std::unique_ptr<Kernel>> load_arg(const KernelSource& s, Isa) {
  return make_kernel([&node = s.node](Descs in, Descs, int threads) -> LaunchResult {
    const Shape& shape = in[0].shape;
    const int64_t rank = int64_t(shape.size()), axis = (node.attrs.i("axis") + rank) % std::max<int64_t>(rank, 1);
    ArgReduceDesc d{op_is(node, "ArgMax"), node.attrs.i("select_last_index") != 0, in[0].dtype};
    for (int64_t i = 0; i < axis; ++i) d.outer *= shape[size_t(i)];
    if (rank) d.n = shape[size_t(axis)];
    for (int64_t i = axis + 1; i < rank; ++i) d.inner *= shape[size_t(i)];
    if (d.n == 0) return invalid_argument("nothing to choose from along axis ", axis);
    return make_launch(0, [d](const LaunchArgs& a, ThreadPool& pool) {
      arg_reduce(pool, d, a.inputs[0], static_cast<int64_t*>(a.outputs[0]));
      return Status();
    });
  });
}

extern const Family kArgReduce{"arg_reduce", concerns_arg, supports_arg, nullptr, load_arg};

}  // namespace tenon::cpu
