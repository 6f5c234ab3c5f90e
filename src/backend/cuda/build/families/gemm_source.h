// Products of matrices as CUDA source: one frame (tiles of the result, a ring of tiles of both operands in shared memory,
// the epilogue) for plain and batched products and for convolutions, which are products with pixels for rows.
//
//   result[b][m][n] = epilogue(sum over k of A[b][m][k] * B[b][n][k])
#pragma once

#include "backend/cuda/build/families/epilogue.h"

namespace tenon::cuda {

// The rows of a matrix as pixels of an image that a window slides over: row = (image, position of the window),
// k = (tap, channel), or (channel, tap) where channel_major.
struct Pixels {
  SymShape in, out;                            // sizes of the 1 to 3 spatial dimensions
  std::vector<int64_t> kernel, stride, dilation;
  SymShape pad;                                // before the first pixel
  SymShape pad_end;                            // behind the last
  bool transposed = false;                     // of a transposed convolution: `in` is its input, the window slides over `out`
  Dim channels = 1;                            // of one group
  Dim images = 1, image_stride = 0, channel_stride = 1;  // strides in elements
  SymShape strides;                            // of the spatial dimensions
  bool channel_major = false;
  int64_t taps() const;
};

// An operand: a matrix of `rows` (m or n) by k, once for each batch entry.
struct Matrix {
  // k_major: element (row, k) at row * ld + k. columns: at k * ld + row. pixels: as Pixels says, rows being positions.
  enum Form : uint8_t { k_major, columns, pixels };
  Form form = k_major;
  bool stored = false;      // Arg::data rather than an input
  int index = 0;            // of the input or of the stored tensor
  Dim ld = 0;
  // From here on nothing is read: M or N, and K; more where padding with zeros was added.
  Dim row_limit = 0, k_limit = 0;
  SymShape batch_strides;   // in elements, one for each of Product::batch
  Pixels image;
};

struct Product {
  std::string name;        // of the kernel: "matmul", "conv"
  DType type = DType::f32;  // of both operands
  bool tf32 = false;        // f32 operands may be rounded to tf32
  Dim m, n, k;
  SymShape batch;           // outermost first; may be empty
  Matrix a, b;
  // Element (m, n) of the result at m * ldc + n, or where `plane` is not 0 at m / plane * ldc + n * plane + m % plane
  // (channels-first images of `plane` pixels); and how many columns further each batch entry is (groups).
  Dim ldc = 0, plane = 0;
  SymShape batch_c, batch_column;
  Epilogue epilogue;
  bool wide = false;        // places need 64 bits
  std::map<std::string, int64_t> likely;  // OperandDims::likely()
};

// How a product is cut.
struct Tile {
  // Tensor cores; CUDA cores; a few rows: a warp for each column; Hopper's tensor cores and copy engine.
  enum Kind : uint8_t { mma, simt, rows, wgmma } kind = mma;
  int bm = 0, bn = 0, bk = 0;  // of a block; bk in elements
  int wm = 0, wn = 0;          // of a warp (mma), of a thread (simt)
  int stages = 1;              // tiles in the ring
  int splits = 1;              // blocks that share the sum over k; rows: warps that do
  int cluster = 1;             // wgmma: blocks under each other that share tiles of B
  int blocks = 132;            // wgmma: blocks that stay, at most
  // wgmma: two groups of warps that take whole tiles in turn, so that one tile's sums leave while the next one is multiplied;
  // else they share a tile.
  bool alternate = false;
  int threads() const;
  std::string to_string() const;  // "mma.128x128x32.s4"
};

// Whether the tile can do this product, and the bytes of shared memory that it takes.
bool fits(const Product& p, const Tile& t, const Chip& chip);
int64_t shared_bytes(const Product& p, const Tile& t);
// How many elements of an operand may be moved at once; 0: only the run can tell, one or a whole chunk.
int run_length(const Matrix& x, int most);
// Neighbouring columns of the result that are stored at once.
int result_vector(const Product& p);

// Adds kernels and launches to `out`. Errors: unsupported, by the epilogue.
Status write_product(const Product& p, const Tile& t, Program& out);

}  // namespace tenon::cuda
