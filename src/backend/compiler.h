// The backend contract, build half: what turns the nodes of an optimised graph into kernels.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace tenon {

// One step that needs a kernel. Shapes are symbolic; what is constant in them is constant for good.
struct KernelRequest {
  const Graph& graph;
  const Node& node;
  bool tf32 = false;  // products of float32 may round their operands to tf32
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
  // REQUIRES: supports() said yes.
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
