// The emulated driver's streams, and graphs captured from them.
#include <chrono>
#include <utility>

#include "cuda_emulator/gpu.h"

namespace tenon::emulator {

using cuda::Work;

int enqueue(cuda::StreamHandle s, Work work) {
  Lock lock(gpu().mutex);
  if (gpu().dead) return kIllegalAddress;
  s = find_stream(s);
  if (!s) return kInvalidHandle;
  (s->capturing ? s->captured : s->queue).push_back(std::move(work));
  return 0;
}

void drain(cuda::DriverStream& s) {
  std::vector<Work> todo;
  todo.swap(s.queue);
  if (todo.empty()) return;
  for (const Work& w : todo)
    if (Status status = w(); !status.ok()) {
      if (s.error.ok()) s.error = status;
      return;
    }
  if (Status status = gpu().memory->check(); !status.ok() && s.error.ok()) s.error = status;
}

namespace calls {

int stream_create(StreamHandle* s, unsigned) {
  if (no_context()) return kNoContext;
  Lock lock(gpu().mutex);
  *s = new DriverStream{current_gpu()};
  gpu().streams.insert(*s);
  return 0;
}
int stream_synchronize(StreamHandle s) {
  Lock lock(gpu().mutex);
  s = find_stream(s);
  if (!s) return kInvalidHandle;
  if (s->capturing) return kCaptureUnsupported;
  if (gpu().dead) return kIllegalAddress;
  drain(*s);
  if (!s->error.ok() && gpu().faults_are_fatal) {
    failed(std::exchange(s->error, {}));
    gpu().dead = true;
    return kIllegalAddress;
  }
  return failed(std::exchange(s->error, {}));
}
int stream_destroy(StreamHandle s) {
  Lock lock(gpu().mutex);
  const int result = stream_synchronize(s);  // work that nobody waited for is still done
  if (gpu().streams.erase(s)) delete s;
  return result;
}
int synchronize_context() {
  Lock lock(gpu().mutex);
  for (DriverStream* s : gpu().streams)
    if (!s->capturing) drain(*s);
  return 0;
}
// Marks work off the queue before the host could let it go on, so this waits for nothing.
int stream_wait_value(StreamHandle s, DevicePtr at, unsigned, unsigned) {
  Lock lock(gpu().mutex);
  s = find_stream(s);
  return !s || s->capturing ? kInvalidHandle : at ? 0 : kInvalidValue;
}
// Where the time is wanted the queue is worked off here, so that the clock tells what the work took.
int event_record(EventHandle e, StreamHandle s) {
  Lock lock(gpu().mutex);
  s = find_stream(s);
  if (!s || s->capturing) return kInvalidHandle;
  e->stream = s;
  e->reached = std::make_shared<bool>(false);
  s->queue.push_back([reached = e->reached] { return *reached = true, Status(); });
  if (!e->timed) return 0;
  drain(*s);
  e->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  return 0;
}
int stream_wait(StreamHandle s, EventHandle e, unsigned) {
  Lock lock(gpu().mutex);
  s = find_stream(s);
  if (!s || s->capturing) return kInvalidHandle;
  if (!e->reached) return 0;
  s->queue.push_back([reached = e->reached, first = e->stream] {
    if (!*reached && gpu().streams.contains(first)) drain(*first);
    return Status();
  });
  return 0;
}
int event_create(EventHandle* e, unsigned flags) { return *e = new DriverEvent{flags != kEventWithoutTime}, 0; }
int event_synchronize(EventHandle e) {
  Lock lock(gpu().mutex);
  if (e->reached && !*e->reached && gpu().streams.contains(e->stream)) drain(*e->stream);
  return 0;
}
int event_elapsed(float* ms, EventHandle from, EventHandle to) { return *ms = float((to->seconds - from->seconds) * 1e3), 0; }
int event_destroy(EventHandle e) { return delete e, 0; }
int begin_capture(StreamHandle s, int) { return s->capturing ? kInvalidValue : (s->capturing = true, 0); }
int end_capture(StreamHandle s, GraphHandle* graph) {
  if (!s->capturing) return kInvalidValue;
  s->capturing = false;
  *graph = new DriverGraph{std::move(s->captured)};
  s->captured.clear();
  return 0;
}
int graph_instantiate(GraphExec* exec, GraphHandle graph, unsigned long long) { return *exec = new DriverGraphExec{graph->work}, 0; }
int graph_launch(GraphExec exec, StreamHandle s) {
  Lock lock(gpu().mutex);
  s = find_stream(s);
  if (!s || s->capturing) return kInvalidHandle;
  ++gpu().counts.graph_launches;
  // A copy of the list: the graph may be destroyed before the stream gets there, as on a GPU.
  s->queue.insert(s->queue.end(), exec->work.begin(), exec->work.end());
  return 0;
}
int graph_exec_destroy(GraphExec exec) { return delete exec, 0; }
int graph_destroy(GraphHandle graph) { return delete graph, 0; }

}  // namespace calls

}  // namespace tenon::emulator
