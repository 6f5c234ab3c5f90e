// Memory that a Python object lends, and the names that DLPack has for types.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "base/tensor.h"

namespace tenon::python {

namespace nb = nanobind;

// Who owns it, how it lies. Strides are in bytes.
struct Lent {
  void* data = nullptr;
  DType dtype = DType::none;
  Shape shape, strides;
  MemoryId memory = kHostMemory;
  std::shared_ptr<const void> owner;

  bool dense() const {
    int64_t step = itemsize();
    for (size_t i = shape.size(); i-- > 0;) {
      if (shape[i] != 1 && strides[i] != step) return num_elements(shape) == 0;
      step *= shape[i];
    }
    return true;
  }
  int64_t itemsize() const { return std::max(1, bits(dtype) / 8); }
};

// Whatever lives in Python must be let go with the GIL held.
template <class T>
std::shared_ptr<const void> held(T* thing, void (*release)(T*)) {
  return std::shared_ptr<const void>(thing, [release](const void* p) {
    if (!Py_IsInitialized()) return;
    nb::gil_scoped_acquire gil;
    release(static_cast<T*>(const_cast<void*>(p)));
  });
}

using AnyArray = nb::ndarray<nb::ro>;
using WritableArray = nb::ndarray<>;

DType dlpack_dtype(nb::dlpack::dtype t);
// The nearest type that DLPack's consumers know; bits stay the same. `plain`: that numpy knows.
nb::dlpack::dtype dlpack_type(DType t, bool plain);

template <class A>
Lent lent_by(A array) {
  Lent out;
  out.dtype = dlpack_dtype(array.dtype());
  out.data = const_cast<void*>(static_cast<const void*>(array.data()));
  for (size_t i = 0; i < array.ndim(); ++i) {
    out.shape.push_back(int64_t(array.shape(i)));
    out.strides.push_back(array.stride(i) * out.itemsize());
  }
  out.owner = held<A>(new A(std::move(array)), [](A* a) { delete a; });
  return out;
}

}  // namespace tenon::python
