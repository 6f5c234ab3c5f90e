// What backends on the host share: memory, copies and a stream that is done when run() returns.
#pragma once

#include "backend/backend.h"

namespace tenon {

class HostStream : public Stream {
 public:
  explicit HostStream(int threads) : pool_(threads) {}
  Status synchronize() override { return {}; }
  Result<std::unique_ptr<Mark>> mark() override;
  ThreadPool* pool() override { return &pool_; }

 private:
  ThreadPool pool_;
};

class HostDevice : public Device {
 public:
  std::shared_ptr<Buffer> allocate(int64_t bytes) override { return Buffer::allocate(bytes); }
  Status copy(Stream& stream, void* to, const void* from, int64_t bytes, Copy direction) override;
  Result<std::unique_ptr<Stream>> create_stream(int threads) override;
};

}  // namespace tenon
