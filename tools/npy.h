// numpy's files: .npy in and out, .npz in.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace tenon::cli {

// Errors: not_found, io; invalid_argument for what is no .npy file or holds something that no tensor is: other byte
// orders, Fortran order, objects, texts.
Result<Tensor> read_npy(const std::string& path);
Result<Tensor> parse_npy(std::span<const uint8_t> bytes);
// Types that numpy has no name for are widened: bf16 and narrower floats to f32, integers under 8 bits to 8 bits.
Result<std::vector<uint8_t>> format_npy(const Tensor& t);
// Whether numpy has a name for the type.
bool npy_holds(DType t);

// Arrays by name from a .npz as np.savez writes it (np.savez_compressed is refused).
Result<std::map<std::string, Tensor>> read_npz(const std::string& path);

}  // namespace tenon::cli
