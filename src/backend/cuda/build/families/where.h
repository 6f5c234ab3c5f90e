// Which elements of a tensor are not zero, in order: what NonZero and Compress have in common. Their count is
// known on the device alone, and their places do not depend on the order in which blocks run.
#pragma once

#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

// A test of the element `i` of memory that `pointer` names: "in0[i] != 0".
std::string is_set(DType t, const std::string& pointer);

// Adds launches that find them among the `size` elements of input `input`. For each one runs `store` (of the
// kernel's writer, which is given): statements that see `i`, its index; `place`, how many come before it; and
// `total`, how many there are. Needs scratch memory from `scratch` on, and gives how much.
Dim find_set(Program& program, const KernelRequest& r, int input, const Dim& size, const Dim& scratch,
             const std::function<std::string(KernelWriter&)>& store);

}  // namespace tenon::cuda
