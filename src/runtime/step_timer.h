// StepTimer: how long each step of a run takes. Steps of the host by the host's clock; steps of a device by its own, from
// marks between them that are read when the run is over, so that nobody waits in between.
#pragma once

#include <memory>
#include <vector>

#include "backend/backend.h"

namespace tenon {

// What one step of a run did and cost.
struct StepTime {
  const Node* node;       // null: outputs on their way to the caller
  double begin, seconds;  // `begin` by the steady clock
  int depth;              // 0; more inside of control flow, whose node's own time covers it
  bool on_device;         // by the clock of a device with memory of its own
  std::vector<Operand> in, out;
};

class StepTimer {
 public:
  // Adds to `times`. `stream` is the device's, or null where the device is the host.
  StepTimer(std::vector<StepTime>* times, Stream* stream, int depth) : times_(*times), stream_(stream), depth_(depth) {}

  // Before a step. With `hold`, work may queue up: the host puts a few steps on the stream before the device begins, so that
  // short ones do not wait for it. The step must then not wait for the stream, nor copy from or to the host.
  Status begin(bool on_device, bool hold);
  // Inside of a step of the device that was not ready when it began: what came before does not count.
  Status begin_again();
  // Gives what was added to the times, whose operands the caller fills in; `node` null: outputs on their way.
  Result<StepTime*> end(const Node* node);
  // When the run is over, also after an error.
  Status finish();

 private:
  struct Pending {
    size_t time, from, to;  // of times_ and marks_
  };
  Status mark();
  Status release();

  std::vector<StepTime>& times_;
  Stream* stream_;
  const int depth_;
  bool on_device_ = false, holding_ = false, first_is_held_ = false;
  bool fresh_ = false;                        // the last mark stands behind all that is on the stream
  int held_ = 0;                              // steps put on the stream since hold()
  double began_ = 0, first_mark_ = 0;         // when the step began, when the first mark was reached
  std::vector<std::unique_ptr<Mark>> marks_;  // of this run
  std::vector<Pending> pending_;
};

}  // namespace tenon
