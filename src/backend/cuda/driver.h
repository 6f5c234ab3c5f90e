// NVIDIA's driver, opened while running: the functions of libcuda.so.1 that this backend calls, with declarations of our
// own. A test fills the table with functions that record what is called.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace tenon::cuda {

using DevicePtr = unsigned long long;
using Context = struct DriverContext*;
using StreamHandle = struct DriverStream*;
using Module = struct DriverModule*;
using Function = struct DriverFunction*;
using EventHandle = struct DriverEvent*;
using GraphHandle = struct DriverGraph*;
using GraphExec = struct DriverGraphExec*;

// An encoded tensor map, as kernels take it.
struct alignas(64) EncodedMap {
  uint64_t words[16];
};

// How a kernel is launched, in the driver's layout.
struct ClusterSize {
  unsigned x, y, z;
};
struct LaunchAttribute {
  int id;
  int padding;
  union {
    char room[64];
    ClusterSize cluster;
    int programmatic;
  };
};
struct LaunchConfig {
  unsigned grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes;
  StreamHandle stream;
  LaunchAttribute* attributes;
  unsigned num_attributes;
};
static_assert(sizeof(LaunchAttribute) == 72 && sizeof(LaunchConfig) == 56);
constexpr int kAttributeCluster = 4, kAttributeProgrammatic = 6;                            // LaunchAttribute::id
constexpr int kPointerMemoryType = 2, kPointerIsManaged = 8, kPointerOrdinal = 9;           // pointer_attributes
constexpr unsigned kMemoryOfHost = 1, kMemoryOfDevice = 2;                                  // kPointerMemoryType
constexpr int kClockRate = 13, kMultiprocessors = 16, kMemoryClockRate = 36, kMemoryBusWidth = 37, kCapabilityMajor = 75,
              kCapabilityMinor = 76, kPageableAccess = 88, kSharedPerBlock = 97;                 // device_attribute
constexpr int kMaxDynamicShared = 8, kNonPortableCluster = 14;                              // function_attribute
constexpr unsigned kStreamNonBlocking = 1, kEventWithoutTime = 2;
constexpr int kCaptureThreadLocal = 1;
constexpr unsigned kWaitAtLeast = 0;  // stream_wait_value: until the word is the value or more

// Results; 0 is success.
constexpr int kErrorOutOfMemory = 2, kErrorNoDevice = 100, kErrorInvalidImage = 200, kErrorNoBinary = 209,
              kErrorUnsupportedPtx = 222, kErrorNotFound = 500, kErrorNotSupported = 801;

#define TENON_CUDA_FUNCTIONS(X)                                                                                    \
  X(init, cuInit, (unsigned flags))                                                                                \
  X(version, cuDriverGetVersion, (int* version))                                                                   \
  X(device_count, cuDeviceGetCount, (int* count))                                                                  \
  X(device, cuDeviceGet, (int* device, int ordinal))                                                               \
  X(device_name, cuDeviceGetName, (char* name, int size, int device))                                              \
  X(device_memory, cuDeviceTotalMem_v2, (size_t * bytes, int device))                                              \
  X(device_attribute, cuDeviceGetAttribute, (int* value, int attribute, int device))                               \
  X(retain_context, cuDevicePrimaryCtxRetain, (Context * context, int device))                                     \
  X(release_context, cuDevicePrimaryCtxRelease_v2, (int device))                                                   \
  X(push_context, cuCtxPushCurrent_v2, (Context context))                                                          \
  X(pop_context, cuCtxPopCurrent_v2, (Context * context))                                                          \
  X(synchronize_context, cuCtxSynchronize, ())                                                                     \
  X(alloc, cuMemAlloc_v2, (DevicePtr * address, size_t bytes))                                                     \
  X(free, cuMemFree_v2, (DevicePtr address))                                                                       \
  X(pointer_attributes, cuPointerGetAttributes, (unsigned count, int* attributes, void** values, DevicePtr address))  \
  X(host_alloc, cuMemHostAlloc, (void** address, size_t bytes, unsigned flags))                                    \
  X(host_free, cuMemFreeHost, (void* address))                                                                     \
  X(copy_to_device, cuMemcpyHtoD_v2, (DevicePtr to, const void* from, size_t bytes))                               \
  X(copy_to_device_async, cuMemcpyHtoDAsync_v2, (DevicePtr to, const void* from, size_t bytes, StreamHandle))      \
  X(copy_to_host_async, cuMemcpyDtoHAsync_v2, (void* to, DevicePtr from, size_t bytes, StreamHandle))              \
  X(copy_within_async, cuMemcpyDtoDAsync_v2, (DevicePtr to, DevicePtr from, size_t bytes, StreamHandle))           \
  X(stream_create, cuStreamCreate, (StreamHandle * stream, unsigned flags))                                        \
  X(stream_destroy, cuStreamDestroy_v2, (StreamHandle stream))                                                     \
  X(stream_synchronize, cuStreamSynchronize, (StreamHandle stream))                                                \
  X(stream_wait, cuStreamWaitEvent, (StreamHandle stream, EventHandle event, unsigned flags))                      \
  X(stream_wait_value, cuStreamWaitValue32_v2, (StreamHandle stream, DevicePtr at, unsigned value, unsigned flags)) \
  X(event_create, cuEventCreate, (EventHandle * event, unsigned flags))                                            \
  X(event_record, cuEventRecord, (EventHandle event, StreamHandle stream))                                         \
  X(event_synchronize, cuEventSynchronize, (EventHandle event))                                                    \
  X(event_elapsed, cuEventElapsedTime, (float* milliseconds, EventHandle from, EventHandle to))                    \
  X(event_destroy, cuEventDestroy_v2, (EventHandle event))                                                         \
  X(begin_capture, cuStreamBeginCapture_v2, (StreamHandle stream, int mode))                                       \
  X(end_capture, cuStreamEndCapture, (StreamHandle stream, GraphHandle * graph))                                   \
  X(graph_instantiate, cuGraphInstantiateWithFlags, (GraphExec * exec, GraphHandle graph, unsigned long long flags)) \
  X(graph_launch, cuGraphLaunch, (GraphExec exec, StreamHandle stream))                                            \
  X(graph_exec_destroy, cuGraphExecDestroy, (GraphExec exec))                                                      \
  X(graph_destroy, cuGraphDestroy, (GraphHandle graph))                                                            \
  X(module_load, cuModuleLoadData, (Module * module, const void* image))                                           \
  X(module_unload, cuModuleUnload, (Module module))                                                                \
  X(module_function, cuModuleGetFunction, (Function * function, Module module, const char* name))                  \
  X(function_attribute, cuFuncSetAttribute, (Function function, int attribute, int value))                         \
  X(launch, cuLaunchKernelEx, (const LaunchConfig* config, Function function, void** params, void** extra))        \
  X(encode_tiled, cuTensorMapEncodeTiled,                                                                          \
    (EncodedMap * map, int type, unsigned rank, void* address, const uint64_t* dims, const uint64_t* strides,      \
     const unsigned* box, const unsigned* element_strides, int interleave, int swizzle, int l2, int fill))         \
  X(encode_im2col, cuTensorMapEncodeIm2col,                                                                        \
    (EncodedMap * map, int type, unsigned rank, void* address, const uint64_t* dims, const uint64_t* strides,      \
     const int* lower, const int* upper, unsigned channels, unsigned pixels, const unsigned* element_strides,      \
     int interleave, int swizzle, int l2, int fill))                                                               \
  X(error_name, cuGetErrorName, (int error, const char** name))                                                    \
  X(error_text, cuGetErrorString, (int error, const char** text))

struct Driver {
#define X(name, symbol, params) int(*name) params = nullptr;
  TENON_CUDA_FUNCTIONS(X)
#undef X
  int cuda_version = 0;  // 12040 for 12.4
};

// The machine's driver, initialised. Errors: unavailable, saying what is missing: the library, a device, or functions
// that only newer drivers have.
Result<const Driver*> machine_driver();
// For tests: what machine_driver() gives from now on; null for the machine's own again.
void replace_driver(const Driver* driver);

// "CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered)".
std::string error_text(const Driver& d, int error);
// Errors after which the context does nothing any more.
bool is_fatal(int error);

struct GpuInfo {
  std::string name;
  int major = 0, minor = 0, multiprocessors = 0, shared_per_block = 0;
  bool pageable_access = false;  // it reads the host's ordinary memory by itself
  int64_t memory = 0;
  // At most; 0: not told.
  int clock_khz = 0, memory_clock_khz = 0, memory_bus_bits = 0;
};
Result<std::vector<GpuInfo>> list_gpus(const Driver& d);

}  // namespace tenon::cuda
