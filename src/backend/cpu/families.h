// Families of cpu kernels: each answers whether it can do a request, compiles it, and loads what it compiled.
#pragma once

#include <functional>

#include "backend/cpu/kernels/isa.h"
#include "backend/request.h"

namespace tenon::cpu {

struct Family {
  const char* name;  // also the first part of a kernel's name
  // Whether this family is about such nodes at all; `supports` then says yes, or why not.
  bool (*concerns)(const KernelRequest&);
  KernelAnswer (*supports)(const KernelRequest&);
  // Null: nothing to prepare, the image is just the family's name.
  Result<KernelImage> (*compile)(const KernelRequest&, Isa);
  Result<std::unique_ptr<Kernel>> (*load)(const KernelSource&, Isa);
  // KernelCompiler::variants; null where there is never a choice. `compile` makes the one that the request names.
  std::vector<KernelVariant> (*variants)(const KernelRequest&, Isa) = nullptr;
};

// The families, in the order in which they are asked.
std::span<const Family* const> families();

// ---- what families are written with -----------------------------------------------------------------------------

using Descs = std::span<const TensorDesc>;

// A launch from a function; `scratch` in bytes.
class FunctionLaunch : public Launch {
 public:
  using Run = std::function<Status(const LaunchArgs&, ThreadPool&)>;
  FunctionLaunch(int64_t scratch, Run run) : scratch_(scratch), run_(std::move(run)) {}
  int64_t scratch_bytes() const override { return scratch_; }
  Status run(const LaunchArgs& args) override { return run_(args, *args.stream.pool()); }

 private:
  int64_t scratch_;
  Run run_;
};
using LaunchResult = Result<std::unique_ptr<Launch>>;
inline LaunchResult make_launch(int64_t scratch, FunctionLaunch::Run run) {
  return std::unique_ptr<Launch>(std::make_unique<FunctionLaunch>(scratch, std::move(run)));
}

// A kernel from its bind function.
class FunctionKernel : public Kernel {
 public:
  using Bind = std::function<LaunchResult(Descs in, Descs out, int threads)>;
  explicit FunctionKernel(Bind bind, uint32_t value_inputs = 0) : bind_(std::move(bind)), value_inputs_(value_inputs) {}
  uint32_t value_inputs() const override { return value_inputs_; }
  LaunchResult bind(Descs in, Descs out, Stream& stream) const override { return bind_(in, out, stream.pool()->threads()); }

 private:
  Bind bind_;
  uint32_t value_inputs_;
};
inline Result<std::unique_ptr<Kernel>> make_kernel(FunctionKernel::Bind bind, uint32_t value_inputs = 0) {
  return std::unique_ptr<Kernel>(std::make_unique<FunctionKernel>(std::move(bind), value_inputs));
}

inline KernelAnswer no(std::string reason) { return {false, std::move(reason)}; }
inline KernelAnswer yes() { return {true, ""}; }
// The elements of an operand that the kernel lists in value_inputs().
std::vector<int64_t> int_values(const TensorDesc& d);

}  // namespace tenon::cpu
