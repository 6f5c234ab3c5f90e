#include "backend/cuda/stream.h"

#include <cstring>

namespace tenon::cuda {

namespace {

class CudaRecording : public Recording {
 public:
  CudaRecording(std::shared_ptr<CudaDevice> device, CudaStream& stream, GraphExec exec, NodeNames nodes)
      : device_(std::move(device)), stream_(stream), exec_(exec), nodes_(std::move(nodes)) {}
  ~CudaRecording() override {
    CudaDevice::Current current(*device_);
    device_->driver().graph_exec_destroy(exec_);
  }
  Status replay() override {
    TRY(device_->alive());
    CudaDevice::Current current(*device_);
    if (const int error = device_->driver().graph_launch(exec_, stream_.active())) return stream_.failed(error, "replay a recording");
    stream_.issued(nodes_);
    return {};
  }

 private:
  std::shared_ptr<CudaDevice> device_;
  CudaStream& stream_;
  GraphExec exec_;
  NodeNames nodes_;
};

class CudaMark : public Mark {
 public:
  CudaMark(std::shared_ptr<CudaDevice> device, EventHandle event) : device_(std::move(device)), event_(event) {}
  ~CudaMark() override {
    CudaDevice::Current current(*device_);
    device_->driver().event_destroy(event_);
  }
  Result<double> seconds_since(const Mark& earlier) override {
    TRY(device_->alive());
    const Driver& d = device_->driver();
    CudaDevice::Current current(*device_);
    if (const int error = d.event_synchronize(event_)) return device_->failed(error, "finish its work");
    float milliseconds = 0;
    const EventHandle from = static_cast<const CudaMark&>(earlier).event_;
    if (const int error = d.event_elapsed(&milliseconds, from, event_)) return device_->failed(error, "tell the time between two marks");
    return double(milliseconds) * 1e-3;
  }

 private:
  std::shared_ptr<CudaDevice> device_;
  EventHandle event_;
};

}  // namespace

CudaStream::CudaStream(std::shared_ptr<CudaDevice> device, StreamHandle own)
    : device_(std::move(device)), own_(own), handle_(own), progress_(device_->pool().add_stream()) {}

Result<std::unique_ptr<Stream>> CudaStream::create(std::shared_ptr<CudaDevice> device) {
  TRY(device->alive());
  CudaDevice::Current current(*device);
  StreamHandle handle = nullptr;
  if (const int error = device->driver().stream_create(&handle, kStreamNonBlocking)) return device->failed(error, "create a stream");
  return std::unique_ptr<Stream>(new CudaStream(std::move(device), handle));
}

CudaStream::~CudaStream() {
  (void)release();
  const Driver& d = device_->driver();
  CudaDevice::Current current(*device_);
  if (recording_) {
    GraphHandle graph = nullptr;
    if (d.end_capture(capture_, &graph) == 0 && graph) d.graph_destroy(graph);
  }
  // Memory that was let go waits for this stream. A stream of the caller's may be gone already, so there all is waited for.
  if (progress_->issued > progress_->done) handle_ == own_ ? d.stream_synchronize(own_) : d.synchronize_context();
  progress_->done = progress_->issued.load();
  if (capture_) d.stream_destroy(capture_);
  if (order_) d.event_destroy(order_);
  d.stream_destroy(own_);
}

Status CudaStream::put_in_order(StreamHandle first, StreamHandle then) {
  TRY(device_->alive());
  if (recording_) return internal_error("a stream does not change while it records");
  const Driver& d = device_->driver();
  CudaDevice::Current current(*device_);
  if (!order_)
    if (const int error = d.event_create(&order_, kEventWithoutTime)) return order_ = nullptr, device_->failed(error, "create an event");
  if (const int error = d.event_record(order_, first)) return device_->failed(error, "record an event");
  if (const int error = d.stream_wait(then, order_, 0)) return device_->failed(error, "put two streams in order");
  return {};
}

Status CudaStream::redirect(void* handle) {
  const StreamHandle to = handle ? static_cast<StreamHandle>(handle) : own_;
  if (to == handle_) return {};
  if (progress_->issued > progress_->done) TRY(put_in_order(handle_, to));
  handle_ = to;
  return {};
}

Status CudaStream::wait_for(void* handle) {
  const auto first = static_cast<StreamHandle>(handle);
  return first == handle_ ? Status() : put_in_order(first, handle_);
}

void CudaStream::count_queued() {
  if (held_ != released_ && ++queued_ >= kMostHeld) (void)release();
}

void CudaStream::issued(const NodeNames& nodes) {
  ++progress_->issued;
  count_queued();
  if (!nodes) return;
  std::vector<NodeNames>& list = recording_ ? recorded_ : since_wait_;
  // A caller's own stream may never be waited for here.
  if (!recording_ && list.size() >= 10000) list.erase(list.begin(), list.begin() + 5000);
  list.push_back(nodes);
}

std::string CudaStream::names_of_work() const {
  constexpr size_t kMost = 12;
  std::vector<std::string> names;
  size_t more = 0;
  for (const NodeNames& n : since_wait_)
    for (const std::string& name : *n) names.size() < kMost ? names.push_back(name) : void(++more);
  if (names.empty()) return "";
  return cat("; since the last wait it was given: ", join(names, ", "), more ? cat(" and ", more, " more") : "");
}

// Whichever call waits first reports a fault: a copy to ordinary memory, say.
Status CudaStream::failed(int error, const std::string& doing) {
  return device_->failed(error, doing, is_fatal(error) ? names_of_work() : "");
}

Status CudaStream::synchronize() {
  TRY(release());
  TRY(device_->alive());
  if (recording_) return internal_error("a stream cannot be waited for while it records");
  const uint64_t issued = progress_->issued;
  CudaDevice::Current current(*device_);
  if (const int error = device_->driver().stream_synchronize(handle_)) {
    const std::string work = names_of_work();
    since_wait_.clear();
    return device_->failed(error, "finish its work", work);
  }
  since_wait_.clear();
  progress_->done = issued;
  return {};
}

// The device reads the word in the host's memory by itself, so that releasing it needs no call that may wait.
Status CudaStream::hold() {
  TRY(device_->alive());
  if (recording_ || held_ != released_) return {};
  if (!gate_) {
    gate_ = device_->allocate_staging(sizeof(uint32_t));
    if (!gate_) return {};
    std::memset(gate_->data(), 0, sizeof(uint32_t));
  }
  CudaDevice::Current current(*device_);
  const int error = device_->driver().stream_wait_value(handle_, reinterpret_cast<DevicePtr>(gate_->data()), held_ + 1, kWaitAtLeast);
  if (error == kErrorNotSupported) return {};
  if (error) return device_->failed(error, "hold a stream");
  ++held_;
  queued_ = 0;
  issued(nullptr);
  return {};
}

Status CudaStream::release() {
  if (held_ == released_) return {};
  released_ = held_;
  __atomic_store_n(static_cast<uint32_t*>(gate_->data()), released_, __ATOMIC_RELEASE);
  return {};
}

Result<std::unique_ptr<Mark>> CudaStream::mark() {
  TRY(device_->alive());
  if (recording_) return internal_error("a stream is not marked while it records");
  const Driver& d = device_->driver();
  CudaDevice::Current current(*device_);
  EventHandle event = nullptr;
  if (const int error = d.event_create(&event, 0)) return device_->failed(error, "create an event");
  auto mark = std::make_unique<CudaMark>(device_, event);
  if (const int error = d.event_record(event, handle_)) return device_->failed(error, "record an event");
  count_queued();
  return std::unique_ptr<Mark>(std::move(mark));
}

// The work is captured from a stream of its own, so that a caller's stream may be any, the default one too.
Status CudaStream::begin_recording() {
  TRY(device_->alive());
  if (recording_) return internal_error("the stream records already");
  const Driver& d = device_->driver();
  CudaDevice::Current current(*device_);
  if (!capture_)
    if (const int error = d.stream_create(&capture_, kStreamNonBlocking)) return device_->failed(error, "create a stream");
  if (const int error = d.begin_capture(capture_, kCaptureThreadLocal)) return device_->failed(error, "begin a recording");
  recording_ = true;
  recorded_.clear();
  return {};
}

Result<std::unique_ptr<Recording>> CudaStream::end_recording() {
  if (!recording_) return internal_error("the stream records nothing");
  recording_ = false;
  TRY(device_->alive());
  const Driver& d = device_->driver();
  CudaDevice::Current current(*device_);
  GraphHandle graph = nullptr;
  GraphExec exec = nullptr;
  if (const int error = d.end_capture(capture_, &graph)) return device_->failed(error, "end a recording");
  if (!graph) return internal_error("the recording is lost");
  const int error = d.graph_instantiate(&exec, graph, 0);
  d.graph_destroy(graph);
  if (error) return device_->failed(error, "prepare a recording");
  auto names = std::make_shared<std::vector<std::string>>();
  for (const NodeNames& n : recorded_) names->insert(names->end(), n->begin(), n->end());
  recorded_.clear();
  return std::unique_ptr<Recording>(std::make_unique<CudaRecording>(device_, *this, exec, std::move(names)));
}

}  // namespace tenon::cuda
