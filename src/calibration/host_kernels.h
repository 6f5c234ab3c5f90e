// HostKernels: runs single nodes with the host's fast kernels, which are compiled when a node is first run.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "backend/compiler.h"

namespace tenon {

class HostKernels {
 public:
  // `graph` must outlive it and stay as it is. Kernels are chosen for its shapes and hold for all that these allow.
  static Result<std::unique_ptr<HostKernels>> create(const Graph& graph, int threads);
  // Whether there is a fast kernel for a node of the graph.
  bool has(const Node& node) const;
  // Nothing where the node has no fast kernel, or the sizes of its results cannot be told before it runs.
  Result<std::optional<std::vector<Tensor>>> run(const Node& node, std::span<const Tensor> inputs);

 private:
  explicit HostKernels(const Graph& graph) : graph_(graph) {}
  Result<const Kernel*> kernel_of(const Node& node);

  const Graph& graph_;
  std::unique_ptr<KernelCompiler> compiler_;
  std::shared_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
  std::map<const Node*, std::pair<KernelImage, std::unique_ptr<Kernel>>> kernels_;
};

}  // namespace tenon
