#include "onnx/tensor.h"

#include <cstring>

namespace tenon::onnx {

static Result<int64_t> element_count(const TensorProto& p) {
  int64_t n = num_elements(p.dims);
  if (n < 0 || n > int64_t(1) << 50) return invalid_model("has impossible dimensions ", p.dims);
  return n;
}

// The typed fields (float_data, int32_data, ...) in place of raw data.
static Result<Tensor> from_fields(const TensorProto& p, DType t, int64_t n) {
  const int64_t per_int = bits(t) < 8 ? 8 / bits(t) : 1;
  const int64_t stored = p.floats.size() + p.doubles.size() + p.int32s.size() + p.int64s.size() + p.uint64s.size();
  const int64_t wanted = kind(t) == Kind::complex ? 2 * n : (n + per_int - 1) / per_int;
  if (stored != wanted) return invalid_model("holds ", stored, " values where its shape ", p.dims, " needs ", wanted);
  Tensor out = TRY(Tensor::allocate(t, p.dims));
  if (kind(t) == Kind::complex) return unsupported("is complex");
  if (t == DType::f32 && int64_t(p.floats.size()) == n) {
    if (n) std::memcpy(out.data(), p.floats.data(), size_t(n) * 4);
  } else if (t == DType::f64 && int64_t(p.doubles.size()) == n) {
    if (n) std::memcpy(out.data(), p.doubles.data(), size_t(n) * 8);
  } else if (t == DType::i64 && int64_t(p.int64s.size()) == n) {
    store_ints(t, out.data(), 0, n, p.int64s.data());
  } else if ((t == DType::u64 || t == DType::u32) && int64_t(p.uint64s.size()) == n) {
    store_ints(t, out.data(), 0, n, p.uint64s.data());
  } else if (int64_t(p.int32s.size()) == wanted && bits(t) <= 32 && t != DType::f32) {
    // Narrow floats are stored as their bits, one a number; types under 8 bits as bytes.
    DType raw = bits(t) < 8 ? DType::u8 : bits(t) == 8 ? DType::u8 : bits(t) == 16 ? DType::u16 : DType::u32;
    if (t == DType::boolean) raw = DType::boolean;
    store_ints(raw, out.data(), 0, wanted, p.int32s.data());
  } else {
    return invalid_model("keeps its values in a field that does not fit its type ", name(t));
  }
  return out;
}

Result<Tensor> TensorSource::load_external(const TensorProto& p, DType t, int64_t bytes) {
  std::string location;
  int64_t offset = 0, length = bytes;
  for (auto [key, value] : p.external_data) {
    if (key == "location") location = std::string(value);
    else if ((key == "offset" && !parse_int(value, offset)) || (key == "length" && !parse_int(value, length)))
      return invalid_model("has external data with a bad ", key, " '", value, "'");
  }
  if (folder_.empty()) return invalid_model("keeps its data in a file, which a model given as bytes cannot have");
  if (location.empty()) return invalid_model("has external data without a location");
  if (location[0] == '/') return invalid_model("has external data at an absolute path '", escape(location), "'");
  for (auto& part : split(location, '/'))
    if (part == "..") return invalid_model("has external data outside the model's folder: '", escape(location), "'");
  auto& file = files_[location];
  if (!file) file = TRY(MappedFile::open(folder_ + "/" + location));
  const int64_t size = int64_t(file->bytes().size());
  if (offset < 0 || length != bytes || offset > size || bytes > size - offset)
    return invalid_model("needs ", bytes, " bytes at ", offset, " of '", escape(location), "', which has ", size);
  return Tensor(t, p.dims, Buffer::borrow(file->bytes().data() + offset, bytes, file));
}

Result<Tensor> TensorSource::load(const TensorProto& p) {
  if (p.dtype <= 0 || p.dtype >= kNumDTypes) return invalid_model("has unknown data type ", p.dtype);
  const DType t = DType(p.dtype);
  if (t == DType::str) return unsupported("holds strings");
  if (p.has_segment) return unsupported("is stored in segments");
  const int64_t n = TRY(element_count(p));
  const int64_t bytes = byte_size(t, n);
  if (p.external) return load_external(p, t, bytes);
  if (!p.has_raw) return from_fields(p, t, n);
  if (int64_t(p.raw.size()) != bytes)
    return invalid_model("has ", p.raw.size(), " bytes where ", name(t), p.dims, " needs ", bytes);
  const int64_t align = std::max(1, bits(t) / 8);
  if (owner_ && reinterpret_cast<uintptr_t>(p.raw.data()) % uintptr_t(align) == 0)
    return Tensor(t, p.dims, Buffer::borrow(p.raw.data(), bytes, owner_));
  Tensor out = TRY(Tensor::allocate(t, p.dims));
  if (bytes) std::memcpy(out.data(), p.raw.data(), size_t(bytes));
  return out;
}

Result<Tensor> TensorSource::load_sparse(const SparseTensorProto& p) {
  Tensor values = TRY(load(p.values)), indices = TRY(load(p.indices));
  Tensor out = TRY(Tensor::allocate(values.dtype(), p.dims));
  if (bits(values.dtype()) < 8 || indices.dtype() != DType::i64) return unsupported("is sparse in an unusual type");
  const int64_t size = bits(values.dtype()) / 8, rank = out.rank(), count = values.size();
  if (indices.size() != count && indices.size() != count * rank) return invalid_model("has indices of the wrong shape");
  std::memset(out.data(), 0, size_t(out.bytes()));
  const Shape strides = row_major_strides(p.dims);
  for (int64_t k = 0; k < count; ++k) {
    int64_t at = 0;
    bool inside = true;
    if (indices.rank() == 1) {
      at = indices.int_at(k);
    } else {
      for (int64_t d = 0; d < rank; ++d) {
        const int64_t i = indices.int_at(k * rank + d);
        inside = inside && i >= 0 && i < p.dims[size_t(d)];
        if (inside) at += i * strides[size_t(d)];
      }
    }
    if (!inside || at < 0 || at >= out.size()) return invalid_model("has a sparse index out of range");
    std::memcpy(out.as<char>() + at * size, values.as<char>() + k * size, size_t(size));
  }
  return out;
}

}  // namespace tenon::onnx
