// Which tile a product gets: candidates, and a model of how long each would take.
#pragma once

#include "backend/cuda/build/families/gemm_source.h"

namespace tenon::cuda {

// A size of the product to plan for. Symbols that nobody gave a size: the first dimension of an operand (a batch) counts
// as 8, others as 128.
int64_t likely_size(const Product& p, const Dim& d);
// All that are thought of, whether they fit the product or not.
std::vector<Tile> candidate_tiles(const Product& p, const Chip& chip);
// The fastest tile by the model, or the one that `variant` names. Deterministic: of equal ones the first. Errors:
// unsupported, none fits; no_kernel, none has that name.
Result<Tile> choose_tile(const Product& p, const Chip& chip, const std::string& variant = "");
// KernelCompiler::variants: tiles worth a comparison.
std::vector<KernelVariant> tile_variants(const Product& p, const Chip& chip);
// The model's estimate, in clocks of one multiprocessor.
double tile_cost(const Product& p, const Tile& t, const Chip& chip);
// "matmul.mma.128x128x32.s4"
std::string variant_name(const Product& p, const Tile& t);

}  // namespace tenon::cuda
