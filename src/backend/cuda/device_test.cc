// The run half against a driver that records what is called: what goes to the GPU, and what happens when it fails.
#include "backend/cuda/device.h"

#include <gtest/gtest.h>

#include "backend/cuda/fake_driver.h"
#include "backend/cuda/kernel.h"
#include "backend/cuda/recipe.h"
#include "backend/cuda/stream.h"
#include "backend/cuda/tensor_map.h"
#include "ir/text.h"

namespace tenon::cuda {
namespace {

using fake::count;

constexpr int kIllegalAddress = 700;

template <class T>
T take(Result<T> r) {
  EXPECT_TRUE(r.ok()) << r.status().to_string();
  return std::move(r).value();
}

struct CudaDeviceTest : testing::Test {
  void SetUp() override {
    fake::state() = {};
    replace_driver(&fake::driver());
  }
  void TearDown() override { replace_driver(nullptr); }

  std::shared_ptr<Device> open() {
    auto d = open_device("cuda:sm_90a", 0);
    EXPECT_TRUE(d.ok()) << d.status().to_string();
    return d.ok() ? *d : nullptr;
  }
};

// A step z = Add(x, y) whose recipe is given.
struct Step {
  Graph graph;
  KernelImage image;
  explicit Step(const Recipe& recipe, const std::string& name = "add") {
    auto g = parse(cat(R"(graph "m" (%x: f32[n, 8], %y: i64[3]) -> (%z) { %z: f32[n, 8] = Expand(%x, %y) ")", name, "\" }"));
    EXPECT_TRUE(g.ok()) << g.status().to_string();
    graph = std::move(*g);
    image = {"cuda", "test", recipe.to_text(), {Tensor::of_ints({1, 2, 3}, DType::u8)}, {}};
  }
  KernelSource source() const { return {graph, graph.nodes[0], image}; }
};

Arg arg(Arg::Kind kind, int index = 0, Dim value = 0) {
  Arg a;
  a.kind = kind, a.index = index, a.value = std::move(value);
  return a;
}

Recipe simple_recipe() {
  Recipe r;
  KernelLaunch l;
  l.kernel = "k";
  l.grid[0] = ceil_div(Dim::symbol("i0_0"), 4);
  l.block[0] = 128;
  l.args = {arg(Arg::input, 0), arg(Arg::output, 0, 64), arg(Arg::i32, 0, Dim::symbol("i0_0") * 8), arg(Arg::scratch, 0, 16)};
  l.programmatic = true;
  r.launches.push_back(l);
  r.scratch = Dim::symbol("i0_0") * 4;
  return r;
}

struct Bound {
  std::vector<TensorDesc> in, out;
  explicit Bound(int64_t n, const int64_t* value = nullptr) : in{{DType::f32, {n, 8}}, {DType::i64, {3}, value}}, out{{DType::f32, {n, 8}}} {}
};

// The step's operands, at made-up addresses.
struct Addresses {
  const void* in[2] = {reinterpret_cast<void*>(0x1000), reinterpret_cast<void*>(0x2000)};
  void* out[1] = {reinterpret_cast<void*>(0x3000)};
  void* scratch = reinterpret_cast<void*>(0x4000);
  LaunchArgs args(Stream& s) const { return {in, out, scratch, s}; }
};

// ---- opening -----------------------------------------------------------------------------------------------------

TEST_F(CudaDeviceTest, AllEnginesShareOneDeviceForEachOrdinal) {
  fake::state().gpus = 2;
  auto a = open(), b = open();
  EXPECT_EQ(a, b);
  auto other = open_device("cuda:sm_90a", 1);
  ASSERT_TRUE(other.ok());
  EXPECT_NE((*other)->memory(), a->memory());
  EXPECT_NE(a->memory(), kHostMemory);
  EXPECT_EQ(count("retain_context"), 2);
  a = b = nullptr;
  EXPECT_EQ(count("release_context"), 1);
}

TEST_F(CudaDeviceTest, TargetsMustFitTheGpu) {
  fake::state().major = 8, fake::state().minor = 6;
  auto d = open_device("cuda:sm_90a", 0);
  ASSERT_FALSE(d.ok());
  EXPECT_EQ(d.status().code(), Code::incompatible);
  EXPECT_NE(d.status().message().find("Fake GPU"), std::string::npos);
  EXPECT_EQ(d.status().remedy(), "build it for this GPU: --target cuda:sm_86");
  EXPECT_TRUE(open_device("cuda:sm_80", 0).ok());
  EXPECT_EQ(*target_of_machine(), "cuda:sm_86");
  EXPECT_EQ(open_device("cuda:sm_80", 3).status().code(), Code::unavailable);
  EXPECT_EQ(open_device("cuda:sm_1", 0).status().code(), Code::invalid_argument);
  fake::state().gpus = 0;
  EXPECT_EQ(open_device("cuda:sm_80", 0).status().code(), Code::unavailable);
  EXPECT_EQ(state().code(), Code::unavailable);
}

TEST_F(CudaDeviceTest, AFaultNamesTheNodesAndEndsTheDevice) {
  auto d = open();
  auto kernel = d->load(Step(simple_recipe(), "guilty").source());
  ASSERT_TRUE(kernel.ok()) << kernel.status().to_string();
  auto stream = take(d->create_stream(1));
  auto launch = take((*kernel)->bind(Bound(8).in, Bound(8).out, *stream));
  ASSERT_TRUE(launch->run(Addresses().args(*stream)).ok());
  fake::state().fails["stream_synchronize"] = kIllegalAddress;
  const Status s = stream->synchronize();
  ASSERT_FALSE(s.ok());
  EXPECT_NE(s.message().find("Expand 'guilty'"), std::string::npos) << s.message();
  EXPECT_NE(s.message().find("FAKE_ERROR"), std::string::npos);
  // From now on everything fails with the same words, and nothing reaches the driver.
  const size_t calls = fake::state().calls.size();
  EXPECT_FALSE(launch->run(Addresses().args(*stream)).ok());
  EXPECT_FALSE(stream->synchronize().ok());
  EXPECT_FALSE(stream->begin_recording().ok());
  EXPECT_FALSE(d->create_stream(1).ok());
  EXPECT_FALSE(d->load(Step(simple_recipe()).source()).ok());
  EXPECT_EQ(d->allocate(64), nullptr);
  EXPECT_EQ(fake::state().calls.size(), calls);
  EXPECT_FALSE(open_device("cuda:sm_90a", 0).ok());
  // When all have let it go, a fresh context is made.
  launch.reset(), kernel = Status(Code::cancelled, ""), stream.reset(), d.reset();
  EXPECT_EQ(count("release_context"), 1);
  EXPECT_NE(open(), nullptr);
}

TEST_F(CudaDeviceTest, PeaksComeFromClocksAndTheChip) {
  auto d = open();
  auto stream = take(d->create_stream(1));
  const Peaks p = take(d->peaks(*stream));
  // An H200 at its highest clock. NVIDIA's 989 TFLOP/s are at 1.83 GHz, and its 4.8 TB/s at a slightly lower memory clock.
  EXPECT_NEAR(p.products(DType::f16), 989e12 * 1.98 / 1.83, 2e12);
  EXPECT_NEAR(p.bytes, 4.92e12, 0.01e12);
  EXPECT_EQ(p.products(DType::bf16), p.f16);
  EXPECT_EQ(p.products(DType::f32), p.f32);
  EXPECT_EQ(p.products(DType::f32, true), p.f16 / 2);
  EXPECT_EQ(p.products(DType::u8), 2 * p.f16);
  EXPECT_EQ(p.products(DType::f8e4m3fn), 2 * p.f16);
  EXPECT_NE(p.source.find("1.98 GHz"), std::string::npos) << p.source;
}

TEST_F(CudaDeviceTest, AHeldStreamIsReleasedBeforeItIsWaitedFor) {
  auto d = open();
  auto stream = take(d->create_stream(1));
  ASSERT_TRUE(stream->hold().ok());
  ASSERT_TRUE(stream->hold().ok());  // once is enough
  EXPECT_EQ(count("stream_wait_value"), 1);
  const uint32_t* gate = fake::state().gate;
  EXPECT_EQ(*gate, 0u);
  ASSERT_TRUE(stream->synchronize().ok());
  EXPECT_EQ(*gate, 1u);
  ASSERT_TRUE(stream->hold().ok());
  EXPECT_EQ(fake::state().gate_value, 2u);
  EXPECT_EQ(*gate, 1u);
  ASSERT_TRUE(stream->release().ok());
  EXPECT_EQ(*gate, 2u);
  // A step may launch any number of kernels: the queue is never filled.
  ASSERT_TRUE(stream->hold().ok());
  EXPECT_EQ(*gate, 2u);
  for (int i = 0; i < Stream::kMostHeld; ++i) ASSERT_TRUE(stream->mark().ok());
  EXPECT_EQ(*gate, 3u);
  // Without such waits the work just begins at once.
  fake::state().fails["stream_wait_value"] = kErrorNotSupported;
  EXPECT_TRUE(stream->hold().ok());
  EXPECT_TRUE(stream->release().ok());
  EXPECT_EQ(*gate, 3u);
}

TEST_F(CudaDeviceTest, AnErrorThatIsNotFatalLeavesTheDeviceAlive) {
  auto d = open();
  fake::state().fails["stream_create"] = kErrorOutOfMemory;
  auto s = d->create_stream(1);
  ASSERT_FALSE(s.ok());
  EXPECT_EQ(s.status().code(), Code::out_of_memory);
  EXPECT_TRUE(d->create_stream(1).ok());
}

// ---- memory ------------------------------------------------------------------------------------------------------

TEST_F(CudaDeviceTest, FreedMemoryIsGivenOutAgain) {
  auto d = open();
  auto a = d->allocate(1000);
  ASSERT_TRUE(a);
  EXPECT_EQ(a->memory(), d->memory());
  EXPECT_EQ(a->size(), 1000);
  void* address = a->data();
  a.reset();
  EXPECT_EQ(d->allocate(900)->data(), address);
  EXPECT_EQ(count("alloc"), 1);
  EXPECT_EQ(count("free"), 0);
  auto large = d->allocate(int64_t(300) << 20);
  large.reset();
  EXPECT_EQ(count("free"), 1);  // not kept
  EXPECT_EQ(d->allocate(-1), nullptr);
}

TEST_F(CudaDeviceTest, MemoryThatWorkMayStillUseWaitsForIt) {
  auto d = open();
  auto kernel = take(d->load(Step(simple_recipe()).source()));
  auto stream = take(d->create_stream(1));
  auto launch = take(kernel->bind(Bound(8).in, Bound(8).out, *stream));
  auto a = d->allocate(1000);
  void* address = a->data();
  ASSERT_TRUE(launch->run(Addresses().args(*stream)).ok());
  a.reset();
  auto b = d->allocate(1000);
  EXPECT_NE(b->data(), address);
  ASSERT_TRUE(stream->synchronize().ok());
  EXPECT_EQ(d->allocate(1000)->data(), address);
}

TEST_F(CudaDeviceTest, KeptMemoryGoesBackBeforeAnAllocationFails) {
  auto d = open();
  auto a = d->allocate(8 << 20);
  a.reset();
  fake::state().limit = 10 << 20;
  EXPECT_TRUE(d->allocate(1 << 20));   // too small for the kept block, but there is room
  EXPECT_TRUE(d->allocate(9 << 20));   // only without the kept block
  EXPECT_EQ(d->allocate(20 << 20), nullptr);
}

TEST_F(CudaDeviceTest, EqualWeightsAndEqualCodeAreThereOnce) {
  auto d = std::static_pointer_cast<CudaDevice>(open());
  auto a = d->upload(Tensor::of_floats(std::vector<double>{1, 2, 3})), b = d->upload(Tensor::of_floats(std::vector<double>{1, 2, 3}));
  auto c = d->upload(Tensor::of_floats(std::vector<double>{1, 2, 4}));
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  EXPECT_EQ(*a, *b);
  EXPECT_NE(*a, *c);
  EXPECT_EQ(count("copy_to_device"), 2);
  auto x = d->load(Step(simple_recipe(), "one").source()), y = d->load(Step(simple_recipe(), "two").source());
  ASSERT_TRUE(x.ok() && y.ok());
  EXPECT_EQ(count("module_load"), 1);
  x = Status(Code::cancelled, ""), y = Status(Code::cancelled, "");
  EXPECT_EQ(count("module_unload"), 1);
}

TEST_F(CudaDeviceTest, WeightsOfManyKernelsLieInOneBlock) {
  auto d = std::static_pointer_cast<CudaDevice>(open());
  KernelImage images[3];
  for (int i = 0; i < 3; ++i) images[i].data = {Tensor(), Tensor::make(DType::f32, {1000}), Tensor::of_floats(std::vector<double>{1, 2, 3})};
  for (int i = 0; i < 3; ++i)
    for (int64_t k = 0; k < 1000; ++k) images[i].data[1].set(k, i % 2);  // the last as the first
  const auto before = d->upload(Tensor::of_floats(std::vector<double>{1, 2, 3})).value();
  const int allocated = count("alloc");
  const KernelImage* all[] = {&images[0], &images[1], &images[2]};
  auto prepared = take(d->prepare_load(all));
  EXPECT_EQ(count("alloc"), allocated + 1);
  EXPECT_EQ(count("copy_to_device"), 3);
  HeldMemory held;
  std::set<const void*> addresses;
  std::vector<std::shared_ptr<Buffer>> kept;
  for (const KernelImage& image : images) {
    for (int k : {1, 2}) kept.push_back(d->upload(image.data[size_t(k)]).value());
    d->list_memory(*kept[kept.size() - 2], held);
    addresses.insert(kept[kept.size() - 2]->data());
    EXPECT_EQ(std::memcmp(kept[kept.size() - 2]->data(), image.data[1].data(), 4000), 0);
    EXPECT_EQ(kept.back(), before);
  }
  EXPECT_EQ(count("copy_to_device"), 3);
  EXPECT_EQ(addresses.size(), 2u);
  ASSERT_EQ(held.size(), 1u);
  EXPECT_EQ(held.begin()->second, 8192);  // two of 4000 bytes at multiples of 256
  // What nobody took goes with the result, what somebody took stays; its address on the host may be another tensor's then.
  prepared.reset();
  EXPECT_EQ(d->upload(images[1].data[1]).value(), kept[2]);
  images[1].data[1].set(0, 7);
  EXPECT_NE(d->upload(images[1].data[1]).value(), kept[2]);
}

TEST_F(CudaDeviceTest, CopiesFromOrdinaryMemoryAreWaitedForWhereTheGpuReadsItItself) {
  fake::state().pageable_access = true;
  auto d = open();
  auto stream = take(d->create_stream(1));
  auto to = d->allocate(64), staging = d->allocate_staging(64);
  char ordinary[64] = {};
  ASSERT_TRUE(d->copy(*stream, to->data(), staging->data(), 64, Copy::host_to_device).ok());
  EXPECT_EQ(count("stream_synchronize"), 0);
  ASSERT_TRUE(d->copy(*stream, to->data(), ordinary, 64, Copy::host_to_device).ok());
  EXPECT_EQ(count("stream_synchronize"), 1);
  EXPECT_TRUE(d->copy(*stream, nullptr, nullptr, 0, Copy::host_to_device).ok());
}

// ---- kernels -----------------------------------------------------------------------------------------------------

TEST_F(CudaDeviceTest, SizesAndAddressesGoIntoTheLaunch) {
  auto d = open();
  auto kernel = take(d->load(Step(simple_recipe()).source()));
  auto stream = take(d->create_stream(1));
  auto launch = take(kernel->bind(Bound(10).in, Bound(10).out, *stream));
  EXPECT_EQ(launch->scratch_bytes(), 40);
  fake::state().num_words = 4;
  Addresses at;
  ASSERT_TRUE(launch->run(at.args(*stream)).ok());
  const fake::State& s = fake::state();
  EXPECT_EQ(s.words, (std::vector<uint64_t>{0x1000, 0x3000 + 64, 80, 0x4000 + 16}));
  EXPECT_EQ(s.config.grid_x, 3u);
  EXPECT_EQ(s.config.grid_y, 1u);
  EXPECT_EQ(s.config.block_x, 128u);
  EXPECT_EQ(s.config.stream, static_cast<CudaStream&>(*stream).handle());
  ASSERT_EQ(s.attributes.size(), 1u);
  EXPECT_EQ(s.attributes[0].id, kAttributeProgrammatic);
  EXPECT_EQ(s.attributes[0].programmatic, 1);
  at.out[0] = reinterpret_cast<void*>(0x9000);
  ASSERT_TRUE(launch->run(at.args(*stream)).ok());
  EXPECT_EQ(fake::state().words[1], 0x9040u);
}

TEST_F(CudaDeviceTest, EmptyGridsAreNotLaunched) {
  auto d = open();
  auto kernel = take(d->load(Step(simple_recipe()).source()));
  auto stream = take(d->create_stream(1));
  auto launch = kernel->bind(Bound(0).in, Bound(0).out, *stream);
  ASSERT_TRUE(launch.ok());
  ASSERT_TRUE((*launch)->run(Addresses().args(*stream)).ok());
  EXPECT_EQ(count("launch"), 0);
}

TEST_F(CudaDeviceTest, OlderChipsHaveNoDependentLaunchesAndNoClusters) {
  fake::state().major = 8;
  auto d = take(open_device("cuda:sm_80", 0));
  auto stream = take(d->create_stream(1));
  auto kernel = take(d->load(Step(simple_recipe()).source()));
  auto launch = take(kernel->bind(Bound(8).in, Bound(8).out, *stream));
  ASSERT_TRUE(launch->run(Addresses().args(*stream)).ok());
  EXPECT_TRUE(fake::state().attributes.empty());
  Recipe clustered = simple_recipe();
  clustered.launches[0].cluster = 2;
  auto other = take(d->load(Step(clustered).source()));
  EXPECT_EQ(other->bind(Bound(8).in, Bound(8).out, *stream).status().code(), Code::incompatible);
}

TEST_F(CudaDeviceTest, SharedMemoryIsAskedForOnceAndClustersAreAttributes) {
  auto d = open();
  Recipe r = simple_recipe();
  r.launches[0].shared = Dim::symbol("i0_0") * 1024;
  r.launches[0].cluster = 2;
  auto kernel = take(d->load(Step(r).source()));
  auto stream = take(d->create_stream(1));
  EXPECT_TRUE(kernel->bind(Bound(48).in, Bound(48).out, *stream).ok());
  EXPECT_EQ(count("function_attribute"), 0);
  auto launch = kernel->bind(Bound(100).in, Bound(100).out, *stream);
  ASSERT_TRUE(launch.ok());
  EXPECT_TRUE(kernel->bind(Bound(90).in, Bound(90).out, *stream).ok());
  EXPECT_EQ(count("function_attribute 8 102400"), 1);
  EXPECT_EQ(count("function_attribute"), 1);
  ASSERT_TRUE((*launch)->run(Addresses().args(*stream)).ok());
  EXPECT_EQ(fake::state().config.shared_bytes, 102400u);
  ASSERT_EQ(fake::state().attributes.size(), 2u);
  EXPECT_EQ(fake::state().attributes[0].id, kAttributeCluster);
  EXPECT_EQ(fake::state().attributes[0].cluster.x, 2u);
  EXPECT_EQ(kernel->bind(Bound(1000).in, Bound(1000).out, *stream).status().code(), Code::invalid_argument);
}

TEST_F(CudaDeviceTest, ValuesOfInputsAndGuards) {
  auto d = open();
  Recipe r = simple_recipe();
  r.value_inputs = 2;
  r.launches[0].args[2] = arg(Arg::i64, 0, Dim::symbol("v1_2") * 3);
  r.below_2g = {Dim::symbol("i0_0") * 8};
  auto kernel = take(d->load(Step(r).source()));
  EXPECT_EQ(kernel->value_inputs(), 2u);
  auto stream = take(d->create_stream(1));
  const int64_t values[3] = {5, 6, 7};
  auto launch = kernel->bind(Bound(4, values).in, Bound(4).out, *stream);
  ASSERT_TRUE(launch.ok());
  fake::state().num_words = 4;
  ASSERT_TRUE((*launch)->run(Addresses().args(*stream)).ok());
  EXPECT_EQ(fake::state().words[2], 21u);
  auto huge = kernel->bind(Bound(int64_t(1) << 28, values).in, Bound(int64_t(1) << 28).out, *stream);
  ASSERT_FALSE(huge.ok());
  EXPECT_EQ(huge.status().code(), Code::invalid_argument);
  EXPECT_EQ(kernel->bind(Bound(4).in, Bound(4).out, *stream).status().code(), Code::data_loss);  // no value given
}

TEST_F(CudaDeviceTest, DamagedStepsAreRefused) {
  auto d = open();
  auto refuse = [&](const KernelImage& image) {
    Step s(simple_recipe());
    s.image = image;
    auto k = d->load(s.source());
    ASSERT_FALSE(k.ok());
    EXPECT_EQ(k.status().code(), Code::data_loss) << k.status().to_string();
  };
  const KernelImage good = Step(simple_recipe()).image;
  KernelImage bad = good;
  bad.config = "{";
  refuse(bad);
  bad = good, bad.data.clear();
  refuse(bad);
  for (const Arg& a : {arg(Arg::input, 2), arg(Arg::output, 1), arg(Arg::data, 0)}) {
    Recipe r = simple_recipe();
    r.launches[0].args = {a};
    bad = good, bad.config = r.to_text();
    refuse(bad);
  }
  // Machine code whose headers point past its end: the driver would read there.
  bad = good, bad.data[0] = Tensor::make(DType::u8, {100});
  std::memset(bad.data[0].data(), 0x7f, 100);
  std::memcpy(bad.data[0].data(), "\x7f" "ELF\x02", 5);
  refuse(bad);
  fake::state().fails["module_function"] = kErrorNotFound;
  refuse(good);
  fake::state().fails["module_load"] = kErrorNoBinary;
  EXPECT_EQ(d->load(Step(simple_recipe()).source()).status().code(), Code::incompatible);
}

TEST_F(CudaDeviceTest, RecipesThatAskForWhatIsNotThere) {
  auto d = open();
  auto stream = take(d->create_stream(1));
  for (const char* symbol : {"i0_2", "i5_0", "o0_9", "v1_0", "v0_0", "batch", "i0", "i_0", "ix_0", "i0_x", "i99999999999999999999_0"}) {
    Recipe r = simple_recipe();
    r.launches[0].grid[0] = Dim::symbol(symbol);
    auto kernel = d->load(Step(r).source());
    ASSERT_TRUE(kernel.ok());
    EXPECT_EQ((*kernel)->bind(Bound(8).in, Bound(8).out, *stream).status().code(), Code::data_loss) << symbol;
  }
}

// ---- tensor maps -------------------------------------------------------------------------------------------------

TEST_F(CudaDeviceTest, MapsAreEncodedWhenTheAddressChanges) {
  auto d = open();
  Recipe r = simple_recipe();
  Arg a = arg(Arg::tensor_map);
  a.base = Arg::input;
  a.map.type = "f16";
  a.map.dims = {8, Dim::symbol("i0_0")};
  a.map.strides = {16};
  a.map.box = {8, 64};
  a.map.element_strides = {1, 1};
  a.map.swizzle = 128;
  r.launches[0].args = {a};
  auto kernel = take(d->load(Step(r).source()));
  auto stream = take(d->create_stream(1));
  auto launch = take(kernel->bind(Bound(8).in, Bound(8).out, *stream));
  EXPECT_EQ(fake::state().tiled_maps, 0);
  Addresses at;
  ASSERT_TRUE(launch->run(at.args(*stream)).ok());
  ASSERT_TRUE(launch->run(at.args(*stream)).ok());
  EXPECT_EQ(fake::state().tiled_maps, 1);
  at.in[0] = reinterpret_cast<void*>(0x8000);
  ASSERT_TRUE(launch->run(at.args(*stream)).ok());
  EXPECT_EQ(fake::state().tiled_maps, 2);
}

TEST_F(CudaDeviceTest, SmallIm2colMapsLoseTheBitThatOldDriversSet) {
  TensorMap m;
  m.type = "bf16";
  m.dims = {64, 7, 7, 1};
  m.strides = {128, 896, 6272};
  m.element_strides = {1, 1, 1, 1};
  m.lower = m.upper = {-1, -1};
  m.channels = 64, m.pixels = 64;
  auto eval = [](const Dim& d) -> Result<int64_t> { return d.constant(); };
  EncodedMap out;
  auto small = bind_map(m, eval);
  ASSERT_TRUE(small.ok());
  EXPECT_EQ(small->type, 9);
  ASSERT_EQ(encode_map(fake::driver(), *small, 0x1000, &out), 0);
  EXPECT_EQ(out.words[1], ~(uint64_t(1) << 21));
  m.dims.back() = 32;
  ASSERT_EQ(encode_map(fake::driver(), *bind_map(m, eval), 0x1000, &out), 0);
  EXPECT_EQ(out.words[1], ~uint64_t(0));
  Driver newer = fake::driver();
  newer.cuda_version = 13020;
  ASSERT_EQ(encode_map(newer, *small, 0x1000, &out), 0);
  EXPECT_EQ(out.words[1], ~uint64_t(0));
  m.type = "f12";
  EXPECT_EQ(bind_map(m, eval).status().code(), Code::data_loss);
  m.type = "f16", m.swizzle = 96;
  EXPECT_EQ(bind_map(m, eval).status().code(), Code::data_loss);
}

// ---- streams -----------------------------------------------------------------------------------------------------

TEST_F(CudaDeviceTest, ARecordingIsCapturedAsideAndReplayedOnTheStream) {
  auto d = open();
  auto kernel = take(d->load(Step(simple_recipe(), "recorded").source()));
  auto stream = take(d->create_stream(1));
  ASSERT_TRUE(stream->redirect(reinterpret_cast<void*>(1)).ok());  // the default stream, which cannot be captured
  auto launch = take(kernel->bind(Bound(8).in, Bound(8).out, *stream));
  ASSERT_TRUE(stream->begin_recording().ok());
  EXPECT_FALSE(stream->begin_recording().ok());
  EXPECT_FALSE(stream->synchronize().ok());
  ASSERT_TRUE(launch->run(Addresses().args(*stream)).ok());
  EXPECT_NE(fake::state().config.stream, nullptr);
  char host[8];
  EXPECT_FALSE(d->copy(*stream, host, host, 8, Copy::device_to_host).ok());
  auto recording = stream->end_recording();
  ASSERT_TRUE(recording.ok());
  EXPECT_EQ(count("begin_capture 1"), 1);
  ASSERT_TRUE((*recording)->replay().ok());
  EXPECT_EQ(count("graph_launch 1"), 1);
  fake::state().fails["stream_synchronize"] = kIllegalAddress;
  EXPECT_NE(stream->synchronize().message().find("Expand 'recorded'"), std::string::npos);
  recording = Status(Code::cancelled, "");
  EXPECT_EQ(count("graph_exec_destroy"), 1);
  EXPECT_EQ(count("graph_destroy"), 1);
  EXPECT_FALSE(stream->end_recording().ok());
}

TEST_F(CudaDeviceTest, MarksTellTheTimeBetweenThem) {
  auto d = open();
  auto stream = take(d->create_stream(1));
  {
    auto from = take(stream->mark()), to = take(stream->mark());
    EXPECT_NEAR(take(to->seconds_since(*from)), 1.5e-3, 1e-9);
    ASSERT_TRUE(stream->begin_recording().ok());
    EXPECT_FALSE(stream->mark().ok());
  }
  EXPECT_EQ(count("event_create"), count("event_destroy"));
}

TEST_F(CudaDeviceTest, ALongListOfNodesIsCutShort) {
  auto d = open();
  auto kernel = take(d->load(Step(simple_recipe()).source()));
  auto stream = take(d->create_stream(1));
  auto launch = take(kernel->bind(Bound(8).in, Bound(8).out, *stream));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(launch->run(Addresses().args(*stream)).ok());
  fake::state().fails["stream_synchronize"] = kIllegalAddress;
  EXPECT_NE(stream->synchronize().message().find("and 8 more"), std::string::npos);
}

TEST_F(CudaDeviceTest, AStreamOfTheCallersIsNotDestroyed) {
  auto d = open();
  auto kernel = take(d->load(Step(simple_recipe()).source()));
  auto stream = take(d->create_stream(1));
  ASSERT_TRUE(stream->redirect(reinterpret_cast<void*>(0x77)).ok());
  auto launch = take(kernel->bind(Bound(8).in, Bound(8).out, *stream));
  ASSERT_TRUE(launch->run(Addresses().args(*stream)).ok());
  EXPECT_EQ(fake::state().config.stream, reinterpret_cast<StreamHandle>(0x77));
  launch.reset(), stream.reset();
  EXPECT_EQ(count("stream_destroy"), 1);  // its own
  EXPECT_EQ(count("synchronize_context"), 1);
}

TEST_F(CudaDeviceTest, WorkStaysInOrderWhenTheStreamChanges) {
  auto d = open();
  auto kernel = take(d->load(Step(simple_recipe()).source()));
  auto stream = take(d->create_stream(1));
  auto* const own = stream->handle();
  auto launch = take(kernel->bind(Bound(8).in, Bound(8).out, *stream));
  void *const a = reinterpret_cast<void*>(0x77), *const b = reinterpret_cast<void*>(0x78);
  ASSERT_TRUE(stream->redirect(a).ok());
  EXPECT_EQ(count("stream_wait"), 0);  // nothing to wait for
  ASSERT_TRUE(launch->run(Addresses().args(*stream)).ok());
  ASSERT_TRUE(stream->redirect(a).ok());
  EXPECT_EQ(count("stream_wait"), 0);
  ASSERT_TRUE(stream->redirect(b).ok());
  EXPECT_EQ(count("event_record 119"), 1);
  EXPECT_EQ(count("stream_wait 120"), 1);
  ASSERT_TRUE(stream->wait_for(a).ok());
  EXPECT_EQ(count("stream_wait 120"), 2);
  ASSERT_TRUE(stream->redirect(nullptr).ok());
  EXPECT_EQ(stream->handle(), own);
  EXPECT_EQ(count("stream_wait"), 3);
  ASSERT_TRUE(stream->synchronize().ok());
  ASSERT_TRUE(stream->redirect(a).ok());
  EXPECT_EQ(count("stream_wait"), 3);
  launch.reset(), stream.reset();
  EXPECT_EQ(count("event_create"), count("event_destroy"));
}

TEST_F(CudaDeviceTest, AddressesTellWhoseTheyAre) {
  auto d = open();
  const char here[4] = "abc";
  EXPECT_EQ(take(d->owner_of(here)), kHostMemory);
  EXPECT_EQ(take(d->owner_of(nullptr)), kHostMemory);
  auto there = d->allocate(1000);
  EXPECT_EQ(take(d->owner_of(static_cast<char*>(there->data()) + 999)), d->memory());
  fake::state().owner = 3;
  auto other = d->owner_of(there->data());
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.status().code(), Code::invalid_argument);
  EXPECT_NE(other.status().message().find("of GPU 3, the engine runs on GPU 0"), std::string::npos);
  EXPECT_EQ(d->allocation_bytes(1000), 1024);
}

}  // namespace
}  // namespace tenon::cuda
