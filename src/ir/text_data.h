// Tensor data in text: base64, and numbers that read back to the same bits.
#pragma once

#include <string>
#include <string_view>

#include "base/tensor.h"

namespace tenon {

void append_base64(std::string& out, const void* data, size_t bytes);
// False when the text is not base64 of exactly `bytes` bytes.
bool decode_base64(std::string_view text, void* data, size_t bytes);

// A float that cannot be read as an integer: 1.0, 1e+30, inf, nan.
void append_float(std::string& out, float v);

// "1.0, 2.0". False when some element does not read back to its own bits (odd NaNs, complex numbers).
bool append_elements(std::string& out, const Tensor& t);
// One number as element i. False when it is not a number of that type.
bool parse_element(std::string_view text, Tensor& t, int64_t i);

// Random test data, the same on every machine: normal numbers, or integers of [-8, 8] ([0, 16] if unsigned).
void fill_random(Tensor& t, uint64_t seed);

}  // namespace tenon
