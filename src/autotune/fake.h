// For tests: a compiler with a choice of kernels and a device on which each of them takes the time that the test says, by a
// clock of its own.
#pragma once

#include <atomic>
#include <map>

#include "backend/compiler.h"
#include "backend/host.h"

namespace tenon::testing {

struct FakeMachine {
  // Seconds of a launch by variant, in the model's order of the variants; negative: it fails to run.
  std::vector<std::pair<std::string, double>> variants;
  double drift = 0;               // added to each further launch
  std::string broken;             // a variant that does not compile
  std::string words = "a fake device";
  bool dies = false;              // with the first kernel that fails
  std::atomic<int> compiled = 0;  // images
  std::map<std::string, int> launches;
  double clock = 0;
  bool dead = false;

  double seconds_of(const std::string& variant) const {
    for (const auto& [name, s] : variants)
      if (name == variant) return s;
    return -1;
  }
};

class FakeStream : public HostStream {
 public:
  explicit FakeStream(FakeMachine& m) : HostStream(1), machine_(m) {}
  Result<std::unique_ptr<Mark>> mark() override {
    struct At : Mark {
      double at = 0;
      Result<double> seconds_since(const Mark& earlier) override { return at - static_cast<const At&>(earlier).at; }
    };
    auto m = std::make_unique<At>();
    m->at = machine_.clock;
    return std::unique_ptr<Mark>(std::move(m));
  }
  void add(const std::string& variant) {
    if (recording_) return noted_.push_back(variant);
    machine_.clock += machine_.seconds_of(variant) + machine_.drift * machine_.launches[variant]++;
  }
  bool can_record() const override { return true; }
  Status begin_recording() override { return recording_ = true, noted_.clear(), Status(); }
  Result<std::unique_ptr<Recording>> end_recording() override {
    struct Replay : Recording {
      FakeStream* stream;
      std::vector<std::string> work;
      Status replay() override {
        for (const std::string& w : work) stream->add(w);
        return {};
      }
    };
    recording_ = false;
    auto r = std::make_unique<Replay>();
    r->stream = this;
    r->work.swap(noted_);
    return std::unique_ptr<Recording>(std::move(r));
  }

 private:
  FakeMachine& machine_;
  bool recording_ = false;
  std::vector<std::string> noted_;
};

class FakeDevice : public HostDevice {
 public:
  explicit FakeDevice(FakeMachine& m) : machine_(m) {}
  std::string description() const override { return machine_.words; }
  Result<std::unique_ptr<Stream>> create_stream(int) override {
    if (machine_.dead) return internal_error("the device is gone");
    return std::unique_ptr<Stream>(std::make_unique<FakeStream>(machine_));
  }
  Result<std::unique_ptr<Kernel>> load(const KernelSource& s) override {
    struct FakeLaunch : Launch {
      FakeLaunch(FakeMachine& m, std::string v) : machine(m), variant(std::move(v)) {}
      int64_t scratch_bytes() const override { return int64_t(variant.size()) * 100; }
      Status run(const LaunchArgs& a) override {
        if (machine.dead) return internal_error("the device is gone");
        if (machine.seconds_of(variant) < 0) {
          machine.dead = machine.dies;
          return internal_error("a fault");
        }
        static_cast<FakeStream&>(a.stream).add(variant);
        return {};
      }
      FakeMachine& machine;
      std::string variant;
    };
    struct FakeKernel : Kernel {
      FakeKernel(FakeMachine& m, std::string v) : machine(m), variant(std::move(v)) {}
      Result<std::unique_ptr<Launch>> bind(std::span<const TensorDesc>, std::span<const TensorDesc>, Stream&) const override {
        return std::unique_ptr<Launch>(std::make_unique<FakeLaunch>(machine, variant));
      }
      FakeMachine& machine;
      std::string variant;
    };
    return std::unique_ptr<Kernel>(std::make_unique<FakeKernel>(machine_, s.image.kernel));
  }

 private:
  FakeMachine& machine_;
};

// Offers its variants for every node but those called "plain".
class FakeCompiler : public KernelCompiler {
 public:
  explicit FakeCompiler(FakeMachine& m) : machine_(m) {}
  std::string target() const override { return "fake:1"; }
  std::string toolchain() const override { return "fakes 2"; }
  KernelAnswer supports(const KernelRequest&) const override { return {true, ""}; }
  std::vector<KernelVariant> variants(const KernelRequest& r) const override {
    std::vector<KernelVariant> out;
    if (r.node.name == "plain") return out;
    for (const auto& [name, s] : machine_.variants) out.push_back({name, 1e-6 * double(out.size() + 1)});
    return out;
  }
  Result<KernelImage> compile(const KernelRequest& r) override {
    ++machine_.compiled;
    const std::string variant = r.variant.empty() && !machine_.variants.empty() ? machine_.variants[0].first : r.variant;
    if (variant == machine_.broken && !machine_.broken.empty()) return internal_error("it does not compile");
    KernelImage image;
    image.backend = "fake";
    image.kernel = variant;
    return image;
  }

 private:
  FakeMachine& machine_;
};

}  // namespace tenon::testing
