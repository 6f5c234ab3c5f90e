// Keys: integers in the order of a type's values. All NaN are one, the largest; both zeros are one.
#pragma once

#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

// The key's type: int, or long long where the values need it. "" for types without an order.
std::string key_type(DType t);
// The key of an element in memory.
std::string key_of(DType t, const std::string& element);
// Functions that key_of uses; part of the source.
extern const char kKeyHelpers[];

}  // namespace tenon::cuda
