// Arrays of Python to tensors and back, without copies where the memory allows it.
#pragma once

#include <nanobind/nanobind.h>

#include "backend/backend.h"

namespace tenon::python {

namespace nb = nanobind;

// Raises the exception of tenon.errors that belongs to the status. REQUIRES: the GIL, !status.ok().
[[noreturn]] void raise(const Status& status);

template <class T>
T value_or_raise(Result<T> result) {
  if (!result.ok()) raise(result.status());
  return std::move(result).value();
}
inline void check(const Status& status) {
  if (!status.ok()) raise(status);
}

// "float32", "bfloat16": what numpy and ml_dtypes call the type.
const char* numpy_name(DType t);
DType from_numpy_name(std::string_view name);  // none where it is no type of ours

enum class Access {
  read,        // what is not dense is copied
  read_here,   // must be dense: the address is kept
  write_here,  // must be dense and writable
};

// Where arrays may lie besides the host, and what will read or write them there.
struct Reach {
  Device& device;
  Stream& stream;
};

// An object with a buffer, __dlpack__ or __cuda_array_interface__, a list or a number, as a tensor of type `wanted` (none:
// whatever it is), in the host's memory or the device's. It keeps the object's memory alive and may die without the GIL.
// Types under 8 bits come one a byte, as ml_dtypes has them, and are packed. `what` names the array in messages. Raises.
Tensor to_tensor(nb::handle object, DType wanted, Access access, const std::string& what, const Reach& reach);

// What the outputs become: an array of numpy, a plain DLPack producer for another library to take, or a DeviceArray.
enum class Array { numpy, dlpack, device };
// REQUIRES: a tensor of the host, and not Array::device.
nb::object from_tensor(const Tensor& tensor, Array kind);

}  // namespace tenon::python
