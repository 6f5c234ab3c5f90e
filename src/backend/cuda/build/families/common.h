// What the families write their kernels with, beside source.h.
#pragma once

#include "backend/cuda/build/source.h"
#include "backend/request.h"

namespace tenon::cuda {

// ---- requests -------------------------------------------------------------------------------------------

inline bool wanted(const KernelRequest& r, size_t output) {
  return output < r.node.outputs.size() && r.node.outputs[output] != kNoValue;
}
inline DType out_type_of(const KernelRequest& r, size_t output) {
  return wanted(r, output) ? r.graph.info(r.node.outputs[output]).dtype : DType::none;
}
// The elements of a constant integer input; nothing where it is no constant.
std::optional<Ints> constant_ints(const KernelRequest& r, size_t input);
// An axis counted from the front. REQUIRES: inference accepted it.
inline size_t axis_of(int64_t axis, size_t rank) {
  return rank ? size_t((axis + int64_t(rank)) % int64_t(rank)) : 0;
}
// `supports` of a family whose `generate` is cheap: what it can write, it supports.
template <Result<Program> (*generate)(const KernelRequest&, const Chip&)>
KernelAnswer can_generate(const KernelRequest& r, const Chip& chip) {
  auto program = generate(r, chip);
  return program.ok() ? KernelAnswer{true, ""} : KernelAnswer{false, program.status().message()};
}

// ---- sizes ----------------------------------------------------------------------------------------------

// A shape seen around one axis: [outer, n, inner].
struct AxisView {
  Dim outer = 1, n = 1, inner = 1;
};
AxisView view_around(const SymShape& shape, size_t axis);

// The kernel indexes these operands with 32 bits: what is not constant is checked when shapes are bound.
// Errors: unsupported, a constant size of 2^31 elements or more.
Status index_with_32_bits(Recipe& recipe, const std::vector<SymShape>& operands);
Status index_with_32_bits(Recipe& recipe, const OperandDims& dims, const KernelRequest& r);

// The size where every symbol in it is 1, and at least 1: what kernels are cut for where only the run tells,
// since it is small batches that leave a GPU idle.
int64_t smallest(const Dim& d);
// The largest power of two up to `most` that divides d whatever its symbols are.
int power_of_two_in(const Dim& d, int most);
// How many neighbours of `t` one instruction moves in runs of n elements that lie behind each other.
inline int vector_width(DType t, const Dim& n) {
  return power_of_two_in(n, 128 / bits(t));
}
inline int power_of_two_from(int64_t n, int most) {
  int p = 1;
  while (p < n && p < most) p *= 2;
  return p;
}

// ---- text -----------------------------------------------------------------------------------------------

using Holes = std::map<std::string, std::string>;
// Text with holes: fill("$T* p;", {{"T", "float"}}) gives "float* p;". Names are capital letters.
std::string fill(std::string_view text, const Holes& holes);

// What memory of `t` is read as: "to_float(in0[i])" of floats, plain numbers of others, in the type
// `compute`.
std::string loaded(DType t, const std::string& compute, const std::string& element);

// Statements that take the number `linear` (an unsigned) apart along `dims`, innermost last; the coordinates
// are unsigned variables PREFIX0, PREFIX1...
std::vector<std::string> unravel(KernelWriter& k, const SymShape& dims, const std::string& linear,
                                 const std::string& prefix, std::string& statements);
// The sum of coordinates times strides, as an expression. Computed modulo 2^32, so strides may be negative.
std::string offset_of(KernelWriter& k, const std::vector<std::string>& at, const SymShape& strides);
// k.size() as an unsigned.
std::string unsigned_size(KernelWriter& k, const Dim& d);

// ---- movement -------------------------------------------------------------------------------------------

// A type as wide as `bytes` (1, 2, 4, 8, 16), for kernels that only move data.
std::string unit_type(int bytes);
// Bytes of an element that such kernels can move; 0 for packed types and text.
int unit_bytes(DType t);

// The blocks of `threads` threads that `n` threads need; zero for none.
inline Dim blocks_for(const Dim& n, int threads = 256) {
  return ceil_div(n, threads);
}

}  // namespace tenon::cuda
