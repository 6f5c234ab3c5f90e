// Runs scalar programs (ops/scalar.h) over broadcast operands, block by block through vector kernels.
// A program is compiled once into a list of block kernels over register slots in L1; a plan adds concrete shapes.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "base/tensor.h"
#include "base/thread_pool.h"
#include "ops/scalar.h"

namespace tenon::cpu {

// One kernel call on a block: dst[i] = f(src0[i * step0], …). A step of 0 reads a 64-byte cell of equal values.
struct BlockArgs {
  void* dst;
  const void* src[3];
  size_t step[3];
  size_t n;
  int64_t imm;
};
using BlockFn = void (*)(const BlockArgs&);

// How an input is walked by a run over n elements.
struct PointwiseSource {
  const void* data = nullptr;
  bool scalar = false;  // one element for all n; otherwise n adjacent elements
};

class PointwiseCode {
 public:
  // inputs[i]: type in memory of input i (none: absent); outputs[j]: type in memory of output j, which must be that of
  // the program's result. Errors: a type the kernels do not hold (packed ones, strings, complex).
  static Result<PointwiseCode> compile(const ScalarProgram& program, const std::vector<DType>& inputs);

  // Runs over n elements on this thread. `scratch`: scratch_bytes() bytes of this thread's own. An output may be the
  // very memory of a non-scalar input of the same width if the program has one output. Good as an epilogue on one row
  // of accumulators: input 0 and the output are the row, the others lie beside it or are scalars.
  void run(int64_t n, const PointwiseSource* inputs, void* const* outputs, void* scratch) const;

  size_t scratch_bytes() const { return scratch_bytes_; }
  size_t num_inputs() const { return inputs_.size(); }
  size_t num_outputs() const { return outputs_.size(); }
  DType input_type(size_t i) const { return inputs_[i].type; }
  DType output_type(size_t j) const { return outputs_[j]; }
  int64_t block() const { return block_; }
  // About how many cheap operations one element costs; decides how finely work is cut.
  int64_t cost() const { return cost_; }

 private:
  friend struct PointwiseCompiler;
  friend class PointwisePlan;
  struct Step {
    BlockFn fn;
    int dst;
    int src[3];
    int64_t imm;
  };
  struct Input {
    DType type = DType::none;
    int place = -1;         // -1: not read
    BlockFn load = nullptr; // null: read in place
    int bytes = 0;          // in memory
    int reg_bytes = 0;
  };
  // Places are numbered: slots, then constants, then inputs, then outputs.
  int num_slots_ = 0, first_const_ = 0, first_input_ = 0, first_output_ = 0, num_places_ = 0;
  std::vector<Step> steps_;
  std::vector<Input> inputs_;
  std::vector<DType> outputs_;
  std::vector<char> consts_;  // 64 bytes each
  int64_t block_ = 1024, cost_ = 1;
  size_t slot_bytes_ = 0, scratch_bytes_ = 0;
};

class PointwisePlan {
 public:
  // shapes[i] (of inputs[i]; ignored where absent) broadcast to `shape`, which all outputs have. Inputs and outputs are
  // dense and row-major, unless strides[i] (in elements, one per dim of `shape`) says otherwise for an input.
  static Result<PointwisePlan> make(PointwiseCode code, const std::vector<Shape>& shapes, const Shape& shape,
                                    const std::vector<Shape>& strides = {});

  size_t scratch_bytes(int threads) const { return worker_bytes_ * size_t(threads) + 64; }
  void run(ThreadPool& pool, const void* const* inputs, void* const* outputs, void* scratch) const;
  const PointwiseCode& code() const { return code_; }

 private:
  enum class Walk : uint8_t { absent, contiguous, scalar, filled };
  struct Operand {
    Walk walk = Walk::absent;
    int bytes = 0;
    int64_t row_stride = 0, element_stride = 0;  // inside a tile
    size_t staging = 0;                          // offset of a filled tile in the worker's scratch
  };
  struct Cursor {  // what an operand's staging holds
    int64_t offset, elements;
  };
  void run_tiles(int64_t begin, int64_t end, const void* const* inputs, void* const* outputs, char* scratch) const;

  PointwiseCode code_;
  std::vector<Operand> operands_;
  // The index space: outer dims, then `rows_` rows of `row_` elements. A tile is up to `tile_rows_` rows, or `piece_`
  // elements of a row.
  Shape outer_;
  std::vector<Shape> outer_strides_;  // per operand
  int64_t rows_ = 1, row_ = 1, tile_rows_ = 1, piece_ = 1, tiles_per_outer_ = 1, tiles_ = 0;
  size_t worker_bytes_ = 0, staging_bytes_ = 0;
};

// Kernels by what they do; null where a primitive has no meaning for the type. Used by the compiler.
enum class Reg : uint8_t { f32, f64, i32, u32, i64, u64, mask };  // mask: 32-bit lanes of 0 or -1
enum class Fused : uint8_t { mul_add, mul_sub, neg_mul_add, max_const, min_const };  // a*b+c, a*b-c, c-a*b; f32
BlockFn f32_kernel(Prim p);
BlockFn f32_fused_kernel(Fused f);
BlockFn f64_kernel(Prim p);
BlockFn int_kernel(Reg r, Prim p);       // i32, u32, i64, u64
BlockFn select_kernel(int reg_bytes);
BlockFn cast_kernel(Reg from, Reg to);
BlockFn wrap_kernel(DType narrow);       // i32 lanes wrapped to a narrower integer
BlockFn round_kernel(DType narrow);      // f32 lanes rounded to f16 or bf16, or, with imm = saturate, any small float
BlockFn load_kernel(DType memory);       // memory to registers; null: the same bytes
BlockFn store_kernel(DType memory);      // registers to memory; null: the same bytes
BlockFn copy_kernel(int bytes);          // moves lanes of 4 or 8 bytes, spreading a scalar

}  // namespace tenon::cpu
