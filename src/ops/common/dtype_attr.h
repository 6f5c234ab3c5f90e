// Reading attributes that hold a data type by its ONNX number.
#pragma once

#include "ops/op.h"

namespace tenon {

// The type named by the attribute, or `fallback` where it is absent. Errors: no such type, or not one of
// `allowed`.
inline Result<DType> dtype_attr(const Attrs& attrs, const char* attr, DType fallback, DTypeSet allowed) {
  const int64_t number = attrs.i(attr, int64_t(fallback));
  const DType t = number > 0 && number < kNumDTypes ? DType(number) : DType::none;
  if (t == DType::none) return invalid_model("attribute '", attr, "' is ", number, ", which is no data type");
  if (!allowed.contains(t)) return invalid_model("attribute '", attr, "' cannot be ", name(t));
  return t;
}

}  // namespace tenon
