// The elementwise part behind a product or convolution, as the micro-kernels' epilogue: what they know by name (bias,
// residual, activation) in registers, anything else as a scalar program over each finished piece of a row.
#pragma once

#include <memory>
#include <vector>

#include "backend/cpu/families.h"
#include "backend/cpu/kernels/epilogue.h"
#include "backend/cpu/kernels/pointwise.h"

namespace tenon::cpu {

// A recipe found at load time; `make` fills in pointers at each run.
class EpiloguePlan {
 public:
  // `columns`: the output's dimension that is the product's column (the last one, or the channel). `anchor_bias`: the
  // request's input that is a bias of the anchor itself (Conv's B), or -1.
  // Errors: the body holds what cannot be an epilogue.
  static Result<EpiloguePlan> make(const Anchor& anchor, int anchor_bias);

  // Concrete operands: each either one number, one number a column, or a tensor of the output's shape. Errors: another
  // shape.
  Status bind(Descs in, const Shape& output);

  // What a run uses; lives on the stack of the run. `threads` scratches of the callback lie at `scratch`.
  struct Run {
    Epilogue epilogue;
    const EpiloguePlan* plan = nullptr;
    const void* const* inputs = nullptr;
    int64_t ld = 0;  // elements of a row of the output
  };
  void fill(Run& run, const void* const* inputs) const;

 private:
  enum class Operand : uint8_t { unused, number, column, full };
  static void call(void* context, float* y, int64_t row, int64_t col, int64_t n);
  bool match_known(const Graph& body, size_t nodes, ValueId seed);

  int anchor_bias_ = -1;
  // Known forms.
  int bias_ = -1, residual_ = -1;
  bool residual_after_ = false;
  Activation act_ = Activation::none;
  float a_ = 0, b_ = 0;
  // The rest.
  std::shared_ptr<const PointwiseCode> code_;
  std::vector<Operand> operands_;
  int64_t columns_ = 0;
};

}  // namespace tenon::cpu
