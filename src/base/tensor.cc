#include "base/tensor.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "base/memory_limit.h"

namespace tenon {

int64_t num_elements(std::span<const int64_t> shape) {
  int64_t n = 1;
  bool zero = false;
  for (int64_t d : shape) {
    if (d < 0) return -1;
    if (d == 0) zero = true;
    else if (__builtin_mul_overflow(n, d, &n)) return -1;
  }
  return zero ? 0 : n;
}

Shape row_major_strides(std::span<const int64_t> shape) {
  Shape strides(shape.size());
  int64_t s = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = s;
    if (__builtin_mul_overflow(s, shape[i], &s)) s = 0;  // a shape that large has no elements, or no tensor
  }
  return strides;
}

std::shared_ptr<Buffer> Buffer::allocate(int64_t bytes) {
  if (bytes < 0 || bytes > buffer_limit()) return nullptr;
  size_t rounded = (size_t(bytes) + 63) / 64 * 64 + 64;  // vector kernels may read past the end of the last element
  void* p = std::aligned_alloc(64, rounded);
  if (!p) return nullptr;
  auto b = std::shared_ptr<Buffer>(new Buffer);
  b->data_ = p;
  b->size_ = bytes;
  b->owned_ = true;
  return b;
}

std::shared_ptr<Buffer> Buffer::borrow(const void* data, int64_t bytes, std::shared_ptr<const void> owner, MemoryId memory) {
  auto b = std::shared_ptr<Buffer>(new Buffer);
  b->data_ = const_cast<void*>(data);
  b->size_ = bytes;
  b->memory_ = memory;
  b->owner_ = std::move(owner);
  return b;
}

std::shared_ptr<Buffer> Buffer::zeros(int64_t bytes) {
  void* p = mmap(nullptr, size_t(bytes) + 64, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  auto b = std::shared_ptr<Buffer>(new Buffer);
  b->data_ = p;
  b->size_ = bytes;
  b->zeros_ = true;
  return b;
}

Buffer::~Buffer() {
  if (owned_) std::free(data_);
  if (zeros_) munmap(data_, size_t(size_) + 64);
}

Result<Tensor> Tensor::allocate(DType dtype, Shape shape) {
  constexpr int64_t kMost = int64_t(1) << 56;
  int64_t n = num_elements(shape);
  if (n < 0 || n > kMost) return invalid_argument("a tensor of shape ", shape, " cannot exist");
  auto buffer = Buffer::allocate(byte_size(dtype, n));
  if (!buffer)
    return Status(Code::out_of_memory,
                  cat("no memory for a tensor ", name(dtype), shape, " of ", human_bytes(uint64_t(byte_size(dtype, n)))),
                  "a smaller batch or shape, or a machine with more memory");
  if (bits(dtype) < 8 && buffer->size()) std::memset(buffer->data(), 0, size_t(buffer->size()));
  return Tensor(dtype, std::move(shape), std::move(buffer));
}

Tensor Tensor::make(DType dtype, Shape shape) {
  auto t = allocate(dtype, std::move(shape));
  CHECK(t.ok());
  return std::move(t).value();
}

Tensor Tensor::of_ints(std::span<const int64_t> values, DType dtype) {
  Tensor t = make(dtype, {int64_t(values.size())});
  store_ints(dtype, t.data(), 0, t.size(), values.data());
  return t;
}

Tensor Tensor::of_floats(std::span<const double> values, DType dtype) {
  Tensor t = make(dtype, {int64_t(values.size())});
  store_doubles(dtype, t.data(), 0, t.size(), values.data());
  return t;
}

Tensor Tensor::scalar_int(int64_t value, DType dtype) { return of_ints({value}, dtype).reshaped({}); }

Tensor Tensor::scalar_float(double value, DType dtype) {
  return of_floats(std::span<const double>(&value, 1), dtype).reshaped({});
}

std::vector<double> Tensor::to_doubles() const {
  std::vector<double> v(static_cast<size_t>(size()));
  load_doubles(dtype_, data(), 0, size(), v.data());
  return v;
}

std::vector<int64_t> Tensor::to_ints() const {
  std::vector<int64_t> v(static_cast<size_t>(size()));
  load_ints(dtype_, data(), 0, size(), v.data());
  return v;
}

Tensor Tensor::reshaped(Shape shape) const {
  CHECK(num_elements(shape) == size());
  Tensor t = *this;
  t.shape_ = std::move(shape);
  return t;
}

bool Tensor::identical(const Tensor& other) const {
  if (!*this || !other) return !*this && !other;
  return dtype_ == other.dtype_ && shape_ == other.shape_ && std::memcmp(data(), other.data(), size_t(bytes())) == 0;
}

}  // namespace tenon
