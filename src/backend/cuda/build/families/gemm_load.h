// The text that brings tiles of a product's operands into shared memory.
#pragma once

#include "backend/cuda/build/families/common.h"
#include "backend/cuda/build/families/gemm_source.h"

namespace tenon::cuda {

// One operand in the text of a kernel. Its names start with `x`, "a" or "b".
struct LoadSide {
  const Matrix& matrix;
  std::string x;         // "a"
  std::string pointer;   // where it lies: the parameter's name
  std::string first;     // the tile's first row: "row0"
  std::string limit;     // rows there are: "M"
  int rows = 0;          // of the tile
  int run = 1;           // elements moved at once, 1 or 4 bytes and more; 0: whole chunks or one, as the run shows (async_loader)
};

// Statements before the loop, and the lambdas that the loop calls. The kernel has the constants THREADS, BK, E (elements of
// 16 bytes), SIZE, the types T and Index, `tid`, and an Index `a_batch` (`b_batch`).
//   load_a(unsigned char* to, int block)     copies block `block` of k, asynchronously where it can. The tile lies as the
//                                            operand does, in rows of 16-byte chunks that swizzle<CHUNKS_a> puts in place.
//   fetch_a(int block), put_a(T* to)         through registers; the tile has BK rows of `rows` + 4 elements.
std::string async_loader(KernelWriter& k, const LoadSide& s);
std::string register_loader(KernelWriter& k, const LoadSide& s);

}  // namespace tenon::cuda
