// A stream of the device, and recordings of what was put on it (CUDA graphs).
#pragma once

#include "backend/cuda/device.h"

namespace tenon::cuda {

// The nodes that a launch does the work of, for messages about faults that show up later.
using NodeNames = std::shared_ptr<const std::vector<std::string>>;

class CudaStream : public Stream {
 public:
  static Result<std::unique_ptr<Stream>> create(std::shared_ptr<CudaDevice> device);
  ~CudaStream() override;

  Status synchronize() override;
  Result<std::unique_ptr<Mark>> mark() override;
  Status redirect(void* handle) override;
  Status wait_for(void* handle) override;
  void* handle() const override { return handle_; }
  bool can_record() const override { return true; }
  Status begin_recording() override;
  Result<std::unique_ptr<Recording>> end_recording() override;
  Status hold() override;
  Status release() override;

  CudaDevice& device() { return *device_; }
  // Where work goes: the stream itself, or while recording the stream that is captured.
  StreamHandle active() const { return recording_ ? capture_ : handle_; }
  bool recording() const { return recording_; }
  // To be called after each piece of work; `nodes` may be null.
  void issued(const NodeNames& nodes);
  // A driver's error as a Status; a fault names the nodes whose work was under way.
  Status failed(int error, const std::string& doing);

 private:
  CudaStream(std::shared_ptr<CudaDevice> device, StreamHandle own);
  Status put_in_order(StreamHandle first, StreamHandle then);
  std::string names_of_work() const;
  // A full queue would let the next launch wait for a stream that waits for the host: it goes on long before.
  void count_queued();

  std::shared_ptr<CudaDevice> device_;
  const StreamHandle own_;
  StreamHandle handle_;  // own_, or a caller's
  StreamHandle capture_ = nullptr;
  EventHandle order_ = nullptr;
  bool recording_ = false;
  // The stream goes on past hold() number n when this word of the host's, which the device reads, is n or more.
  std::shared_ptr<Buffer> gate_;
  uint32_t held_ = 0, released_ = 0;
  int queued_ = 0;  // launches, copies and marks since hold()
  std::shared_ptr<Progress> progress_;
  std::vector<NodeNames> since_wait_, recorded_;
};

}  // namespace tenon::cuda
