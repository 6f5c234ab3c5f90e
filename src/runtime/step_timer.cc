#include "runtime/step_timer.h"

#include <chrono>

namespace tenon {

static double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

Status StepTimer::mark() {
  marks_.push_back(TRY(stream_->mark()));
  if (marks_.size() == 1) {
    first_mark_ = now();
    first_is_held_ = holding_;
  }
  return {};
}

Status StepTimer::release() {
  if (!holding_) return {};
  holding_ = false;
  if (first_is_held_) first_mark_ = now();
  first_is_held_ = false;
  return stream_->release();
}

Status StepTimer::begin(bool on_device, bool hold) {
  on_device_ = on_device && stream_;
  if (!on_device_) {
    TRY(release());
    fresh_ = false;
    held_ = 0;
    began_ = now();
    return {};
  }
  constexpr int kMostSteps = Stream::kMostHeld / 4;  // a step is a few launches and a mark
  if (!hold || held_ >= kMostSteps) TRY(release());
  if (hold && held_ == 0) {
    TRY(stream_->hold());
    holding_ = true;
    fresh_ = false;
  }
  held_ = hold ? held_ + 1 : 0;
  if (!fresh_) TRY(mark());
  fresh_ = true;
  return {};
}

Status StepTimer::begin_again() { return on_device_ ? mark() : Status(); }

Result<StepTime*> StepTimer::end(const Node* node) {
  StepTime t{node, began_, 0, depth_, on_device_, {}, {}};
  if (on_device_) {
    TRY(mark());
    pending_.push_back({times_.size(), marks_.size() - 2, marks_.size() - 1});
  } else {
    t.seconds = now() - began_;
  }
  times_.push_back(std::move(t));
  return &times_.back();
}

Status StepTimer::finish() {
  Status status = release();
  for (const Pending& p : pending_) {
    if (!status.ok()) break;
    auto took = marks_[p.to]->seconds_since(*marks_[p.from]), since = marks_[p.from]->seconds_since(*marks_[0]);
    if (!took.ok() || !since.ok()) {
      status = took.ok() ? since.status() : took.status();
      break;
    }
    times_[p.time].begin = first_mark_ + *since;
    times_[p.time].seconds = *took;
  }
  pending_.clear();
  marks_.clear();
  fresh_ = false;
  held_ = 0;
  return status;
}

}  // namespace tenon
