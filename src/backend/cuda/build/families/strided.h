// A copy between two operands seen with strides.
#pragma once

#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

// Neighbours `from` on in the loop `dims` of input 0, to output 0: one thread for each element, as wide as
// can be. Offsets and strides are in elements of `bytes`.
struct StridedCopy {
  SymShape dims, from, to;
  Dim from_offset = 0, to_offset = 0;
  int bytes = 4;
  // An offset that only the run tells, added to from_offset: an expression for k's body in elements, and a
  // Dim that divides it. Statements that it needs stand in `prologue`.
  std::string from_more, prologue;
  Dim divisor = 0;
};
// Neighbouring dimensions joined, elements made as wide as the sizes allow.
StridedCopy collapsed(const StridedCopy& copy);
// Appends the kernel and its launch. REQUIRES: collapsed. `k`: with parameters that `prologue` uses.
void write_strided(Program& program, const std::string& name, const StridedCopy& copy);
void write_strided(Program& program, KernelWriter& k, const StridedCopy& copy);

}  // namespace tenon::cuda
