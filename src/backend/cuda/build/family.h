// Families of CUDA kernels: each answers whether it can do a request, and writes the source and the recipe for it.
// Nothing here needs a GPU or a driver.
#pragma once

#include "backend/compiler.h"
#include "backend/cuda/chip.h"
#include "backend/cuda/recipe.h"

namespace tenon::cuda {

// What a generator gives. `source` is CUDA C++ after the prelude, with extern "C" kernels; equal sources are compiled
// once, so names and text must not depend on the node's name.
struct Program {
  std::string variant;               // "pointwise.vec4": shown to people
  std::string source;
  Recipe recipe;
  std::vector<Tensor> data;          // packed weights: Arg::data by index
  std::vector<int> absorbed_inputs;  // inputs that `data` replaces
  bool strides_output = false;       // KernelImage's
};

struct Family {
  const char* name;
  // Whether this family is about such nodes at all; `supports` then says yes, or why not.
  bool (*concerns)(const KernelRequest&);
  KernelAnswer (*supports)(const KernelRequest&, const Chip&);
  Result<Program> (*generate)(const KernelRequest&, const Chip&);
  // KernelCompiler::variants; null where there is never a choice. `generate` makes the one that the request names.
  std::vector<KernelVariant> (*variants)(const KernelRequest&, const Chip&) = nullptr;
};

// The families, in the order in which they are asked.
std::span<const Family* const> families();

}  // namespace tenon::cuda
