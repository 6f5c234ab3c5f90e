// What the kernels of a product have in common: which tile a block computes, and how its sums leave it.
#pragma once

#include "backend/cuda/build/families/gemm_load.h"

namespace tenon::cuda {

// A kernel being written for one product and tile.
struct GemmFrame {
  const Product& p;
  const Tile& t;
  KernelWriter k;
  int run;                // neighbouring columns that are finished together
  std::string a, b, out;  // names of the addresses; `out` is the workspace where the sum is split

  GemmFrame(const Product& product, const Tile& tile);
  // Constants and types; then the block's tile: row0, col0, split, the batch's offsets a_batch, b_batch, c_batch, column0.
  std::string constants() const;
  // `rank` is the number of the tile.
  Result<std::string> position(const std::string& rank = "blockIdx.x");
  // The blocks of k that this block adds up: first_block, last_block.
  std::string range() const;
  // Statements that finish RUN sums `c` of row `row` from column `column` on (REQUIRES: both are in the result).
  Result<EpilogueSteps> finish();
  // A loop of all threads over `rows` rows of sums in shared memory (`tile`, PITCH apart), `row` being the row of the
  // result of row `r` of the tile.
  Result<std::string> finish_tile(const std::string& rows, const std::string& row);
  // Adds the kernel, and its launch with a block for each tile and part.
  void add_to(Program& out, std::string body);
};

// The second kernel of a split product: adds the parts in order and finishes.
Status write_sum(const Product& p, const Tile& t, Program& out);
// Text in front of the kernels.
extern const char* const kGemmPrelude;

std::string sum_type(const Product& p);  // "float", "double", "unsigned" ...
Dim parts_bytes(const Product& p, const Tile& t);
// The three kinds of kernels.
Status write_mma(const Product& p, const Tile& t, Program& out);
Status write_simt(const Product& p, const Tile& t, Program& out);
Status write_wgmma(const Product& p, const Tile& t, Program& out);
// Statements of a group of warps whose sums are in `d`, a tile's: `ahead` before they are complete, `rest` then. They go through
// `corner`, shared memory of each warp for elements of this type. `spare_registers`: enough for what is read ahead.
struct WgmmaExit {
  std::string type, ahead, rest;
};
constexpr int kWgmmaCorner = 16 * 40 * 4;  // bytes: 16 rows of 32 sums
Result<WgmmaExit> wgmma_exit(GemmFrame& f, bool spare_registers);
bool wgmma_fits(const Product& p, const Tile& t, const Chip& chip);
int64_t wgmma_shared(const Tile& t);
int wgmma_threads(const Tile& t);
Status write_rows(const Product& p, const Tile& t, Program& out);

}  // namespace tenon::cuda
