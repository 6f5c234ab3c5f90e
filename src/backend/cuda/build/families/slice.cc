// Slice, with bounds that are constants or known when shapes are bound: the kernel then gets them as numbers.
#include <algorithm>

#include "backend/cuda/build/families/strided.h"

namespace tenon::cuda {

// A start counted from the front and within the dimension, as ONNX has it. (Ends only decide the output's
// shape.)
static const char kHelpers[] = R"(
DEVICE unsigned slice_start(long long start, long long size) {
  if (start < 0) start += size;
  if (start > size - 1) start = size - 1;
  return start < 0 ? 0u : unsigned(start);
}
)";

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const int bytes = unit_bytes(type_of(r, 0));
  if (bytes == 0) return unsupported("no kernel for elements of ", bits(type_of(r, 0)), " bits");
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape& x = dims.in(0);
  Program program;
  TRY(index_with_32_bits(program.recipe, {x, dims.out(0)}));

  const auto starts = constant_ints(r, 1), axes = constant_ints(r, 3), steps = constant_ints(r, 4);
  if (present(r, 3) && !axes) return unsupported("its axes are computed at run time");
  const Dim count = dims.in(1).empty() ? Dim(0) : dims.in(1)[0];
  if (!count.is_const()) return unsupported("how many bounds it has is not known");
  KernelWriter k("slice", 256);
  StridedCopy c;
  c.bytes = bytes;
  c.dims = dims.out(0);
  c.from = sym_row_major_strides(x);
  c.to = sym_row_major_strides(c.dims);
  const SymShape own = c.from;
  size_t innermost = 0;  // of the axes whose start is not known
  for (int64_t i = 0; i < count.constant(); ++i) {
    const size_t axis = axes ? axis_of((*axes)[size_t(i)], x.size()) : size_t(i);
    constexpr int64_t kFar = (int64_t(1) << 31) - 1;
    if (steps) {
      c.from[axis] =
          c.dims[axis].is(1) ? Dim(0) : own[axis] * Dim(std::clamp((*steps)[size_t(i)], -kFar, kFar));
    } else if (present(r, 4)) {
      program.recipe.value_inputs |= 1u << 4;
      c.from[axis] = own[axis] * Dim::symbol(cat("v4_", i));
    }
    const Dim& size = x[axis];
    if (starts && size.is_const()) {
      const int64_t at = (*starts)[size_t(i)], n = size.constant();
      c.from_offset =
          c.from_offset + own[axis] * Dim(std::max<int64_t>(0, std::min(at < 0 ? at + n : at, n - 1)));
      continue;
    }
    if (starts && (*starts)[size_t(i)] == 0) continue;
    if (!starts) program.recipe.value_inputs |= 1u << 1;
    const std::string start = k.size(starts ? Dim((*starts)[size_t(i)]) : Dim::symbol(cat("v1_", i)), true);
    c.from_more += cat(c.from_more.empty() ? "" : " + ", "slice_start(", start, ", ", k.size(size, true),
                       ") * ", unsigned_size(k, own[axis]));
    if (c.divisor.is(0) || axis > innermost) c.divisor = own[axis], innermost = axis;
  }
  program.source = c.from_more.empty() ? "" : kHelpers;
  c = collapsed(c);
  write_strided(program, k, c);
  program.variant = cat("slice.", c.bytes);
  return program;
}

extern const Family kSlice{"slice", [](const KernelRequest& r) { return op_is(r.node, "Slice"); },
                           can_generate<generate>, generate};

}  // namespace tenon::cuda
