// One GPU: its context, its memory, what is loaded on it. Shared by all engines of the process.
#pragma once

#include "backend/cuda/cuda.h"
#include "backend/cuda/memory.h"

namespace tenon::cuda {

// Machine code on the device.
struct LoadedModule;

class CudaDevice : public Device, public std::enable_shared_from_this<CudaDevice> {
 public:
  static Result<std::shared_ptr<CudaDevice>> open(const Driver& driver, int ordinal, const GpuInfo& gpu);
  ~CudaDevice() override;

  std::string description() const override;
  MemoryId memory() const override { return memory_id_; }
  DLPackDevice dlpack_device() const override { return {2, ordinal_}; }
  Result<MemoryId> owner_of(const void* address) const override;
  std::shared_ptr<Buffer> allocate(int64_t bytes) override;
  int64_t allocation_bytes(int64_t bytes) const override { return MemoryPool::block_bytes(bytes); }
  void list_memory(const Buffer& buffer, HeldMemory& out) const override;
  std::shared_ptr<Buffer> allocate_staging(int64_t bytes) override;
  Status copy(Stream& stream, void* to, const void* from, int64_t bytes, Copy direction) override;
  Result<std::unique_ptr<Stream>> create_stream(int threads) override;
  Status synchronize() override;
  Result<std::unique_ptr<Kernel>> load(const KernelSource& source) override;
  Result<Peaks> peaks(Stream& stream) override;

  // ---- for the other files of this folder ----

  const Driver& driver() const { return driver_; }
  const GpuInfo& gpu() const { return gpu_; }
  MemoryPool& pool() { return pool_; }
  // After a fault no call does anything any more; this is the Status that each returns then.
  Status alive() const;
  // What an error of the driver means; a fatal one ends the device's life. `doing`: "launch a kernel"; `work` is what it may
  // come from: "; since the last wait it was given: Conv 'c'".
  Status failed(int error, const std::string& doing, const std::string& work = {});
  // The context is current for this thread as long as one of these lives.
  class Current {
   public:
    explicit Current(const CudaDevice& d) : d_(d), pushed_(d.driver_.push_context(d.context_) == 0) {}
    ~Current() {
      Context old;
      if (pushed_) d_.driver_.pop_context(&old);
    }
    Current(const Current&) = delete;
    Current& operator=(const Current&) = delete;

   private:
    const CudaDevice& d_;
    const bool pushed_;
  };
  // Equal bytes are on the device once, as long as somebody holds them.
  Result<std::shared_ptr<LoadedModule>> load_module(const Tensor& code);
  // In one block what is not there yet.
  Result<std::vector<std::shared_ptr<Buffer>>> upload_all(std::span<const Tensor> constants) override;
  Result<std::shared_ptr<void>> prepare_load(std::span<const KernelImage* const> images) override;

 private:
  CudaDevice(const Driver& driver, int ordinal, const GpuInfo& gpu, int device, Context context);
  bool is_staging(const void* p) const;

  const Driver& driver_;
  const int ordinal_;
  const GpuInfo gpu_;
  const int device_;
  const Context context_;
  const MemoryId memory_id_;
  MemoryPool pool_;
  mutable std::mutex mutex_;
  std::atomic<bool> dead_ = false;
  Status fault_;  // once it is dead
  std::map<std::string, std::weak_ptr<LoadedModule>> modules_;  // by hash
  std::map<std::string, std::weak_ptr<Buffer>> uploads_;
  std::map<const void*, std::weak_ptr<Buffer>> prepared_;       // by the address on the host, while prepare_load's result is kept
  mutable std::mutex staging_mutex_;
  std::map<const char*, int64_t> staging_;
};

struct LoadedModule {
  std::shared_ptr<CudaDevice> device;
  Module module = nullptr;
  int64_t bytes = 0;  // of the image; the driver does not tell what it takes on the device
  ~LoadedModule();
  // Errors: data_loss.
  Result<Function> function(const std::string& name) const;
  // Lets the function's launches have that much dynamic shared memory.
  Status allow_shared(Function f, int bytes);

 private:
  std::mutex mutex_;
  std::map<Function, int> shared_;
};

}  // namespace tenon::cuda
