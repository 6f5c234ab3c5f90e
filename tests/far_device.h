// For tests: a device whose memory the host cannot touch. Its kernels are the references; its addresses are shifted into a
// region without access rights, so that host code that reads or writes one of them dies at once. Launches and copies wait in
// a queue until somebody synchronizes, so that a missing wait shows too.
#pragma once

#include <sys/mman.h>

#include <cstring>
#include <functional>

#include "backend/compiler.h"
#include "backend/host.h"

namespace tenon::testing {

constexpr MemoryId kFarMemory = 4711;

// Two reservations of the same size: what is handed out, and what stands behind it.
class FarMemory {
 public:
  FarMemory() {
    shown_ = static_cast<char*>(mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    real_ = static_cast<char*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  }
  ~FarMemory() {
    munmap(shown_, kBytes);
    munmap(real_, kBytes);
  }
  void* allocate(int64_t bytes) {
    void* p = shown_ + used_;
    used_ += (bytes + 127) / 64 * 64;
    return p;
  }
  template <class T>
  T* real(T* shown) const {
    if (!shown) return shown;
    const auto* p = static_cast<const char*>(static_cast<const void*>(shown));
    CHECK(p >= shown_ && p < shown_ + kBytes);  // not this device's memory
    return static_cast<T*>(static_cast<void*>(real_ + (p - shown_)));
  }

 private:
  static constexpr int64_t kBytes = int64_t(1) << 30;
  char *shown_, *real_;
  int64_t used_ = 0;  // never reused: what is stale stays visible
};

class FarStream : public HostStream {
 public:
  FarStream() : HostStream(1) {}
  using Work = std::function<Status()>;
  Status add(Work work) {
    (recording_ ? noted_ : queue_).push_back(std::move(work));
    return {};
  }
  Status synchronize() override {
    waits += !queue_.empty();
    std::vector<Work> todo;
    todo.swap(queue_);
    for (const Work& w : todo) TRY(w());
    return {};
  }
  bool can_record() const override { return true; }
  Status begin_recording() override { return recording_ = true, Status(); }
  Result<std::unique_ptr<Recording>> end_recording() override {
    struct Replay : Recording {
      FarStream* stream;
      std::vector<Work> work;
      Status replay() override {
        ++stream->replays;
        for (const Work& w : work) TRY(stream->add(w));
        return {};
      }
    };
    recording_ = false;
    auto r = std::make_unique<Replay>();
    r->stream = this;
    r->work.swap(noted_);
    return std::unique_ptr<Recording>(std::move(r));
  }
  int replays = 0, waits = 0;

 private:
  std::vector<Work> queue_, noted_;
  bool recording_ = false;
};

class FarDevice : public Device {
 public:
  explicit FarDevice(std::shared_ptr<Device> reference) : reference_(std::move(reference)) {}
  std::string description() const override { return "far"; }
  MemoryId memory() const override { return kFarMemory; }
  std::shared_ptr<Buffer> allocate(int64_t bytes) override { return Buffer::borrow(memory_.allocate(bytes), bytes, nullptr, kFarMemory); }
  Status copy(Stream& stream, void* to, const void* from, int64_t bytes, Copy direction) override {
    if (!bytes) return {};
    if (direction == Copy::host_to_device) {  // the source may change after this returns
      auto staged = std::make_shared<std::string>(static_cast<const char*>(from), size_t(bytes));
      return far(stream).add([=, this] { return std::memcpy(memory_.real(to), staged->data(), size_t(bytes)), Status(); });
    }
    return far(stream).add([=, this] {
      std::memcpy(direction == Copy::device_to_host ? to : memory_.real(to), memory_.real(from), size_t(bytes));
      return Status();
    });
  }
  Result<std::unique_ptr<Stream>> create_stream(int) override { return std::unique_ptr<Stream>(std::make_unique<FarStream>()); }
  Result<std::unique_ptr<Kernel>> load(const KernelSource& s) override {
    auto inner = TRY(reference_->load(s));
    if (s.node.op->name == "NonZero") return std::unique_ptr<Kernel>(std::make_unique<FarNonZero>(*this, std::move(inner)));
    return std::unique_ptr<Kernel>(std::make_unique<FarKernel>(*this, std::move(inner)));
  }

 private:
  static FarStream& far(Stream& s) { return static_cast<FarStream&>(s); }

  struct FarLaunch : Launch {
    FarLaunch(FarDevice& d, std::unique_ptr<Launch> l) : device(d), inner(std::move(l)) {}
    Status run(const LaunchArgs& a) override {
      std::vector<const void*> in(inputs);
      std::vector<void*> out(outputs);
      for (size_t i = 0; i < inputs; ++i) in[i] = device.memory_.real(a.inputs[i]);
      for (size_t i = 0; i < outputs; ++i) out[i] = device.memory_.real(a.outputs[i]);
      FarStream& stream = far(a.stream);
      return stream.add([this, in, out, &stream] { return inner->run({in.data(), out.data(), nullptr, stream}); });
    }
    FarDevice& device;
    std::shared_ptr<Launch> inner;
    size_t inputs = 0, outputs = 0;
  };
  struct FarKernel : Kernel {
    FarKernel(FarDevice& d, std::unique_ptr<Kernel> k) : device(d), inner(std::move(k)) {}
    Result<std::unique_ptr<Launch>> bind(std::span<const TensorDesc> in, std::span<const TensorDesc> out, Stream& stream) const override {
      auto launch = std::make_unique<FarLaunch>(device, TRY(inner->bind(in, out, stream)));
      launch->inputs = in.size();
      launch->outputs = out.size();
      return std::unique_ptr<Launch>(std::move(launch));
    }
    FarDevice& device;
    std::unique_ptr<Kernel> inner;
  };
  // Counts on the device.
  struct FarNonZero : FarKernel {
    using FarKernel::FarKernel;
    struct Counting : Launch {
      Status run(const LaunchArgs& a) override {
        const Tensor x(in.dtype, in.shape, Buffer::borrow(device->memory_.real(a.inputs[0]), byte_size(in.dtype, num_elements(in.shape)), nullptr));
        return far(a.stream).add([this, x, to = device->memory_.real(a.outputs[0]), count = device->memory_.real(a.count)] {
          std::vector<Tensor> out(1);
          TRY(inner->run_dynamic(std::vector<Tensor>{x}, out, {}));
          std::memcpy(to, out[0].data(), size_t(out[0].bytes()));
          *count = out[0].dim(1);
          return Status();
        });
      }
      Result<std::vector<Shape>> counted(int64_t count) const override { return std::vector<Shape>{{int64_t(in.shape.size()), count}}; }
      FarDevice* device;
      const Kernel* inner;
      TensorDesc in;
    };
    bool counts() const override { return true; }
    Result<std::vector<Shape>> largest(std::span<const TensorDesc> in) const override {
      return std::vector<Shape>{{int64_t(in[0].shape.size()), num_elements(in[0].shape)}};
    }
    Result<std::unique_ptr<Launch>> bind(std::span<const TensorDesc> in, std::span<const TensorDesc> out, Stream&) const override {
      CHECK(out[0].shape == (*largest(in))[0]);
      auto launch = std::make_unique<Counting>();
      launch->device = &device;
      launch->inner = inner.get();
      launch->in = in[0];
      return std::unique_ptr<Launch>(std::move(launch));
    }
  };

  std::shared_ptr<Device> reference_;
  FarMemory memory_;
};

// Takes every node but those whose operator is in `not_these`.
class FarCompiler : public KernelCompiler {
 public:
  explicit FarCompiler(std::set<std::string> not_these) : not_these_(std::move(not_these)) {}
  std::string target() const override { return "far"; }
  bool on_host() const override { return false; }
  KernelAnswer supports(const KernelRequest& r) const override { return {!not_these_.contains(r.node.op->name), "far has no kernel for it"}; }
  Result<KernelImage> compile(const KernelRequest&) override {
    KernelImage image;
    image.backend = image.kernel = "far";
    return image;
  }

 private:
  std::set<std::string> not_these_;
};

}  // namespace tenon::testing
