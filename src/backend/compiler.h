// The backend contract, build half: what turns the nodes of an optimised graph into kernels.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "engine/content.h"

namespace tenon {

// One step that needs a kernel. Shapes are symbolic; what is constant in them is constant for good.
struct KernelRequest {
  const Graph& graph;
  const Node& node;
  bool tf32 = false;  // products of float32 may round their factors to tf32, where the node has no exact=1
  // What the graph's symbols may be: kernels are valid for all of it and best at the optimum. Null: nothing is known.
  const OptimizationProfile* profile = nullptr;
  std::string variant;  // one of KernelCompiler::variants(); empty: the compiler's own choice
};

// What a symbol of the request's shapes is to be planned for; nothing where nobody gave it a size.
std::optional<int64_t> optimum_of(const KernelRequest& request, const std::string& symbol);

// A kernel that could be compiled for a request.
struct KernelVariant {
  std::string name;     // as KernelImage::kernel will be
  double estimate = 0;  // seconds by the compiler's cost model; 0: it has none
};

// A kernel, or why there is none.
struct KernelAnswer {
  bool yes = false;
  std::string reason;  // when no: "Conv of f64 has no kernel"
};

class KernelCompiler {
 public:
  virtual ~KernelCompiler() = default;
  // "cpu:avx512": stored in the engine, checked when it is opened.
  virtual std::string target() const = 0;
  // Whether its kernels run on the host, in the host's memory.
  virtual bool on_host() const { return true; }
  // The precisions that it has kernels for, as --precision spells them.
  virtual std::vector<std::string> precisions() const { return {"fp32"}; }
  // Whether what compile() needs is on this machine; supports() needs nothing. Errors: unavailable, with the remedy.
  virtual Status ready() const { return {}; }
  virtual KernelAnswer supports(const KernelRequest& request) const = 0;
  // The kernels to choose from: its own choice first, then in the order in which they are worth a measurement, unlike
  // each other. Empty where there is no choice. REQUIRES: supports() said yes.
  virtual std::vector<KernelVariant> variants(const KernelRequest&) const { return {}; }
  // What its kernels depend on beside the target ("nvrtc 12.9"): measurements are kept by it.
  virtual std::string toolchain() const { return ""; }
  // REQUIRES: supports() said yes. Called from several threads at once. Errors: no_kernel, no such variant.
  virtual Result<KernelImage> compile(const KernelRequest& request) = 0;
};

// A compiler for a device ("cpu", "reference") and a target of it ("" is this machine's own, else "cpu:avx2").
// Errors: invalid_argument naming the devices there are; unavailable.
Result<std::unique_ptr<KernelCompiler>> create_compiler(const std::string& device, const std::string& target);

// In the order in which lowering asks them: the device's own compiler, then those that take over what it has no kernel
// for. The last one takes every node, control flow too.
using Compilers = std::vector<std::unique_ptr<KernelCompiler>>;
Result<Compilers> create_compilers(const std::string& device, const std::string& target);

}  // namespace tenon
