// Elements by index tensors: GatherND, GatherElements, ScatterND, ScatterElements; and NonZero.
#include "backend/cpu/kernels/indexed.h"

#include "backend/cpu/families.h"

namespace tenon::cpu {

static Combine combine_of(const Node& n) {
  static const std::pair<const char*, Combine> names[] = {
      {"add", Combine::add}, {"mul", Combine::mul}, {"max", Combine::max}, {"min", Combine::min}};
  for (auto [name, c] : names)
    if (n.attrs.s("reduction") == name) return c;
  return Combine::none;
}

static KernelAnswer supports(const KernelRequest& r) {
  const DType t = type_of(r, 0);
  return combine_holds(combine_of(r.node), t) ? yes() : no(cat("no kernel for ", name(t)));
}

// ---- tuples
// --------------------------------------------------------------------------------------------------------

// `batch` leading dimensions are common to data and indices.
static Result<TupleDesc> describe_tuples(const Node& n, Descs in, size_t batch) {
  const Shape &data = in[0].shape, &indices = in[1].shape;
  if (indices.empty()) return invalid_argument("indices is a scalar");
  const int64_t k = indices.back();
  if (k < 0 || batch + size_t(k) > data.size() || batch >= indices.size())
    return invalid_argument("tuples of ", k, " indices into data of rank ", data.size());
  const std::span<const int64_t> all(data), of_indices(indices);
  const Shape strides = row_major_strides(data);
  TupleDesc d;
  d.type = in[0].dtype;
  d.combine = combine_of(n);
  d.sizes.assign(data.begin() + int64_t(batch), data.begin() + int64_t(batch) + k);
  d.strides.assign(strides.begin() + int64_t(batch), strides.begin() + int64_t(batch) + k);
  d.batches = num_elements(all.first(batch));
  d.area = num_elements(all.subspan(batch));
  d.slice = num_elements(all.subspan(batch + size_t(k)));
  d.tuples = num_elements(of_indices.first(indices.size() - 1));
  return d;
}

static Result<std::unique_ptr<Kernel>> load_gather(const KernelSource& s, Isa) {
  return make_kernel([&node = s.node](Descs in, Descs, int) -> LaunchResult {
    const auto batch = size_t(node.attrs.i("batch_dims"));
    const TupleDesc d = TRY(describe_tuples(node, in, batch));
    for (size_t i = 0; i < batch; ++i)
      if (in[0].shape[i] != in[1].shape[i])
        return invalid_argument("batch dimension ", i, " differs between data and indices");
    return make_launch(0, [d](const LaunchArgs& a, ThreadPool& pool) {
      return gather_nd(pool, d, a.inputs[0], static_cast<const int64_t*>(a.inputs[1]), a.outputs[0]);
    });
  });
}
extern const Family kGatherND{"gather_nd", [](const KernelRequest& r) { return op_is(r.node, "GatherND"); },
                              supports, nullptr, load_gather};

static Result<std::unique_ptr<Kernel>> load_scatter(const KernelSource& s, Isa) {
  return make_kernel([&node = s.node](Descs in, Descs, int) -> LaunchResult {
    const TupleDesc d = TRY(describe_tuples(node, in, 0));
    if (num_elements(in[2].shape) != d.tuples * d.slice)
      return invalid_argument("updates of shape ", in[2].shape, " for ", d.tuples, " slices of ", d.slice,
                              " elements");
    return make_launch(0, [d, bytes = byte_size(d.type, d.area)](const LaunchArgs& a, ThreadPool& pool) {
      copy_bytes(pool, a.inputs[0], a.outputs[0], bytes);
      return scatter_nd(pool, d, static_cast<const int64_t*>(a.inputs[1]), a.inputs[2], a.outputs[0]);
    });
  });
}
extern const Family kScatterND{"scatter_nd",
                               [](const KernelRequest& r) { return op_is(r.node, "ScatterND"); }, supports,
                               nullptr, load_scatter};

// ---- one index an element
// ------------------------------------------------------------------------------------------

static Result<ElementsDesc> describe_elements(const Node& n, Descs in) {
  const Shape &data = in[0].shape, &indices = in[1].shape;
  if (data.empty() || data.size() != indices.size())
    return invalid_argument("indices of shape ", indices, " for data of shape ", data);
  const int64_t rank = int64_t(data.size());
  ElementsDesc d{in[0].dtype, in[1].dtype, combine_of(n), data, indices, (n.attrs.i("axis") + rank) % rank};
  for (int64_t i = 0; i < rank; ++i)
    if (i != d.axis && indices[size_t(i)] > data[size_t(i)])
      return invalid_argument("indices has size ", indices[size_t(i)], " in dimension ", i, ", data has ",
                              data[size_t(i)]);
  return d;
}

static Result<std::unique_ptr<Kernel>> load_elements(const KernelSource& s, Isa) {
  return make_kernel([&node = s.node](Descs in, Descs, int) -> LaunchResult {
    const ElementsDesc d = TRY(describe_elements(node, in));
    if (op_is(node, "GatherElements"))
      return make_launch(0, [d](const LaunchArgs& a, ThreadPool& pool) {
        return gather_elements(pool, d, a.inputs[0], a.inputs[1], a.outputs[0]);
      });
    if (in[2].shape != in[1].shape)
      return invalid_argument("indices ", in[1].shape, " and updates ", in[2].shape, " differ in shape");
    return make_launch(
        0, [d, bytes = byte_size(d.type, num_elements(d.data))](const LaunchArgs& a, ThreadPool& pool) {
          copy_bytes(pool, a.inputs[0], a.outputs[0], bytes);
          return scatter_elements(pool, d, a.inputs[1], a.inputs[2], a.outputs[0]);
        });
  });
}
extern const Family kElements{"elements",
                              [](const KernelRequest& r) {
                                return op_is(r.node, "GatherElements") || op_is(r.node, "ScatterElements");
                              },
                              supports, nullptr, load_elements};

// ---- NonZero
// -------------------------------------------------------------------------------------------------------

namespace {
// Its output's size is known after the data were seen: it makes its own.
class NonZeroKernel : public Kernel {
 public:
  LaunchResult bind(Descs in, Descs out, Stream&) const override {
    if (out[0].shape.size() != 2 || out[0].shape[0] != int64_t(in[0].shape.size()))
      return invalid_argument("gives no shape ", out[0].shape);
    const int64_t count = out[0].shape.back();
    return make_launch(0, [d = in[0], count](const LaunchArgs& a, ThreadPool&) -> Status {
      const int64_t found = count_nonzero(d.dtype, a.inputs[0], num_elements(d.shape));
      if (found != count)
        return invalid_argument("finds ", found, " elements where ", count, " were expected");
      find_nonzero(d.dtype, d.shape, a.inputs[0], count, static_cast<int64_t*>(a.outputs[0]));
      return {};
    });
  }
  bool can_run_dynamic() const override { return true; }
  Status run_dynamic(std::span<const Tensor> in, std::vector<Tensor>& out,
                     const RunSubgraph&) const override {
    const Tensor& x = in[0];
    const int64_t count = count_nonzero(x.dtype(), x.data(), x.size());
    out[0] = TRY(Tensor::allocate(DType::i64, {x.rank(), count}));
    find_nonzero(x.dtype(), x.shape(), x.data(), count, out[0].as<int64_t>());
    return {};
  }
};
}  // namespace

static KernelAnswer supports_nonzero(const KernelRequest& r) {
  const DType t = type_of(r, 0);
  return nonzero_holds(t) ? yes() : no(cat("no kernel for ", name(t)));
}
static Result<std::unique_ptr<Kernel>> load_nonzero(const KernelSource&, Isa) {
  return std::unique_ptr<Kernel>(std::make_unique<NonZeroKernel>());
}
extern const Family kNonZero{"nonzero", [](const KernelRequest& r) { return op_is(r.node, "NonZero"); },
                             supports_nonzero, nullptr, load_nonzero};

}  // namespace tenon::cpu
