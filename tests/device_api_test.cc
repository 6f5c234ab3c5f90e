// The C++ and the C API on GPUs: device addresses, the caller's streams, two GPUs, memory figures. ctest runs it on the emulated
// machine (tests/cuda_emulator/machine_faces.cc); on a machine with a GPU it runs there as it is.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <thread>

#include "../examples/digits/two_digits.h"
#include "tenon/c/tenon.h"
#include "tenon/tenon.h"

namespace tenon {
namespace {

const std::string kModel = TENON_SOURCE_DIR "/examples/digits/digits.onnx";

// The driver as any program would call it.
template <class... Args>
void cuda(const char* name, Args... args) {
  static void* library = dlopen("libcuda.so.1", RTLD_NOW);
  auto* f = reinterpret_cast<int (*)(Args...)>(dlsym(library, name));
  ASSERT_NE(f, nullptr) << name;
  ASSERT_EQ(f(args...), 0) << name;
}

int gpus() {
  int n = 0;
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  if (!library) return 0;
  auto* init = reinterpret_cast<int (*)(unsigned)>(dlsym(library, "cuInit"));
  auto* count = reinterpret_cast<int (*)(int*)>(dlsym(library, "cuDeviceGetCount"));
  return init && count && init(0) == 0 && count(&n) == 0 ? n : 0;
}

// Memory and streams of the caller's on a GPU.
class Gpu {
 public:
  explicit Gpu(int ordinal) {
    cuda("cuDevicePrimaryCtxRetain", &context_, ordinal);
    stream = new_stream();
  }
  ~Gpu() {
    push();
    for (void* p : memory_) cuda("cuMemFree_v2", reinterpret_cast<unsigned long long>(p));
    for (void* s : streams_) cuda("cuStreamDestroy_v2", s);
    pop();
  }
  void* new_stream() {
    void* s = nullptr;
    push();
    cuda("cuStreamCreate", &s, 1u);
    pop();
    streams_.push_back(s);
    return s;
  }
  void* allocate(size_t bytes) {
    unsigned long long p = 0;
    push();
    cuda("cuMemAlloc_v2", &p, bytes);
    pop();
    memory_.push_back(reinterpret_cast<void*>(p));
    return memory_.back();
  }
  void write(void* to, const void* from, size_t bytes, void* on) {
    push();
    cuda("cuMemcpyHtoDAsync_v2", reinterpret_cast<unsigned long long>(to), from, bytes, on);
    pop();
  }
  std::vector<float> read(const void* from, size_t n, void* on) {
    std::vector<float> out(n);
    push();
    cuda("cuMemcpyDtoHAsync_v2", static_cast<void*>(out.data()), reinterpret_cast<unsigned long long>(from), n * 4, on);
    cuda("cuStreamSynchronize", on);
    pop();
    return out;
  }
  void* stream = nullptr;

 private:
  void push() { cuda("cuCtxPushCurrent_v2", context_); }
  void pop() {
    void* old;
    cuda("cuCtxPopCurrent_v2", &old);
  }
  void* context_ = nullptr;
  std::vector<void*> memory_, streams_;
};

class DeviceApi : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (gpus() == 0) return;
    auto built = Builder("cuda").parse(kModel).golden(false).build();
    ASSERT_TRUE(built.ok()) << built.status().to_string();
    file = std::make_unique<EngineFile>(*built);
    auto cpu = Runtime().load(*Builder("cpu").parse(kModel).golden(false).build())->create_context(1);
    want.resize(20);
    ASSERT_TRUE(cpu->set_input_shape("image", {2, 1, 8, 8}).ok() && cpu->set_address("image", kTwoDigits).ok());
    ASSERT_TRUE(cpu->set_address("probability", want.data()).ok() && cpu->enqueue().ok());
  }
  static void TearDownTestSuite() { file.reset(); }
  void SetUp() override {
    if (!file) GTEST_SKIP() << "no GPU";
  }
  ExecutionContext context(int ordinal = 0) {
    auto engine = Runtime(ordinal).load(*file);
    EXPECT_TRUE(engine.ok()) << engine.status().to_string();
    auto c = engine->create_context(1);
    EXPECT_TRUE(c.ok() && c->set_input_shape("image", {2, 1, 8, 8}).ok());
    return std::move(*c);
  }
  static void expect_near(const std::vector<float>& got, const std::vector<float>& expected) {
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-4) << i;
  }
  static constexpr size_t kIn = sizeof kTwoDigits, kOut = 80;
  static std::unique_ptr<EngineFile> file;
  static std::vector<float> want;
};
std::unique_ptr<EngineFile> DeviceApi::file;
std::vector<float> DeviceApi::want;

#define OK(status)                          \
  do {                                      \
    const Status s = (status);              \
    ASSERT_TRUE(s.ok()) << s.to_string();   \
  } while (0)

TEST_F(DeviceApi, ReadsAndWritesDeviceMemoryOnTheCallersStream) {
  Gpu gpu(0);
  ExecutionContext c = context();
  void *x = gpu.allocate(kIn), *y = gpu.allocate(kOut);
  OK(c.set_address("image", x, kIn));
  OK(c.set_address("probability", y, kOut));
  const std::vector<float> zeros(kIn / 4);
  // Nothing is waited for but by the read, on the same stream; later rounds are replayed.
  for (int round = 0; round < 4; ++round) {
    gpu.write(x, round % 2 ? zeros.data() : &kTwoDigits[0][0], kIn, gpu.stream);
    OK(c.enqueue(gpu.stream));
    const std::vector<float> got = gpu.read(y, 20, gpu.stream);
    if (round % 2) EXPECT_NE(got, want);
    else expect_near(got, want);
  }
  EXPECT_EQ(c.output_data("probability").value(), y);
  EXPECT_EQ(c.output_shape("probability").value(), (std::vector<int64_t>{2, 10}));
  OK(c.synchronize());
}

TEST_F(DeviceApi, AnotherStreamComesBehindTheLast) {
  Gpu gpu(0);
  ExecutionContext c = context();
  void *x = gpu.allocate(kIn), *y = gpu.allocate(kOut), *other = gpu.new_stream();
  OK(c.set_address("image", x));
  OK(c.set_address("probability", y));
  gpu.write(x, kTwoDigits, kIn, gpu.stream);
  OK(c.enqueue(gpu.stream));
  OK(c.enqueue(other));  // behind the first run, and so behind the write
  expect_near(gpu.read(y, 20, other), want);
  OK(c.enqueue());
  OK(c.synchronize());
  expect_near(gpu.read(y, 20, gpu.stream), want);
}

TEST_F(DeviceApi, HostAndDeviceAddressesMix) {
  Gpu gpu(0);
  ExecutionContext c = context();
  void *x = gpu.allocate(kIn), *y = gpu.allocate(kOut);
  std::vector<float> here(20);
  gpu.write(x, kTwoDigits, kIn, gpu.stream);
  OK(c.set_address("image", x));
  OK(c.enqueue(gpu.stream));  // the output is the context's, on the host, and there when this returns
  std::memcpy(here.data(), c.output_data("probability").value(), kOut);
  expect_near(here, want);
  OK(c.set_address("image", kTwoDigits));
  OK(c.set_address("probability", y));
  OK(c.enqueue(gpu.stream));
  expect_near(gpu.read(y, 20, gpu.stream), want);
  std::fill(here.begin(), here.end(), 0.f);
  OK(c.set_address("probability", here.data()));
  OK(c.enqueue(gpu.stream));
  expect_near(here, want);
}

TEST_F(DeviceApi, MemoryIsKnownBeforeTheRun) {
  auto engine = Runtime().load(*file);
  EXPECT_GT(engine->device_memory_bytes(), 0);
  EXPECT_EQ(engine->host_memory_bytes(), int64_t(file->bytes().size()));
  auto c = engine->create_context(1);
  EXPECT_EQ(c->device_memory_bytes().status().code(), Code::invalid_argument);  // no shape
  OK(c->set_input_shape("image", {2, 1, 8, 8}));
  const int64_t two = c->device_memory_bytes().value();
  EXPECT_GE(two, c->workspace_bytes());
  OK(c->set_address("image", kTwoDigits));
  OK(c->enqueue());
  EXPECT_EQ(c->device_memory_bytes().value(), two);
  OK(c->set_input_shape("image", {2000, 1, 8, 8}));
  EXPECT_GT(c->device_memory_bytes().value(), two);
  EXPECT_GE(c->host_memory_bytes().value(), 0);
  auto limited = engine->create_context(1, 1 << 10);
  OK(limited->set_input_shape("image", {2, 1, 8, 8}));
  OK(limited->set_address("image", kTwoDigits));
  EXPECT_EQ(limited->enqueue().code(), Code::out_of_memory);
}

TEST_F(DeviceApi, TwoGpusAtOnce) {
  if (gpus() < 2) GTEST_SKIP() << "one GPU";
  Gpu gpu[2] = {Gpu(0), Gpu(1)};
  ExecutionContext c[2] = {context(0), context(1)};
  const Status wrong = c[0].set_address("image", gpu[1].allocate(kIn));
  EXPECT_EQ(wrong.code(), Code::invalid_argument);
  EXPECT_NE(wrong.message().find("'image': the memory is of GPU 1, the engine runs on GPU 0"), std::string::npos) << wrong.message();
  std::vector<float> got[2];
  const auto work = [&](int i) {
    void *x = gpu[i].allocate(kIn), *y = gpu[i].allocate(kOut);
    gpu[i].write(x, kTwoDigits, kIn, gpu[i].stream);
    bool ok = c[i].set_address("image", x).ok() && c[i].set_address("probability", y).ok();
    for (int k = 0; k < 5; ++k) ok = ok && c[i].enqueue(gpu[i].stream).ok();
    if (ok) got[i] = gpu[i].read(y, 20, gpu[i].stream);
  };
  std::thread second(work, 1);
  work(0);
  second.join();
  expect_near(got[0], want);
  expect_near(got[1], want);
}

// Large enough that a driver unmaps them at once when they are freed; the emulated one always does.
int64_t many_images() { return std::getenv("TENON_EMULATED_GPUS") ? 1 << 10 : 1 << 20; }

// In a process of its own, since it ends what a process has on the GPU.
void fault_and_live(ExecutionContext c) {
  const int64_t n = many_images();
  const size_t bytes = size_t(n) * sizeof kTwoDigits / 2;
  {
    Gpu gpu(0);
    if (!c.set_input_shape("image", {n, 1, 8, 8}).ok() || !c.set_address("image", gpu.allocate(bytes), bytes).ok()) std::exit(2);
  }
  std::vector<float> y(size_t(n) * 10);
  if (!c.set_address("probability", y.data()).ok()) std::exit(3);
  for (int i = 0; i < 2; ++i) {
    Status s = c.enqueue();
    if (s.ok()) s = c.synchronize();
    std::fprintf(stderr, "%s\n", s.to_string().c_str());
    if (s.ok()) std::exit(4);
  }
  std::exit(0);
}

TEST_F(DeviceApi, AFaultNamesNodesAndTheProcessLives) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(fault_and_live(context()), testing::ExitedWithCode(0), "Mul 'scaled'");
}

TEST_F(DeviceApi, AGpuThatIsNotThere) {
  const Status load = Runtime(9).load(*file).status(), build = Builder("cuda:9").parse(kModel).build().status();
  for (const Status& s : {load, build}) {
    EXPECT_EQ(s.code(), Code::unavailable);
    EXPECT_NE(s.message().find("there is no GPU 9; this machine has"), std::string::npos) << s.message();
  }
}

TEST_F(DeviceApi, TheSameInC) {
  Gpu gpu(0);
  void *x = gpu.allocate(kIn), *y = gpu.allocate(kOut);
  gpu.write(x, kTwoDigits, kIn, gpu.stream);
  tenon_build_options options = {};
  options.struct_size = sizeof options;
  options.device = "cuda:0";
  options.no_golden = 1;
  tenon_engine_file* built = nullptr;
  tenon_engine* engine = nullptr;
  tenon_context* c = nullptr;
  ASSERT_EQ(tenon_build_file(kModel.c_str(), &options, &built), nullptr);
  ASSERT_EQ(tenon_engine_load_file(built, nullptr, &engine), nullptr);
  ASSERT_EQ(tenon_context_create(engine, nullptr, &c), nullptr);
  const int64_t shape[] = {2, 1, 8, 8};
  ASSERT_EQ(tenon_context_set_input_shape(c, "image", shape, 4), nullptr);
  ASSERT_EQ(tenon_context_set_address(c, "image", x, kIn), nullptr);
  ASSERT_EQ(tenon_context_set_address(c, "probability", y, kOut), nullptr);
  tenon_memory engine_memory = {}, memory = {};
  engine_memory.struct_size = memory.struct_size = sizeof memory;
  ASSERT_EQ(tenon_engine_memory(engine, &engine_memory), nullptr);
  ASSERT_EQ(tenon_context_memory(c, &memory), nullptr);
  EXPECT_GT(engine_memory.device_bytes, 0);
  EXPECT_GT(memory.device_bytes, 0);
  ASSERT_EQ(tenon_context_enqueue(c, gpu.stream), nullptr);
  ASSERT_EQ(tenon_context_synchronize(c), nullptr);
  tenon_output output = {};
  output.struct_size = sizeof output;
  ASSERT_EQ(tenon_context_output(c, "probability", &output), nullptr);
  EXPECT_EQ(output.data, y);
  expect_near(gpu.read(y, 20, gpu.stream), want);
  tenon_context_destroy(c);
  tenon_engine_destroy(engine);
  tenon_engine_file_destroy(built);
}

}  // namespace
}  // namespace tenon
