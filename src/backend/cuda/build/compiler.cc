#include "backend/cuda/build/compiler.h"

#include "backend/cuda/build/family.h"
#include "backend/cuda/build/nvrtc.h"
#include "backend/cuda/cuda.h"

namespace tenon::cuda {

namespace {

// Bytes as a tensor of u8.
Tensor byte_tensor(const std::string& bytes) {
  Tensor t = Tensor::make(DType::u8, {int64_t(bytes.size())});
  std::copy(bytes.begin(), bytes.end(), t.as<char>());
  return t;
}

class CudaCompiler : public KernelCompiler {
 public:
  explicit CudaCompiler(const Chip& chip) : chip_(chip) {}
  std::string target() const override { return cat("cuda:", chip_.name); }
  bool on_host() const override { return false; }
  std::vector<std::string> precisions() const override { return {"fp32", "tf32", "fp16", "bf16"}; }
  Status ready() const override { return nvrtc_description().status(); }
  KernelAnswer supports(const KernelRequest& r) const override { return choose(r).second; }
  std::vector<KernelVariant> variants(const KernelRequest& r) const override {
    const Family* f = choose(r).first;
    return f && f->variants ? f->variants(r, chip_) : std::vector<KernelVariant>();
  }
  std::string toolchain() const override { return nvrtc_version(); }
  Result<KernelImage> compile(const KernelRequest& r) override {
    const Family* f = choose(r).first;
    CHECK(f != nullptr);
    Program p = TRY(f->generate(r, chip_));
    Compiled code = TRY(compile_cuda(p.source, chip_));
    KernelImage image{"cuda", p.variant, p.recipe.to_text(), {byte_tensor(code.cubin)}, std::move(p.absorbed_inputs)};
    image.host_inputs = p.recipe.value_inputs;
    image.unread_inputs = p.recipe.unread_inputs(r.node.inputs.size());
    image.strides_output = p.strides_output;
    image.slow = slowness(code);
    for (Tensor& t : p.data) image.data.push_back(std::move(t));
    return image;
  }

 private:
  std::pair<const Family*, KernelAnswer> choose(const KernelRequest& r) const {
    std::string why;
    for (const Family* f : families()) {
      if (!f->concerns(r)) continue;
      KernelAnswer a = f->supports(r, chip_);
      if (a.yes) return {f, a};
      why += cat(why.empty() ? "" : "; ", f->name, ": ", a.reason);
    }
    return {nullptr, {false, why.empty() ? "no cuda kernel family handles this operator" : why}};
  }
  const Chip chip_;
};

}  // namespace

Result<std::unique_ptr<KernelCompiler>> create_compiler(const std::string& target) {
  std::string named = target;
  if (target.empty() || target == "cuda") {
    auto own = target_of_machine();
    if (!own.ok()) return own.status().with_remedy("name what to build for: --target cuda:sm_90a; or use --device cpu");
    named = *own;
  }
  const Chip chip = TRY(chip_of_target(named));
  return std::unique_ptr<KernelCompiler>(std::make_unique<CudaCompiler>(chip));
}

}  // namespace tenon::cuda
