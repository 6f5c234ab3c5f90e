// Softmax and LogSoftmax.
#include "backend/cpu/families.h"
#include "backend/cpu/kernels/softmax.h"

namespace tenon::cpu {

static bool concerns(const KernelRequest& r) { return op_is(r.node, "Softmax") || op_is(r.node, "LogSoftmax"); }

static KernelAnswer supports(const KernelRequest& r) {
  const DType t = type_of(r, 0);
  return t == DType::f32 || t == DType::f16 || t == DType::bf16 ? yes() : no(cat("no kernel for ", name(t)));
}

static Result<std::unique_ptr<Kernel>> load(const KernelSource& s, Isa) {
  return make_kernel([&node = s.node](Descs in, Descs, int threads) -> LaunchResult {
    const Shape& shape = in[0].shape;
    const int64_t rank = int64_t(shape.size()), axis = (node.attrs.i("axis") + rank) % std::max<int64_t>(rank, 1);
    SoftmaxDesc d;
    d.type = in[0].dtype;
    d.log = op_is(node, "LogSoftmax");
    for (int64_t i = 0; i < axis; ++i) d.outer *= shape[size_t(i)];
    if (rank) d.n = shape[size_t(axis)];
    for (int64_t i = axis + 1; i < rank; ++i) d.inner *= shape[size_t(i)];
    d.row_dims[2] = d.outer;
    return make_launch(int64_t(softmax_scratch_bytes(d, threads)), [d](const LaunchArgs& a, ThreadPool& pool) {
      softmax(pool, d, a.inputs[0], nullptr, a.outputs[0], a.scratch);
      return Status();
    });
  });
}

extern const Family kSoftmax{"softmax", concerns, supports, nullptr, load};

}  // namespace tenon::cpu
