// Tensors in the host's and in the device's memory, and the way between them.
#include <algorithm>
#include <cstring>

#include "runtime/binding.h"
#include "runtime/executor.h"

namespace tenon {

Result<Tensor> Executor::allocate(DType t, const Shape& shape, Place p) {
  if (!plan_.split || p == Place::host) return Tensor::allocate(t, shape);
  const int64_t elements = num_elements(shape);
  if (elements < 0) return invalid_argument("shape ", shape, " is too large");
  auto buffer = plan_.device->allocate(std::max<int64_t>(byte_size(t, elements), 1));
  if (!buffer) TRY(stream_.synchronize());  // a device that does nothing more says why
  if (!buffer) return Status(Code::out_of_memory, cat("no device memory for ", human_bytes(uint64_t(byte_size(t, elements)))), "a smaller batch or shape");
  return Tensor(t, shape, buffer);
}

constexpr int64_t kCopyTask = int64_t(1) << 18;  // bytes that are worth a worker's start

// On all workers where it is much; zero bytes are legal.
static void copy_on_host(ThreadPool* pool, void* to, const void* from, int64_t bytes) {
  const int64_t tasks = pool && pool->threads() > 1 ? (bytes + kCopyTask - 1) / kCopyTask : 1;
  if (tasks <= 1) {
    if (bytes) std::memcpy(to, from, size_t(bytes));
    return;
  }
  pool->parallel_for(tasks, [&](int64_t i, int) {
    const int64_t at = i * kCopyTask;
    std::memcpy(static_cast<char*>(to) + at, static_cast<const char*>(from) + at, size_t(std::min(kCopyTask, bytes - at)));
  });
}

// In the memory where a step runs, in the order of its stream.
Status Executor::copy_part(const LoadedStep& step, const CopiedPart& part, void* output, const void* from) {
  char* to = static_cast<char*>(output) + part.offset;
  if (plan_.memory(step.place) != kHostMemory) {
    for (int64_t i = 0; i < part.rows; ++i)
      TRY(plan_.device->copy(stream_, to + i * part.pitch, static_cast<const char*>(from) + i * part.bytes, part.bytes, Copy::device_to_device));
    return {};
  }
  ThreadPool* pool = stream_of(step).pool();
  if (part.rows == 1) return copy_on_host(pool, to, from, part.bytes), Status();
  const int64_t block = std::max<int64_t>(1, kCopyTask / std::max<int64_t>(part.bytes, 1));
  pool->parallel_for((part.rows + block - 1) / block, [&](int64_t task, int) {
    for (int64_t i = task * block; i < std::min(part.rows, (task + 1) * block); ++i)
      std::memcpy(to + i * part.pitch, static_cast<const char*>(from) + i * part.bytes, size_t(part.bytes));
  });
  return {};
}

// In stream order; what comes to the host has arrived after settle().
Status Executor::copy(Tensor& to, const Tensor& from) {
  const int64_t bytes = from.bytes();
  if (!bytes) return {};
  const bool to_host = to.memory() == kHostMemory, from_host = from.memory() == kHostMemory;
  if (to_host && from_host) {
    TRY(settle());
    copy_on_host(host_.pool(), to.data(), from.data(), bytes);
    return {};
  }
  arriving_ = arriving_ || to_host;
  if (from_host) TRY(settle());
  return plan_.device->copy(stream_, to.data(), from.data(), bytes,
                            to_host ? Copy::device_to_host : from_host ? Copy::host_to_device : Copy::device_to_device);
}

// Waits for what is on its way to the host.
Status Executor::settle() {
  if (!arriving_) return {};
  arriving_ = false;
  return stream_.synchronize();
}

// The value as it stands now; null where there is none yet.
Tensor Executor::tensor_of(const Binding& b, ValueId v) const {
  if (v == kNoValue) return {};
  if (plan_.graph.is_constant(v)) return plan_.graph.constant(v);
  if (b.held[size_t(v)]) return b.held[size_t(v)];
  const DType t = plan_.graph.info(v).dtype;
  return Tensor(t, b.shape[size_t(v)],
                Buffer::borrow(b.data[size_t(v)], byte_size(t, num_elements(b.shape[size_t(v)])), nullptr, plan_.memory(plan_.place[size_t(v)])));
}

// Itself where it is on the host already.
Result<Tensor> Executor::host_copy(const Tensor& t) {
  if (!t || t.memory() == kHostMemory) return t;
  Tensor host = TRY(Tensor::allocate(t.dtype(), t.shape()));
  TRY(copy(host, t));
  TRY(settle());
  return host;
}

// In that place's memory; itself where it is there already.
Result<Tensor> Executor::bring(const Tensor& t, Place p) {
  if (t.memory() == plan_.memory(p)) return t;
  if (p == Place::host) return host_copy(t);
  Tensor there = TRY(allocate(t.dtype(), t.shape(), p));
  TRY(copy(there, t));
  return there;
}

}  // namespace tenon
