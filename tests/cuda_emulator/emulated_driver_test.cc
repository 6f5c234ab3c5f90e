// The emulated driver, called as the cuda backend calls it.
#include "cuda_emulator/emulated_driver.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "backend/cuda/build/prelude.h"
#include "base/mapped_file.h"

namespace tenon::emulator {
namespace {

using namespace cuda;

class EmulatedDriver : public ::testing::Test {
 protected:
  void SetUp() override {
    install();
    ASSERT_EQ(d.init(0), 0);
    int device = -1;
    ASSERT_EQ(d.device(&device, 0), 0);
    ASSERT_EQ(d.retain_context(&context, device), 0);
    ASSERT_EQ(d.push_context(context), 0);
    ASSERT_EQ(d.stream_create(&stream, kStreamNonBlocking), 0);
    before = driver_counts().buffers;
  }
  void TearDown() override {
    EXPECT_EQ(d.stream_destroy(stream), 0);
    EXPECT_EQ(d.pop_context(nullptr), 0);
    EXPECT_EQ(driver_counts().buffers, before);
  }
  DevicePtr alloc(size_t bytes) {
    DevicePtr p = 0;
    EXPECT_EQ(d.alloc(&p, bytes), 0);
    return p;
  }
  Function function(const std::string& source) {
    auto code = compile_for_emulator(source, chips()[0], {});
    Module module = nullptr;
    EXPECT_EQ(d.module_load(&module, code->cubin.c_str()), 0) << text(0);
    Function f = nullptr;
    EXPECT_EQ(d.module_function(&f, module, "add_one"), 0);
    return f;
  }
  int launch(Function f, unsigned blocks, unsigned threads, DevicePtr p, int n, unsigned shared = 0) {
    void* params[] = {&p, &n};
    LaunchConfig c{blocks, 1, 1, threads, 1, 1, shared, stream, nullptr, 0};
    return d.launch(&c, f, params, nullptr);
  }
  std::string text(int error) {
    const char* t = "";
    d.error_text(error, &t);
    return t;
  }
  const Driver& d = driver();
  Context context = nullptr;
  StreamHandle stream = nullptr;
  size_t before = 0;
};

constexpr const char* kAddOne = R"(extern "C" __global__ void __launch_bounds__(128) add_one(int* p, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) p[i] += 1;
})";

TEST_F(EmulatedDriver, WorkWaitsForSynchronize) {
  Function f = function(kAddOne);
  std::vector<int> host(1000), back(1000, -1);
  std::iota(host.begin(), host.end(), 0);
  const DevicePtr p = alloc(4000);
  ASSERT_EQ(d.copy_to_device_async(p, host.data(), 4000, stream), 0);
  host.assign(1000, 7);  // it was staged
  ASSERT_EQ(launch(f, 8, 128, p, 1000), 0);
  ASSERT_EQ(d.copy_to_host_async(back.data(), p, 4000, stream), 0);
  EXPECT_EQ(back[0], -1);
  ASSERT_EQ(d.stream_synchronize(stream), 0) << text(0);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(back[size_t(i)], i + 1);
  EXPECT_EQ(d.free(p), 0);
}

TEST_F(EmulatedDriver, PinnedMemoryIsReadLate) {
  void* pinned = nullptr;
  ASSERT_EQ(d.host_alloc(&pinned, 4, 0), 0);
  const DevicePtr p = alloc(4);
  int value = 1, back = 0;
  std::memcpy(pinned, &value, 4);
  ASSERT_EQ(d.copy_to_device_async(p, pinned, 4, stream), 0);
  value = 2;
  std::memcpy(pinned, &value, 4);
  ASSERT_EQ(d.copy_to_host_async(&back, p, 4, stream), 0);
  ASSERT_EQ(d.stream_synchronize(stream), 0);
  EXPECT_EQ(back, 2);
  EXPECT_EQ(d.host_free(pinned), 0);
  EXPECT_EQ(d.free(p), 0);
}

TEST_F(EmulatedDriver, GraphsReplay) {
  Function f = function(kAddOne);
  const DevicePtr p = alloc(4);
  const int zero = 0;
  ASSERT_EQ(d.copy_to_device(p, &zero, 4), 0);
  ASSERT_EQ(d.begin_capture(stream, kCaptureThreadLocal), 0);
  ASSERT_EQ(launch(f, 1, 32, p, 1), 0);
  ASSERT_EQ(launch(f, 1, 32, p, 1), 0);
  EXPECT_NE(d.stream_synchronize(stream), 0);
  GraphHandle graph = nullptr;
  GraphExec exec = nullptr;
  ASSERT_EQ(d.end_capture(stream, &graph), 0);
  ASSERT_EQ(d.graph_instantiate(&exec, graph, 0), 0);
  ASSERT_EQ(d.graph_destroy(graph), 0);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(d.graph_launch(exec, stream), 0);
  ASSERT_EQ(d.graph_exec_destroy(exec), 0);
  int back = 0;
  ASSERT_EQ(d.copy_to_host_async(&back, p, 4, stream), 0);
  ASSERT_EQ(d.stream_synchronize(stream), 0);
  EXPECT_EQ(back, 6);
  EXPECT_EQ(d.free(p), 0);
}

TEST_F(EmulatedDriver, KernelsMayNotLeaveTheirBuffers) {
  Function f = function(kAddOne);
  const DevicePtr p = alloc(64);
  ASSERT_EQ(launch(f, 1, 32, p, 17), 0);
  int error = d.stream_synchronize(stream);
  EXPECT_NE(error, 0);
  EXPECT_NE(text(error).find("kernel 'add_one': block (0, 0, 0), thread (16, 0, 0): an access 0 bytes behind a buffer of 64 bytes (kernel:3)"), std::string::npos) << text(error);
  EXPECT_EQ(d.free(p), 0);
  // Up to a multiple of 64 bytes nothing faults, but it is seen.
  const DevicePtr q = alloc(60);
  ASSERT_EQ(launch(f, 1, 32, q, 16), 0);
  error = d.stream_synchronize(stream);
  EXPECT_NE(text(error).find("behind a buffer of 60 bytes"), std::string::npos) << text(error);
  EXPECT_EQ(d.free(q), 0);
  // A buffer that is gone when its launch comes.
  const DevicePtr gone = alloc(64);
  EXPECT_EQ(d.free(gone), 0);
  ASSERT_EQ(launch(f, 1, 32, gone, 1), 0);
  error = d.stream_synchronize(stream);
  EXPECT_NE(text(error).find("kernel 'add_one': argument 0: an address of device memory that is not allocated"), std::string::npos) << text(error);
  // Memory of the host.
  int mine = 0;
  ASSERT_EQ(launch(f, 1, 32, reinterpret_cast<DevicePtr>(&mine), 1), 0);
  error = d.stream_synchronize(stream);
  EXPECT_NE(text(error).find("not of this device's memory"), std::string::npos) << text(error);
  EXPECT_EQ(d.stream_synchronize(stream), 0);
}

TEST_F(EmulatedDriver, TheHostMayNotTouchItsMemory) {
  const DevicePtr p = alloc(64);
  volatile char* shown = reinterpret_cast<char*>(p);
  EXPECT_DEATH(*shown = 1, "");
  EXPECT_DEATH((void)*shown, "");
  EXPECT_EQ(d.free(p), 0);
}

TEST_F(EmulatedDriver, RefusesLaunches) {
  Function f = function(kAddOne);
  EXPECT_NE(launch(f, 1, 256, 0, 0), 0);           // more threads than its __launch_bounds__
  EXPECT_NE(launch(f, 0, 32, 0, 0), 0);
  EXPECT_NE(launch(f, 1, 32, 0, 0, 60 << 10), 0);  // more shared memory than was asked for
  EXPECT_EQ(d.function_attribute(f, kMaxDynamicShared, 60 << 10), 0);
  EXPECT_EQ(launch(f, 1, 32, 0, 0, 60 << 10), 0);
  EXPECT_NE(d.function_attribute(f, kMaxDynamicShared, 300 << 10), 0);
  Module module = nullptr;
  EXPECT_NE(d.module_load(&module, "\x7f" "ELF"), 0);
}

// A function that is new in ptx.cuh must be emulated too.
TEST(EmulatedPrelude, HasEveryFunctionOfPtx) {
  const auto file = MappedFile::open(TENON_EMULATOR_SOURCES "/emulated_ptx.h");
  ASSERT_TRUE(file.ok());
  const std::string emulated(reinterpret_cast<const char*>((*file)->bytes().data()), (*file)->bytes().size());
  std::string ptx;
  for (const PreludeFile& f : prelude_files())
    if (std::string(f.name) == "ptx.cuh") ptx = f.text;
  int functions = 0;
  for (const std::string& line : split(ptx, '\n')) {
    std::string name;
    if (starts_with(line, "DEVICE ")) {
      const size_t end = line.find('(');
      name = line.substr(0, end).substr(line.rfind(' ', end) + 1);
    } else if (starts_with(line, "TENON_MMA(")) {
      name = line.substr(10, line.find(',') - 10);
    }
    if (name.empty() || name == "shared_address") continue;  // the latter is only for PTX
    ++functions;
    const bool there = emulated.find(" " + name + "(") != emulated.npos || emulated.find("EMU_LOAD_MATRIX(" + name + ",") != emulated.npos ||
                       (starts_with(name, "mma_") && emulated.find("EMU_MMA(" + name.substr(4) + ",") != emulated.npos);
    EXPECT_TRUE(there) << name << " is missing in tests/cuda_emulator/emulated_ptx.h";
  }
  EXPECT_GT(functions, 40);
}

}  // namespace
}  // namespace tenon::emulator
