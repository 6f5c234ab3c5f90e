// The elementwise part behind a product or convolution: what it reads, and the text that computes it on accumulators.
#pragma once

#include "backend/cuda/build/source.h"
#include "backend/request.h"

namespace tenon::cuda {

// An operand of the epilogue, read beside the result's element in row m, column n.
struct EpilogueOperand {
  int input = -1;  // of the request
  DType type = DType::none;
  bool full = false;     // lies as the result does; else the place is m * row + column * col
  Dim row = 0, col = 0;  // strides in elements
};

struct Epilogue {
  DType out = DType::none;
  DType sum = DType::f32;  // what accumulators are: f32, f64 or an integer
  // alpha * sum + beta * bias, before the program.
  double alpha = 1, beta = 1;
  EpilogueOperand bias;                  // input -1: none
  bool has_program = false;
  ScalarProgram program;
  int seed = -1;                         // the program's input that is the result so far
  std::vector<EpilogueOperand> operands; // of the program's inputs; input -1: not read
};

// How far apart rows of a result with `columns` columns begin, in elements, where a Concat of such rows is all that reads it: the
// run says, and may put them where they belong. Nothing where rows would not begin at multiples of 16 bytes, or the epilogue
// reads operands by the place of the result.
std::optional<Dim> joined_rows(const KernelRequest& r, const Epilogue& e, int64_t columns);

// The epilogue of a request whose result, of shape `out`, has columns along dimension `column` (the last one, or the
// channel of a channels-first tensor). Errors: unsupported, what the body holds does not fit.
Result<Epilogue> make_epilogue(const KernelRequest& r, const Anchor& anchor, const OperandDims& dims, size_t column);

// How the text finds what it needs: names of expressions in the kernel.
struct EpilogueText {
  std::string sums;    // an array of VEC accumulators
  std::string row;     // the row m, an int
  std::string column;  // the first column, an int, counted over all groups
  std::string at;      // the place of the first element in the result, in elements
  std::string index;   // "int" or "long long"
  int vec = 1;
};
// Statements that finish VEC neighbouring sums and store them, in two steps, so that a kernel can read before it has the sums:
// `read` puts operands into an object `ahead` with `fields`, `rest` does the work.
struct EpilogueSteps {
  std::string fields, read, rest;

  std::string text() const { return fields.empty() ? rest : cat("struct {\n", fields, "} ahead;\n{\n", read, "}\n", rest); }
};
// `out` is the name of the result's address. Parameters for the operands are added to `k`.
Result<EpilogueSteps> epilogue_steps(KernelWriter& k, const Epilogue& e, const EpilogueText& names, const std::string& out);

}  // namespace tenon::cuda
