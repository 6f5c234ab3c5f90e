// Which tile a product gets: candidates, and a model of how long each would take.
#pragma once

#include "backend/cuda/build/families/gemm_source.h"

namespace tenon::cuda {

// A size to plan for: symbols that stand for the first dimension of an operand (a batch) count as 8, others as 128.
int64_t likely_size(const Dim& d);
// The fastest tile by the model. Deterministic: of equal ones the first. Errors: unsupported, none fits.
Result<Tile> choose_tile(const Product& p, const Chip& chip);
// The model's estimate, in clocks of one multiprocessor.
double tile_cost(const Product& p, const Tile& t, const Chip& chip);

}  // namespace tenon::cuda
