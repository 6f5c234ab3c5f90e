// Tensor: a data type, a shape and a shared buffer; always dense and row-major.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/status.h"

namespace tenon {

using Shape = std::vector<int64_t>;

// Product of the dimensions; 1 for a scalar. Negative when it overflows int64 or a dimension is negative.
int64_t num_elements(std::span<const int64_t> shape);
// Row-major strides in elements.
Shape row_major_strides(std::span<const int64_t> shape);

// Whose memory an address belongs to: the host's, or that of the device whose Device::memory() it is. Nobody but that
// device reads or writes an address of foreign memory.
using MemoryId = int;
constexpr MemoryId kHostMemory = 0;

// Bytes that several tensors may share: allocated here (64-byte aligned) or borrowed from an owner such as a mapped
// file or a device, which lives as long as the buffer.
class Buffer {
 public:
  static std::shared_ptr<Buffer> allocate(int64_t bytes);  // null when memory is exhausted
  static std::shared_ptr<Buffer> borrow(const void* data, int64_t bytes, std::shared_ptr<const void> owner,
                                        MemoryId memory = kHostMemory);
  // Zeros that take no memory until they are read, for data that is named but not needed. Null when impossible.
  static std::shared_ptr<Buffer> zeros(int64_t bytes);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* data() const { return data_; }
  int64_t size() const { return size_; }
  bool is_zeros() const { return zeros_; }
  MemoryId memory() const { return memory_; }

 private:
  Buffer() = default;
  void* data_ = nullptr;
  int64_t size_ = 0;
  bool owned_ = false, zeros_ = false;
  MemoryId memory_ = kHostMemory;
  std::shared_ptr<const void> owner_;
};

class Tensor {
 public:
  Tensor() = default;
  // Wraps part of a buffer. REQUIRES: offset + bytes fit.
  Tensor(DType dtype, Shape shape, std::shared_ptr<Buffer> buffer, int64_t offset = 0)
      : dtype_(dtype), shape_(std::move(shape)), buffer_(std::move(buffer)), offset_(offset) {}

  // Uninitialised memory. Errors: a negative or overflowing shape, or no memory.
  static Result<Tensor> allocate(DType dtype, Shape shape);
  // For small tensors whose shape the caller made itself; CHECKs instead of failing.
  static Tensor make(DType dtype, Shape shape);
  static Tensor of_ints(std::span<const int64_t> values, DType dtype = DType::i64);          // [n]
  static Tensor of_ints(std::initializer_list<int64_t> values, DType dtype = DType::i64) {
    return of_ints(std::span<const int64_t>(values.begin(), values.size()), dtype);
  }
  static Tensor of_floats(std::span<const double> values, DType dtype = DType::f32);         // [n]
  static Tensor scalar_int(int64_t value, DType dtype = DType::i64);                         // []
  static Tensor scalar_float(double value, DType dtype = DType::f32);                        // []

  explicit operator bool() const { return buffer_ != nullptr; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t rank() const { return int64_t(shape_.size()); }
  int64_t dim(int64_t i) const { return shape_[size_t(i)]; }
  int64_t size() const { return num_elements(shape_); }
  int64_t bytes() const { return byte_size(dtype_, size()); }
  void* data() { return static_cast<char*>(buffer_->data()) + offset_; }
  const void* data() const { return static_cast<const char*>(buffer_->data()) + offset_; }
  template <class T>
  T* as() { return static_cast<T*>(data()); }
  template <class T>
  const T* as() const { return static_cast<const T*>(data()); }
  const std::shared_ptr<Buffer>& buffer() const { return buffer_; }
  int64_t offset() const { return offset_; }
  MemoryId memory() const { return buffer_ ? buffer_->memory() : kHostMemory; }

  // The rest reads or writes elements. REQUIRES: host memory.
  double at(int64_t i) const { return load_double(dtype_, data(), i); }
  int64_t int_at(int64_t i) const { return load_int(dtype_, data(), i); }
  void set(int64_t i, double v) { store_double(dtype_, data(), i, v); }
  void set_int(int64_t i, int64_t v) { store_int(dtype_, data(), i, v); }
  std::vector<double> to_doubles() const;
  std::vector<int64_t> to_ints() const;

  // The same bytes under another shape of equally many elements.
  Tensor reshaped(Shape shape) const;
  // Same type, shape and bytes.
  bool identical(const Tensor& other) const;

 private:
  DType dtype_ = DType::none;
  Shape shape_;
  std::shared_ptr<Buffer> buffer_;
  int64_t offset_ = 0;
};

}  // namespace tenon
