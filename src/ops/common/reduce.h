// What the Reduce operators share: axes, shapes, older forms and the loops; each operator's file names its
// formula.
#pragma once

#include "ops/op.h"

namespace tenon {

// How values are folded into one: `first` starts, `step` adds one value, `last` finishes with the number of
// values. Floats run in double.
struct FloatReduction {
  double first;
  double (*step)(double acc, double x);
  double (*last)(double acc, int64_t count);
};
// Integers (and bool) run in int64; unsigned 64-bit ones arrive as their bits, `is_u64` says so. `first` may
// depend on the type: the largest value for a minimum.
struct IntReduction {
  int64_t (*first)(DType t);
  int64_t (*step)(int64_t acc, int64_t x, bool is_u64);
  int64_t (*last)(int64_t acc, int64_t count, bool is_u64);
};

// Shapes: data, axes (optional). `symbolic` folds elements of shape arithmetic; null where there is no such
// form.
Status infer_reduce(InferArgs& a, Dim (*symbolic)(const std::vector<Dim>& elements) = nullptr);
// The axes that this execution reduces, as flags. REQUIRES: inference accepted them.
std::vector<bool> reduced_axes(const RefArgs& a);

Status reference_reduce(RefArgs& a, const FloatReduction& f, const IntReduction& i);
// Integers are reduced in double and truncated.
Status reference_reduce(RefArgs& a, const FloatReduction& f);

// `axes` was an attribute before it became an input.
Status upgrade_reduce_axes(Upgrade& u);

std::vector<Param> reduce_inputs(DTypeSet types);
std::vector<AttrSpec> reduce_attrs();
std::vector<Sample> reduce_samples();

}  // namespace tenon
