#include "convert.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "device_array.h"

namespace tenon::python {

void raise(const Status& status) {
  nb::object error = nb::module_::import_("tenon.errors").attr("from_status")(code_name(status.code()), nb::str(status.message().c_str(), status.message().size()),
                                                                              nb::str(status.remedy().c_str(), status.remedy().size()));
  PyErr_SetObject(error.type().ptr(), error.ptr());
  throw nb::python_error();
}

const char* numpy_name(DType t) {
  switch (t) {
    case DType::f32: return "float32";
    case DType::f64: return "float64";
    case DType::f16: return "float16";
    case DType::bf16: return "bfloat16";
    case DType::i8: return "int8";
    case DType::i16: return "int16";
    case DType::i32: return "int32";
    case DType::i64: return "int64";
    case DType::u8: return "uint8";
    case DType::u16: return "uint16";
    case DType::u32: return "uint32";
    case DType::u64: return "uint64";
    case DType::boolean: return "bool";
    case DType::c64: return "complex64";
    case DType::c128: return "complex128";
    case DType::str: return "object";
    case DType::f8e4m3fn: return "float8_e4m3fn";
    case DType::f8e4m3fnuz: return "float8_e4m3fnuz";
    case DType::f8e5m2: return "float8_e5m2";
    case DType::f8e5m2fnuz: return "float8_e5m2fnuz";
    case DType::f8e8m0: return "float8_e8m0fnu";
    case DType::u4: return "uint4";
    case DType::i4: return "int4";
    case DType::u2: return "uint2";
    case DType::i2: return "int2";
    case DType::f4e2m1: return "float4_e2m1fn";
    case DType::f6e2m3: return "float6_e2m3fn";
    case DType::f6e3m2: return "float6_e3m2fn";
    case DType::none: break;
  }
  return "none";
}

DType from_numpy_name(std::string_view name) {
  for (int i = 1; i < kNumDTypes; ++i)
    if (name == numpy_name(DType(i))) return DType(i);
  return DType::none;
}

DType dlpack_dtype(nb::dlpack::dtype t) {
  if (t.lanes != 1) return DType::none;
  auto width = [&t](DType a, DType b, DType c, DType d) {
    return t.bits == 8 ? a : t.bits == 16 ? b : t.bits == 32 ? c : t.bits == 64 ? d : DType::none;
  };
  using Code = nb::dlpack::dtype_code;
  switch (Code(t.code)) {
    case Code::Float: return width(DType::none, DType::f16, DType::f32, DType::f64);
    case Code::Int: return width(DType::i8, DType::i16, DType::i32, DType::i64);
    case Code::UInt: return width(DType::u8, DType::u16, DType::u32, DType::u64);
    case Code::Bool: return t.bits == 8 ? DType::boolean : DType::none;
    case Code::Bfloat: return t.bits == 16 ? DType::bf16 : DType::none;
    case Code::Complex: return t.bits == 64 ? DType::c64 : t.bits == 128 ? DType::c128 : DType::none;
    case Code::Float8_E4M3FN: return DType::f8e4m3fn;
    case Code::Float8_E4M3FNUZ: return DType::f8e4m3fnuz;
    case Code::Float8_E5M2: return DType::f8e5m2;
    case Code::Float8_E5M2FNUZ: return DType::f8e5m2fnuz;
    case Code::Float8_E8M0FNU: return DType::f8e8m0;
    default: return DType::none;
  }
}

namespace {

// The type of a buffer's elements by its format (PEP 3118): one letter, after a mark of byte order.
DType buffer_dtype(const char* format, int64_t itemsize) {
  if (!format) return itemsize == 1 ? DType::u8 : DType::none;
  if (*format == '@' || *format == '=' || *format == '<') ++format;
  const std::string_view f(format);
  if (f == "Zf") return DType::c64;
  if (f == "Zd") return DType::c128;
  if (f.size() != 1) return DType::none;
  auto width = [itemsize](DType a, DType b, DType c, DType d) {
    return itemsize == 1 ? a : itemsize == 2 ? b : itemsize == 4 ? c : itemsize == 8 ? d : DType::none;
  };
  if (f == "?") return DType::boolean;
  if (f.find_first_of("efd") == 0) return width(DType::none, DType::f16, DType::f32, DType::f64);
  if (f.find_first_of("bhilqn") == 0) return width(DType::i8, DType::i16, DType::i32, DType::i64);
  if (f.find_first_of("BHILQN") == 0) return width(DType::u8, DType::u16, DType::u32, DType::u64);
  return DType::none;
}

bool lend_buffer(nb::handle object, bool writable, Lent& out) {
  auto* view = new Py_buffer;
  if (PyObject_GetBuffer(object.ptr(), view, PyBUF_STRIDES | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0)) != 0) {
    PyErr_Clear();
    delete view;
    return false;
  }
  out.owner = held<Py_buffer>(view, [](Py_buffer* v) {
    PyBuffer_Release(v);
    delete v;
  });
  out.data = view->buf;
  out.dtype = buffer_dtype(view->format, view->itemsize);
  out.shape.assign(view->shape, view->shape + view->ndim);
  out.strides.assign(view->strides, view->strides + view->ndim);
  return out.dtype != DType::none;
}

template <class A>
bool lend_dlpack(nb::handle object, Lent& out) {
  A array;
  if (!nb::try_cast<A>(object, array, false)) {
    PyErr_Clear();
    return false;
  }
  if (dlpack_dtype(array.dtype()) == DType::none) return false;
  out = lent_by(std::move(array));
  return true;
}

// What only Python knows how to read: types of ml_dtypes, lists, numbers. Gives a plain array and the type it stands for.
Lent lend_other(nb::handle object, DType wanted, bool writable, const std::string& what) {
  nb::object pair = nb::module_::import_("tenon._arrays").attr("plain")(object, numpy_name(wanted), what.c_str());
  Lent out;
  if (!lend_buffer(pair[0], writable, out)) raise(Status(Code::invalid_argument, what + " holds elements that are no numbers"));
  out.dtype = from_numpy_name(nb::cast<const char*>(nb::object(pair[1])));
  return out;
}

void copy_strided(const Lent& from, size_t axis, const char* at, char*& to) {
  const int64_t item = from.itemsize();
  if (axis == from.shape.size()) {
    std::memcpy(to, at, size_t(item));
    to += item;
    return;
  }
  const int64_t n = from.shape[axis], step = from.strides[axis];
  if (axis + 1 == from.shape.size() && step == item) {
    std::memcpy(to, at, size_t(n * item));
    to += n * item;
    return;
  }
  for (int64_t i = 0; i < n; ++i) copy_strided(from, axis + 1, at + i * step, to);
}

Tensor allocate(DType t, const Shape& shape) { return value_or_raise(Tensor::allocate(t, shape)); }

// Elements of less than a byte: one a byte in Python, packed in a tensor, low bits first.
Tensor packed(DType t, const Tensor& bytes) {
  Tensor out = allocate(t, bytes.shape());
  if (out.bytes()) std::memset(out.data(), 0, size_t(out.bytes()));
  const auto* from = bytes.as<uint8_t>();
  auto* to = out.as<uint8_t>();
  const int width = bits(t), mask = (1 << width) - 1;
  for (int64_t i = 0, n = bytes.size(); i < n; ++i) {
    const int64_t bit = i * width;
    const unsigned v = unsigned(from[i] & mask) << (bit % 8);
    to[bit / 8] = uint8_t(to[bit / 8] | v);
    if (bit % 8 + width > 8) to[bit / 8 + 1] = uint8_t(to[bit / 8 + 1] | v >> 8);
  }
  return out;
}

Tensor unpacked(const Tensor& t) {
  Tensor out = allocate(DType::u8, t.shape());
  const auto* from = t.as<uint8_t>();
  auto* to = out.as<uint8_t>();
  const int width = bits(t.dtype()), mask = (1 << width) - 1;
  for (int64_t i = 0, n = out.size(); i < n; ++i) {
    const int64_t bit = i * width;
    unsigned v = from[bit / 8];
    if (bit % 8 + width > 8) v |= unsigned(from[bit / 8 + 1]) << 8;
    to[i] = uint8_t(v >> (bit % 8) & unsigned(mask));
  }
  return out;
}

Lent lend(nb::handle object, DType wanted, bool writable, const std::string& what, const Reach& reach) {
  Lent lent;
  // numpy refuses a buffer of its additional types, and answers at once for all others.
  if (PyObject_CheckBuffer(object.ptr()) && lend_buffer(object, writable, lent)) return lent;
  if (const auto device = device_of(object)) return lend_device_array(object, *device, writable, what, reach);
  if (!(nb::hasattr(object, "__dlpack__") &&
        (writable ? lend_dlpack<WritableArray>(object, lent) : lend_dlpack<AnyArray>(object, lent))))
    lent = lend_other(object, wanted, writable, what);
  return lent;
}

}  // namespace

Tensor to_tensor(nb::handle object, DType wanted, Access access, const std::string& what, const Reach& reach) {
  const Lent lent = lend(object, wanted, access == Access::write_here, what, reach);
  if (wanted != DType::none && lent.dtype != wanted)
    raise(Status(Code::invalid_argument, cat(what, " is ", numpy_name(lent.dtype), ", expected ", numpy_name(wanted)),
                 cat("array.astype(\"", numpy_name(wanted), "\")")));
  const bool small = bits(lent.dtype) < 8;
  if (access != Access::read && (small || !lent.dense()))
    raise(Status(Code::invalid_argument, what + (small ? " has elements of less than a byte, which cannot be used in place" : " is not dense and row-major"),
                 "numpy.ascontiguousarray(array)"));
  const DType stored = small ? DType::u8 : lent.dtype;
  Tensor out;
  if (lent.dense()) {
    out = Tensor(stored, lent.shape, Buffer::borrow(lent.data, byte_size(stored, num_elements(lent.shape)), lent.owner, lent.memory));
  } else {
    out = allocate(stored, lent.shape);
    auto* to = static_cast<char*>(out.data());
    copy_strided(lent, 0, static_cast<const char*>(lent.data), to);
  }
  return small ? packed(lent.dtype, out) : out;
}

nb::dlpack::dtype dlpack_type(DType t, bool plain) {
  using Code = nb::dlpack::dtype_code;
  auto make = [t](Code code) { return nb::dlpack::dtype{uint8_t(code), uint8_t(bits(t)), 1}; };
  switch (kind(t)) {
    case Kind::boolean: return make(Code::Bool);
    case Kind::signed_int: return make(Code::Int);
    case Kind::complex: return make(Code::Complex);
    case Kind::floating:
      if (t == DType::f16 || t == DType::f32 || t == DType::f64) return make(Code::Float);
      if (plain) return make(Code::UInt);
      if (t == DType::bf16) return make(Code::Bfloat);
      if (t == DType::f8e4m3fn) return make(Code::Float8_E4M3FN);
      if (t == DType::f8e4m3fnuz) return make(Code::Float8_E4M3FNUZ);
      if (t == DType::f8e5m2) return make(Code::Float8_E5M2);
      if (t == DType::f8e5m2fnuz) return make(Code::Float8_E5M2FNUZ);
      if (t == DType::f8e8m0) return make(Code::Float8_E8M0FNU);
      return make(Code::UInt);
    default: return make(Code::UInt);
  }
}

nb::object from_tensor(const Tensor& tensor, Array kind_wanted) {
  const bool small = bits(tensor.dtype()) < 8;
  auto* kept = new Tensor(small ? unpacked(tensor) : tensor);
  nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<Tensor*>(p); });
  std::vector<size_t> shape(kept->shape().begin(), kept->shape().end());
  const nb::dlpack::dtype type = dlpack_type(kept->dtype(), kind_wanted == Array::numpy);
  if (kind_wanted == Array::dlpack)
    return nb::cast(nb::ndarray<nb::array_api>(kept->data(), shape.size(), shape.data(), owner, nullptr, type, nb::device::cpu::value));
  nb::object array = nb::cast(nb::ndarray<nb::numpy>(kept->data(), shape.size(), shape.data(), owner, nullptr, type, nb::device::cpu::value));
  const bool exact = kind(tensor.dtype()) != Kind::floating || tensor.dtype() == DType::f16 || tensor.dtype() == DType::f32 || tensor.dtype() == DType::f64;
  if (exact && !small) return array;
  return nb::module_::import_("tenon._arrays").attr("typed")(array, numpy_name(tensor.dtype()));
}

}  // namespace tenon::python
