#include "calibration/host_kernels.h"

#include "passes/known.h"

namespace tenon {

Result<std::unique_ptr<HostKernels>> HostKernels::create(const Graph& graph, int threads) {
  std::unique_ptr<HostKernels> out(new HostKernels(graph));
  out->compiler_ = TRY(create_compiler("cpu", ""));
  out->device_ = TRY(open_device(out->compiler_->target()));
  out->stream_ = TRY(out->device_->create_stream(threads));
  return out;
}

bool HostKernels::has(const Node& node) const { return !has_body(node) && compiler_->supports({graph_, node}).yes; }

Result<const Kernel*> HostKernels::kernel_of(const Node& node) {
  auto& [image, kernel] = kernels_[&node];
  if (!kernel) {
    image = TRY(compiler_->compile({graph_, node}));
    kernel = TRY(device_->load({graph_, node, image}));
  }
  return kernel.get();
}

// What inference tells of the node's results from these inputs, whose values it sees where they are few; nothing where that
// leaves a size open.
static std::optional<std::vector<TensorDesc>> result_descs(const Node& node, std::span<const Tensor> inputs) {
  constexpr int64_t kFew = 4096;
  InferArgs a{*node.op, node.attrs, {}, std::vector<ValueInfo>(node.outputs.size()), nullptr, nullptr};
  for (const Tensor& t : inputs) {
    ValueInfo info;
    if (t && t.size() <= kFew) info = constant_info(t);
    else if (t) info = {t.dtype(), true, to_sym(t.shape()), Tensor(), std::nullopt};
    a.in.push_back(std::move(info));
  }
  int made_up = 0;
  a.fresh = [&made_up](const char*) { return Dim::symbol(cat("_open_", ++made_up)); };
  if (!infer_op(a).ok()) return std::nullopt;
  std::vector<TensorDesc> out;
  for (size_t i = 0; i < a.out.size(); ++i) {
    TensorDesc d;
    if (node.outputs[i] != kNoValue) {
      auto shape = a.out[i].ranked ? to_concrete(a.out[i].shape) : std::nullopt;
      if (!shape) return std::nullopt;
      d = {a.out[i].dtype, *shape, nullptr};
    }
    out.push_back(std::move(d));
  }
  return out;
}

Result<std::optional<std::vector<Tensor>>> HostKernels::run(const Node& node, std::span<const Tensor> inputs) {
  using Nothing = std::optional<std::vector<Tensor>>;
  if (node.op->view && inputs[0]) {
    auto descs = result_descs(node, inputs);
    if (descs && descs->size() == 1) return Nothing({inputs[0].reshaped((*descs)[0].shape)});
    return Nothing();
  }
  if (!has(node)) return Nothing();
  const auto out_descs = result_descs(node, inputs);
  if (!out_descs) return Nothing();
  std::vector<TensorDesc> in_descs;
  std::vector<const void*> in;
  std::vector<void*> out;
  for (const Tensor& t : inputs) {
    in_descs.push_back(t ? TensorDesc{t.dtype(), t.shape(), t.data()} : TensorDesc{});
    in.push_back(t ? t.data() : nullptr);
  }
  std::vector<Tensor> results;
  for (const TensorDesc& d : *out_descs) {
    results.push_back(d.dtype == DType::none ? Tensor() : TRY(Tensor::allocate(d.dtype, d.shape)));
    out.push_back(results.back() ? results.back().data() : nullptr);
  }
  const Kernel* kernel = TRY(kernel_of(node));
  const std::unique_ptr<Launch> launch = TRY(kernel->bind(in_descs, *out_descs, *stream_));
  const std::shared_ptr<Buffer> scratch = device_->allocate(launch->scratch_bytes());
  if (!scratch) return Status(Code::out_of_memory, cat("no memory for ", launch->scratch_bytes(), " bytes of scratch"));
  TRY(launch->run({in.data(), out.data(), scratch->data(), *stream_}));
  TRY(stream_->synchronize());
  return Nothing(std::move(results));
}

}  // namespace tenon
