#include "backend/reference/reference.h"

#include <algorithm>
#include <cstring>

#include "backend/host.h"
#include "base/memory_limit.h"
#include "ir/interpreter.h"
#include "ops/common/pointwise.h"

namespace tenon::reference {

namespace {

Tensor borrow(const TensorDesc& d, const void* data) {
  if (d.dtype == DType::none || !data) return {};
  return Tensor(d.dtype, d.shape, Buffer::borrow(data, byte_size(d.dtype, num_elements(d.shape)), nullptr));
}

Result<std::vector<ValueInfo>> infer_outputs(const Op& op, const Attrs& attrs, std::vector<ValueInfo> in, size_t outputs) {
  InferArgs a{op, attrs, std::move(in), std::vector<ValueInfo>(outputs), nullptr, body_inference(attrs)};
  int made_up = 0;
  a.fresh = [&made_up](const char*) { return Dim::symbol(cat("_unknown_", ++made_up)); };
  TRY(infer_op(a));
  return std::move(a.out);
}

Result<std::vector<ValueInfo>> infer_outputs(const Op& op, const Attrs& attrs, std::span<const Tensor> in, size_t outputs) {
  std::vector<ValueInfo> infos;
  for (const Tensor& t : in) infos.push_back(t ? constant_info(t) : ValueInfo{});
  return infer_outputs(op, attrs, std::move(infos), outputs);
}

class ReferenceLaunch : public Launch {
 public:
  ReferenceLaunch(const Op& op, const Attrs& attrs, std::vector<TensorDesc> in, std::vector<TensorDesc> out, bool certain)
      : op_(op), attrs_(attrs), in_(std::move(in)), out_(std::move(out)), certain_(certain) {}

  Status run(const LaunchArgs& args) override {
    std::vector<Tensor> in, out;
    for (size_t i = 0; i < in_.size(); ++i) in.push_back(borrow(in_[i], args.inputs[i]));
    if (!certain_) return run_checked(in, args);
    TRY(check_values(in));
    for (size_t i = 0; i < out_.size(); ++i) {
      // An output that nobody wants still needs a place, since references write all they compute.
      if (args.outputs[i]) out.push_back(borrow(out_[i], args.outputs[i]));
      else out.push_back(out_[i].dtype == DType::none ? Tensor() : TRY(Tensor::allocate(out_[i].dtype, out_[i].shape)));
    }
    RefArgs a{op_, attrs_, in, out, body_interpreter(attrs_)};
    const std::vector<Tensor> given = out;
    TRY(catch_bad_alloc([&] { return op_.reference ? op_.reference(a) : reference_pointwise(a); }));
    for (size_t i = 0; i < out_.size(); ++i)  // a reference may have allocated its own output
      if (args.outputs[i] && out[i].data() != given[i].data()) TRY(copy_output(i, out[i], args));
    return {};
  }

 private:
  // Shapes alone do not tell that an axis exists or that a list has the right length; references rely on it.
  Status check_values(std::span<const Tensor> in) {
    if (in.size() < 2 || op_.domain == "tenon") return {};
    const std::vector<ValueInfo> inferred = TRY(catch_bad_alloc([&] { return infer_outputs(op_, attrs_, in, out_.size()); }));
    for (size_t i = 0; i < out_.size(); ++i) {
      auto shape = inferred[i].ranked ? to_concrete(inferred[i].shape) : std::nullopt;
      if (shape && out_[i].dtype != DType::none && *shape != out_[i].shape)
        return invalid_argument("gives shape ", *shape, " where ", out_[i].shape, " was expected");
    }
    return {};
  }
  // Infers with the values, runs on memory of its own, and copies what fits.
  Status run_checked(std::span<const Tensor> in, const LaunchArgs& args) {
    std::vector<Tensor> out = TRY(interpret_node(op_, attrs_, in, out_.size()));
    for (size_t i = 0; i < out_.size(); ++i)
      if (args.outputs[i]) TRY(copy_output(i, out[i], args));
    return {};
  }
  Status copy_output(size_t i, const Tensor& from, const LaunchArgs& args) {
    if (from.dtype() != out_[i].dtype || from.shape() != out_[i].shape)
      return invalid_argument("gives ", name(from.dtype()), from.shape(), " where ", name(out_[i].dtype), out_[i].shape, " was expected");
    if (from.bytes()) std::memcpy(args.outputs[i], from.data(), size_t(from.bytes()));
    return {};
  }

  const Op& op_;
  const Attrs& attrs_;
  std::vector<TensorDesc> in_, out_;
  bool certain_;  // the shapes of the outputs follow from those of the inputs
};

// Completes the outputs by inference: references write all of them, also those that nobody wants. False where inference
// does not tell a shape before it sees the values: the reference must not be trusted to fit the memory that is there.
Result<bool> complete_outputs(const Op& op, const Attrs& attrs, const std::vector<TensorDesc>& in, std::vector<TensorDesc>& out) {
  std::vector<ValueInfo> infos;
  for (const TensorDesc& d : in) {
    if (d.value) infos.push_back(constant_info(borrow(d, d.value)));
    else infos.push_back({d.dtype, d.dtype != DType::none, to_sym(d.shape), Tensor(), std::nullopt});
  }
  const std::vector<ValueInfo> inferred = TRY(infer_outputs(op, attrs, std::move(infos), out.size()));
  bool certain = true;
  for (size_t i = 0; i < out.size(); ++i) {
    auto shape = inferred[i].ranked ? to_concrete(inferred[i].shape) : std::nullopt;
    certain = certain && shape;
    if (out[i].dtype == DType::none && shape) out[i] = {inferred[i].dtype, *shape};
  }
  return certain;
}

class ReferenceKernel : public Kernel {
 public:
  explicit ReferenceKernel(const Node& node) : op_(*node.op), attrs_(node.attrs) {}

  Result<std::unique_ptr<Launch>> bind(std::span<const TensorDesc> in, std::span<const TensorDesc> out,
                                       Stream&) const override {
    std::vector<TensorDesc> inputs(in.begin(), in.end()), outputs(out.begin(), out.end());
    const bool certain = TRY(complete_outputs(op_, attrs_, inputs, outputs));
    return std::unique_ptr<Launch>(std::make_unique<ReferenceLaunch>(op_, attrs_, std::move(inputs), std::move(outputs), certain));
  }
  bool can_run_dynamic() const override { return true; }
  Status run_dynamic(std::span<const Tensor> in, std::vector<Tensor>& out, const RunSubgraph& run) const override {
    if (run) {  // what the bodies decide need not be inferred first; what is known is allocated already
      const auto inferred = [&] { return infer_outputs(op_, attrs_, in, out.size()); };
      RefArgs a{op_, attrs_, in, out, run, {}, inferred};
      return catch_bad_alloc([&] { return op_.reference(a); });
    }
    out = TRY(interpret_node(op_, attrs_, in, out.size()));
    return {};
  }

 private:
  const Op& op_;
  const Attrs attrs_;
};

class ReferenceDevice : public HostDevice {
 public:
  std::string description() const override { return "reference kernels on the host"; }
  Result<std::unique_ptr<Kernel>> load(const KernelSource& s) override { return std::unique_ptr<Kernel>(std::make_unique<ReferenceKernel>(s.node)); }
};

class ReferenceCompiler : public KernelCompiler {
 public:
  std::string target() const override { return "reference"; }
  KernelAnswer supports(const KernelRequest&) const override { return {true, ""}; }
  Result<KernelImage> compile(const KernelRequest&) override { return KernelImage{"reference", "reference", "", {}, {}}; }
};

}  // namespace

Result<std::unique_ptr<KernelCompiler>> create_compiler(const std::string&) {
  return std::unique_ptr<KernelCompiler>(std::make_unique<ReferenceCompiler>());
}

Result<std::shared_ptr<Device>> open_device(const std::string&, int) {
  return std::shared_ptr<Device>(std::make_shared<ReferenceDevice>());
}

}  // namespace tenon::reference
