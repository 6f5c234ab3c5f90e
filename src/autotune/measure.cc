#include "autotune/measure.h"

#include <algorithm>

#include "autotune/operands.h"
#include "base/machine.h"
#include "base/memory_limit.h"

namespace tenon {

namespace {

constexpr int kRepeats = 7;
constexpr double kRepeatSeconds = 2e-3;  // long beside what a clock is off by, short beside a budget
constexpr double kSlow = 0.1;            // seconds of one launch from which on a single repeat must do
constexpr int64_t kMostRecorded = 100;

// One image that is measured.
struct Contestant {
  std::unique_ptr<Kernel> kernel;
  std::unique_ptr<Launch> launch;
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  void* scratch = nullptr;
  std::unique_ptr<Recording> recording;
  int64_t launches = 1, recorded = 1;  // in one repeat; in the recording
  std::vector<double> samples;         // seconds of one launch
  Status status;
};

class Measuring {
 public:
  Measuring(Stream& stream, Operands& operands, const KernelRequest& r, Device& device)
      : stream_(stream), operands_(operands), r_(r), device_(device) {}

  // Loads, binds, runs once; then knows how many launches make a repeat.
  Status prepare(Contestant& c, const KernelImage& image) {
    c.kernel = TRY(device_.load({r_.graph, r_.node, image}));
    uint64_t unread = device_.memory() == kHostMemory ? 0 : c.kernel->value_inputs();
    for (int i : image.absorbed_inputs) unread |= uint64_t(1) << i;
    for (size_t i = 0; i < r_.node.inputs.size() && i < 32; ++i)
      if (c.kernel->value_inputs() >> i & 1 && r_.node.inputs[i] != kNoValue && !operands_.inputs()[i].value)
        return unsupported("the value of input ", i, " is known in the run alone");
    c.launch = TRY(c.kernel->bind(operands_.inputs(), operands_.outputs(), stream_));
    TRY(operands_.place(unread, c.inputs, c.outputs));
    if (c.launch->scratch_bytes() > 0) c.scratch = TRY(operands_.scratch(c.launch->scratch_bytes()));
    TRY(run(c, 1));
    TRY(stream_.synchronize());
    const double once = TRY(time([&] { return run(c, 3); })) / 3;
    if (once > kSlow) c.samples.push_back(once);
    c.launches = std::clamp<int64_t>(int64_t(kRepeatSeconds / std::max(once, 1e-7)), 1, 10000);
    c.recorded = std::min(c.launches, kMostRecorded);
    if (!stream_.can_record()) return {};
    TRY(stream_.begin_recording());
    const Status status = run(c, c.recorded);
    auto recording = stream_.end_recording();  // in any case: the stream must not stay in recording
    TRY(status);
    c.recording = TRY(std::move(recording));
    return {};
  }

  Status repeat(Contestant& c) {
    const int64_t replays = (c.launches + c.recorded - 1) / c.recorded, launches = c.recording ? replays * c.recorded : c.launches;
    const double seconds = TRY(time([&]() -> Status {
      if (!c.recording) return run(c, c.launches);
      for (int64_t i = 0; i < replays; ++i) TRY(c.recording->replay());
      return {};
    }));
    c.samples.push_back(seconds / double(launches));
    return {};
  }

 private:
  template <class Work>
  Result<double> time(Work work) {
    const auto begin = TRY(stream_.mark());
    TRY(work());
    const auto end = TRY(stream_.mark());
    const double seconds = TRY(end->seconds_since(*begin));
    TRY(stream_.synchronize());
    return seconds;
  }

  Status run(Contestant& c, int64_t launches) {
    for (int64_t i = 0; i < launches; ++i) TRY(c.launch->run({c.inputs.data(), c.outputs.data(), c.scratch, stream_}));
    return {};
  }

  Stream& stream_;
  Operands& operands_;
  const KernelRequest& r_;
  Device& device_;
};

Timing timing_of(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const size_t n = samples.size();
  // To a tenth of a nanosecond, which prints short.
  const auto rounded = [](double s) { return double(int64_t(s * 1e10 + 0.5)) / 1e10; };
  return {std::max(rounded(samples[n / 2]), 1e-10), rounded(samples[n - 1 - n / 4] - samples[n / 4])};
}

}  // namespace

static Status measure_all(Device& device, const KernelRequest& r, const std::vector<const KernelImage*>& images,
                          const MeasureOptions& options, std::vector<Contestant>& contestants) {
  const auto out_of_time = [&] { return options.out_of_time && options.out_of_time(); };
  const std::unique_ptr<Stream> stream = TRY(device.create_stream(usable_cores()));
  Operands operands(device, *stream, r);
  TRY(operands.describe());
  Measuring measuring(*stream, operands, r, device);
  for (size_t i = 0; i < images.size() && !out_of_time(); ++i)
    contestants[i].status = catch_bad_alloc([&] { return measuring.prepare(contestants[i], *images[i]); });
  for (int round = 0; round < kRepeats && !out_of_time(); ++round)
    for (Contestant& c : contestants)
      if (c.status.ok() && c.launch && (c.samples.empty() || c.samples[0] <= kSlow)) c.status = measuring.repeat(c);
  const Status done = stream->synchronize();
  for (Contestant& c : contestants) c.recording.reset(), c.launch.reset(), c.kernel.reset();
  return done;
}

std::vector<Result<Timing>> measure(Device& device, const KernelRequest& request, const std::vector<const KernelImage*>& images,
                                    const MeasureOptions& options) {
  std::vector<Contestant> contestants(images.size());
  const Status all = catch_bad_alloc([&] { return measure_all(device, request, images, options, contestants); });
  std::vector<Result<Timing>> out;
  for (const Contestant& c : contestants) {
    if (!c.status.ok()) out.push_back(c.status);
    else if (!c.samples.empty()) out.push_back(timing_of(c.samples));
    else out.push_back(all.ok() ? Status(Code::cancelled, "there was no time left to measure it") : all);
  }
  return out;
}

}  // namespace tenon
