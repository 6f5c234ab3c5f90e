// The driver of an emulated GPU: fills the table of functions that the cuda backend calls (src/backend/cuda/driver.h), so
// the backend's own run half, as it is, runs kernels on the host.
//
// Its memory faults when the host touches it (memory.h). What is put on a stream waits until somebody synchronizes it, or
// frees memory, so that a wait that is missing shows. An error of a kernel comes back from there, as a GPU's would, but in
// words that tell what happened; the context lives on, so that one failing test leaves the next alone.
#pragma once

#include "backend/cuda/build/nvrtc.h"
#include "backend/cuda/driver.h"
#include "base/tensor.h"
#include "cuda_emulator/machine.h"

namespace tenon::emulator {

// From now on the backend "cuda" of this process compiles for the emulator and runs on it, on GPUs of this chip.
void install(const std::string& chip = "sm_90a", int gpus = 1);

const cuda::Driver& driver();

// In the place of NVRTC: the "machine code" is the source itself.
Result<cuda::Compiled> compile_for_emulator(const std::string& source, const cuda::Chip& chip, const cuda::NvrtcOptions& options);

// Whether an error of a kernel is CUDA_ERROR_ILLEGAL_ADDRESS and ends its context, as on a GPU: every call fails until the
// context has been released.
void set_fatal_faults(bool fatal);

// Memory of the first GPU that ends where a page begins that faults, or up to 15 bytes before; 16-byte aligned and no more
// than that. `memory` is its Device::memory(). Null when there is none.
std::shared_ptr<Buffer> allocate_guarded(int64_t bytes, MemoryId memory);

// The order in which the threads and blocks of launches from now on are started; at first $TENON_EMULATOR_ORDER
// ("backwards"), else forwards.
void set_order(Order order);

struct DriverCounts {
  int64_t launches = 0;      // kernels that ran
  int64_t graph_launches = 0;
  size_t buffers = 0;        // of device memory, alive
  int64_t bytes = 0;         // in them
};
DriverCounts driver_counts();

}  // namespace tenon::emulator
