// The executor on a device with memory of its own: copies between the two memories, recordings, late steps, control flow.
#include "far_device.h"

#include "ir/interpreter.h"
#include "lowering/lower.h"
#include "runtime/testing.h"

namespace tenon {
namespace {

using namespace tenon::testing;

struct Far {
  Devices devices;
  std::unique_ptr<LoadedPlan> plan;
  std::unique_ptr<Stream> stream, host;
  std::unique_ptr<Executor> executor;
  Graph graph;

  static std::unique_ptr<Far> open(std::string_view text, std::set<std::string> not_these = {}) {
    auto f = std::make_unique<Far>();
    auto g = parse(text);
    EXPECT_TRUE(g.ok()) << g.status().to_string();
    if (!g.ok()) return nullptr;
    f->graph = *g;
    Compilers compilers;
    compilers.push_back(std::make_unique<FarCompiler>(not_these));
    Compilers rest = create_compilers("reference", "").value();
    for (auto& c : rest) compilers.push_back(std::move(c));
    auto lowered = lower(*g, compilers);
    EXPECT_TRUE(lowered.ok()) << lowered.status().to_string();
    auto reference = open_device("reference").value();
    f->devices = {{"far", std::make_shared<FarDevice>(reference)}, {"reference", reference}};
    auto plan = load_plan(lowered->graph, lowered->steps, f->devices);
    EXPECT_TRUE(plan.ok()) << plan.status().to_string() << "\n" << print(lowered->graph);
    if (!plan.ok()) return nullptr;
    f->plan = std::move(plan).value();
    f->stream = f->devices[0].device->create_stream(1).value();
    f->host = reference->create_stream(1).value();
    f->executor = std::make_unique<Executor>(*f->plan, *f->stream, *f->host);
    return f;
  }
  int replays() const { return static_cast<FarStream&>(*stream).replays; }
  int waits() const { return static_cast<FarStream&>(*stream).waits; }
  std::string ops() const {
    std::string out;
    for (const Node& n : plan->graph.nodes) out += cat(out.empty() ? "" : " ", n.op->name);
    return out;
  }
  // Runs, and compares with the interpreter.
  void check(const std::vector<Tensor>& inputs) {
    std::vector<Tensor> outputs;
    Status s = executor->run(inputs, outputs);
    ASSERT_TRUE(s.ok()) << s.to_string();
    auto want = interpret(graph, inputs);
    ASSERT_TRUE(want.ok()) << want.status().to_string();
    for (size_t i = 0; i < outputs.size(); ++i) {
      ASSERT_EQ(outputs[i].memory(), kHostMemory);
      EXPECT_TRUE(outputs[i].identical((*want)[i])) << "output " << i;
    }
  }
  Tensor on_device(const Tensor& t) {
    Tensor there(t.dtype(), t.shape(), devices[0].device->allocate(t.bytes()));
    EXPECT_TRUE(devices[0].device->copy(*stream, there.data(), t.data(), t.bytes(), Copy::host_to_device).ok());
    return there;
  }
  Tensor back(const Tensor& t) {
    Tensor here = Tensor::make(t.dtype(), t.shape());
    EXPECT_TRUE(devices[0].device->copy(*stream, here.data(), t.data(), t.bytes(), Copy::device_to_host).ok());
    EXPECT_TRUE(stream->synchronize().ok());
    return here;
  }
};

constexpr const char* kChain = R"(graph "g" (%x: f32[n, 3]) -> (%y, %z) {
  const %c: f32[3] = [1.0, 2.0, 3.0]
  %a = Add(%x, %c)
  %y = Relu(%a)
  %z = Neg(%y)
})";

TEST(FarDevice, InputsGoThereAndOutputsComeBack) {
  auto f = Far::open(kChain);
  ASSERT_TRUE(f);
  EXPECT_EQ(f->ops(), "Copy Add Relu Neg");
  for (int64_t n : {2, 1, 0, 5, 2}) f->check({ramp({n, 3})});
}

TEST(FarDevice, TheSecondRunIsRecorded) {
  auto f = Far::open(kChain);
  ASSERT_TRUE(f);
  const Tensor x = ramp({4, 3});
  std::vector<Tensor> outputs = {Tensor::make(DType::f32, {4, 3}), Tensor::make(DType::f32, {4, 3})};
  for (int run = 0; run < 4; ++run) {
    const_cast<Tensor&>(x).set(0, run);
    ASSERT_TRUE(f->executor->run({x}, outputs).ok());
    EXPECT_EQ(outputs[0].at(0), run + 1);
    EXPECT_EQ(outputs[1].at(0), -(run + 1));
  }
  EXPECT_EQ(f->replays(), 3);
  f->check({ramp({2, 3})});  // other shapes, then back
  ASSERT_TRUE(f->executor->run({x}, outputs).ok());
  EXPECT_EQ(outputs[0].at(0), 4);
}

TEST(FarDevice, OperandsMayBeOnTheDevice) {
  auto f = Far::open(kChain);
  ASSERT_TRUE(f);
  const Tensor x = f->on_device(ramp({2, 3})), y = f->on_device(ramp({2, 3}));
  for (int run = 0; run < 3; ++run) {
    std::vector<Tensor> outputs = {y, Tensor()};
    Status s = f->executor->run({x}, outputs, {.outputs_on_device = true, .wait = false});
    ASSERT_TRUE(s.ok()) << s.to_string();
    EXPECT_EQ(outputs[0].data(), y.data());
    EXPECT_EQ(outputs[1].memory(), kFarMemory);
    auto want = interpret(f->graph, {ramp({2, 3})}).value();
    EXPECT_TRUE(f->back(outputs[0]).identical(want[0]));
    EXPECT_TRUE(f->back(outputs[1]).identical(want[1]));
  }
}

TEST(FarDevice, MemoryOfAnotherDeviceIsRefused) {
  auto f = Far::open(kChain);
  ASSERT_TRUE(f);
  const Tensor x(DType::f32, {1, 3}, Buffer::borrow(nullptr, 12, nullptr, kFarMemory + 1));
  std::vector<Tensor> outputs;
  EXPECT_EQ(f->executor->run({x}, outputs).code(), Code::invalid_argument);
}

TEST(FarDevice, StepsOnTheHostGetCopies) {
  auto f = Far::open(kChain, {"Relu"});
  ASSERT_TRUE(f);
  EXPECT_EQ(f->ops(), "Copy Add Copy Relu Copy Neg");
  for (int64_t n : {2, 1, 0, 2}) f->check({ramp({n, 3})});
  EXPECT_EQ(f->replays(), 0);
}

TEST(FarDevice, OutputsMayBeViewsInputsConstantsOrTheSameValue) {
  auto f = Far::open(R"(graph "g" (%x: f32[2, 3]) -> (%x, %c, %r, %y, %y, %v) {
    const %c: f32[3] = [1.0, 2.0, 3.0]
    const %flat: i64[1] = [-1]
    %y = Add(%x, %c)
    %r = Reshape(%x, %flat)
    %v = Reshape(%y, %flat)
  })");
  ASSERT_TRUE(f);
  f->check({ramp({2, 3})});
  std::vector<Tensor> outputs;
  ASSERT_TRUE(f->executor->run({f->on_device(ramp({2, 3}))}, outputs).ok());
  auto want = interpret(f->graph, {ramp({2, 3})}).value();
  for (size_t i = 0; i < outputs.size(); ++i) EXPECT_TRUE(outputs[i].identical(want[i])) << i;
}

// Parts of results and of operands on the device, one of which has to be copied; the host's among them.
constexpr const char* kParts = R"(graph "g" (%x: f32[n, 4], %z: f32[n, 4]) -> (%y, %q, %r) {
  const %c: f32[1, 4] = [1.0, 2.0, 3.0, 4.0]
  const %zero: i64[1] = [0]
  const %one: i64[1] = [1]
  %a = Relu(%x)
  %b = Neg(%z)
  %k = Concat(%a, %c, %b, %x) {axis=0}
  %p, %q = Split(%k) {axis=0, num_outputs=2}
  %y = Abs(%p)
  %t = Slice(%x, %zero, %one)
  %r = Concat(%t, %y) {axis=0}
})";

TEST(FarDevice, OperandsStandWithinEachOther) {
  for (const std::set<std::string>& on_host : {std::set<std::string>{}, {"Neg"}, {"Relu", "Split"}, {"Concat"}, {"Slice"}}) {
    auto f = Far::open(kParts, on_host);
    ASSERT_TRUE(f);
    for (int64_t n : {1, 2, 1, 7}) f->check({ramp({n, 4}), ramp({n, 4})});
    // Inputs that are on the device, the second at an address that kernels do not take.
    const Tensor far = f->on_device(ramp({4, 4})), x = ramp({3, 4});
    Tensor z = Tensor::make(DType::f32, {3, 4});
    for (int64_t i = 0; i < z.size(); ++i) z.set(i, ramp({4, 4}).at(i + 1));
    std::vector<Tensor> outputs;
    const Status s = f->executor->run({f->on_device(x), Tensor(DType::f32, {3, 4}, far.buffer(), 4)}, outputs);
    ASSERT_TRUE(s.ok()) << s.to_string();
    auto want = interpret(f->graph, {x, z}).value();
    for (size_t j = 0; j < want.size(); ++j) EXPECT_TRUE(outputs[j].identical(want[j])) << "output " << j;
  }
}

// Four values of 768 bytes, of which two live at a time; %y is made last, %z before.
constexpr const char* kLong = R"(graph "g" (%x: f32[n, 3], %w: f32[n, 3]) -> (%z, %y) {
  %a = Neg(%x)
  %b = Abs(%a)
  %c = Exp(%b)
  %z = Add(%c, %c)
  %d = Neg(%c)
  %e = Abs(%d)
  %y = Add(%e, %w)
})";

TEST(FarDevice, ValuesStandInTheMemoryOfLaterOutputs) {
  auto f = Far::open(kLong);
  ASSERT_TRUE(f);
  for (int64_t n : {64, 1, 0, 64, 5}) f->check({ramp({n, 3}), ramp({n, 3})});
  ASSERT_TRUE(f->executor->prepare({{64, 3}, {64, 3}}).ok());
  EXPECT_LE(f->executor->planned_peak(), 3 * 768);  // two that are brought from the host, and one beside
}

// The caller's memory is lent to other values only where no input of the run is in it.
TEST(FarDevice, OutputsMayLieInTheMemoryOfInputsOrEachOther) {
  auto f = Far::open(kLong);
  ASSERT_TRUE(f);
  const Tensor x = ramp({64, 3}), w = ramp({64, 3});
  const std::vector<Tensor> want = interpret(f->graph, {x, w}).value();
  const RunOptions there{.outputs_on_device = true};
  const auto run = [&](const Tensor& fx, const Tensor& fw, std::vector<Tensor> outputs) {
    const Status s = f->executor->run({fx, fw}, outputs, there);
    EXPECT_TRUE(s.ok()) << s.to_string();
    return outputs;
  };
  for (int round = 0; round < 3; ++round) {  // recorded too
    const Tensor fx = f->on_device(x), fw = f->on_device(w);
    const std::vector<Tensor> over = run(fx, fw, {Tensor(), fw});
    EXPECT_TRUE(f->back(over[0]).identical(want[0]));
    EXPECT_TRUE(f->back(fw).identical(want[1]));
  }
  // A caller that does not want %y gives it any memory.
  const Tensor fx = f->on_device(x), fw = f->on_device(w), both(DType::f32, {64, 3}, f->devices[0].device->allocate(2 * 768));
  const Tensor half_over(DType::f32, {64, 3}, both.buffer(), 384);
  EXPECT_TRUE(f->back(run(fx, fw, {both, half_over})[1]).identical(want[1]));
  // Memory less aligned than an arena's.
  const Tensor odd(DType::f32, {64, 3}, both.buffer(), 16);
  const std::vector<Tensor> aside = run(fx, fw, {Tensor(), odd});
  EXPECT_TRUE(f->back(aside[0]).identical(want[0]));
  EXPECT_TRUE(f->back(odd).identical(want[1]));
}

TEST(FarDevice, CopiesOfPartsAreRecorded) {
  auto f = Far::open(kParts);
  ASSERT_TRUE(f);
  Tensor x = ramp({3, 4});
  std::vector<Tensor> outputs = {Tensor::make(DType::f32, {5, 4}), Tensor::make(DType::f32, {5, 4}), Tensor::make(DType::f32, {6, 4})};
  for (int run = 0; run < 4; ++run) {
    x.set(0, run + 1);
    ASSERT_TRUE(f->executor->run({x, x}, outputs).ok());
    auto want = interpret(f->graph, {x, x}).value();
    for (size_t j = 0; j < 3; ++j) EXPECT_TRUE(outputs[j].identical(want[j])) << j << " in run " << run;
  }
  EXPECT_EQ(f->replays(), 3);
}

TEST(FarDevice, SizesThatTheDataDecides) {
  auto f = Far::open(R"(graph "g" (%x: f32[n]) -> (%z, %v, %r) {
    %a = Relu(%x)
    %z = NonZero(%a)
    %f = Cast(%z) {to=1}
    %v = Add(%f, %f)
    const %s: i64[1] = [-1]
    %r = Reshape(%v, %s)
  })", {"NonZero"});
  ASSERT_TRUE(f);
  for (const Doubles& x : {Doubles{0, 1, 0, 2}, Doubles{1, 1, 1, 1}, Doubles{0, 0}, Doubles{}, Doubles{0, 1, 0, 2}}) f->check({floats(x)});
}

const std::vector<Doubles> kSparse = {Doubles{0, 1, 0, 2}, Doubles{1, 1, 1, 1}, Doubles{0, 0}, Doubles{}, Doubles{0, 1, 0, 2}, Doubles{3, 0, 0, 2}};

TEST(FarDevice, KernelsMayCountThemselves) {
  auto f = Far::open(R"(graph "g" (%x: f32[n]) -> (%z, %v, %r, %w) {
    %a = Relu(%x)
    %z = NonZero(%a)
    %w = Identity(%z)
    %f = Cast(%z) {to=1}
    %v = Add(%f, %f)
    const %s: i64[1] = [-1]
    %r = Reshape(%v, %s)
  })");
  ASSERT_TRUE(f);
  for (const Doubles& x : kSparse) f->check({floats(x)});
  // What is handed over must not be memory that the next run writes.
  std::vector<Tensor> first, second;
  ASSERT_TRUE(f->executor->run({floats(kSparse[0])}, first, {.outputs_on_device = true}).ok());
  ASSERT_TRUE(f->executor->run({floats(kSparse[5])}, second, {.outputs_on_device = true}).ok());
  const auto want = interpret(f->graph, {floats(kSparse[0])}).value();
  for (size_t i = 0; i < want.size(); ++i) EXPECT_TRUE(f->back(first[i]).identical(want[i])) << i;
}

TEST(FarDevice, ManySizesTakeOneWaitAndWhatIsInFrontIsRecorded) {
  std::string text = R"(graph "g" (%x: f32[n]) -> (%o0, %o1, %o2, %p) {)";
  for (int i = 0; i < 3; ++i) text += cat("const %c", i, ": f32[1] = [", i, ".0] %a", i, " = Sub(%x, %c", i, ") %z", i, " = NonZero(%a", i, ") %o", i, " = Neg(%z", i, ") ");
  auto f = Far::open(text + "%q = NonZero(%o0) %p = Neg(%q) }");
  ASSERT_TRUE(f);
  EXPECT_EQ(f->ops(), "Copy Sub Sub Sub NonZero NonZero NonZero Neg Neg Neg NonZero Neg");
  for (int run = 0; run < 3; ++run)
    for (const Doubles& x : kSparse) f->check({floats(x)});
  const Tensor x = floats(kSparse[0]), there = f->on_device(x);
  ASSERT_TRUE(f->stream->synchronize().ok());
  const int replays = f->replays();
  for (int run = 0; run < 3; ++run) {
    const int waits = f->waits();
    std::vector<Tensor> outputs;
    ASSERT_TRUE(f->executor->run({there}, outputs, {.outputs_on_device = true, .wait = false}).ok());
    EXPECT_EQ(f->waits(), waits + 2);
    const auto want = interpret(f->graph, {x}).value();
    for (size_t i = 0; i < want.size(); ++i) EXPECT_TRUE(f->back(outputs[i]).identical(want[i])) << i;
  }
  EXPECT_EQ(f->replays(), replays + 2);
}

// A size that a late step decides, and one whose input the caller gives anew each time.
TEST(FarDevice, KernelsMayCountWhatIsLate) {
  auto f = Far::open(R"(graph "g" (%x: f32[n, 3], %k: i64[1]) -> (%y, %z) {
    const %zero: i64[1] = [0]
    %s = Slice(%x, %zero, %k)
    %z = NonZero(%s)
    %y = Neg(%z)
  })");
  ASSERT_TRUE(f);
  for (int64_t k : {0, 2, 3, 1}) f->check({ramp({4, 3}), Tensor::of_ints({k})});
}

TEST(FarDevice, SizesAndIndicesStayOnTheHost) {
  auto f = Far::open(R"(graph "g" (%x: f32[n, 3], %k: i64[]) -> (%y, %k2) {
    const %one: i64[] = 1
    const %axis: i64[1] = [0]
    %k2 = Add(%k, %one)
    %u = Unsqueeze(%k2, %axis)
    const %zero: i64[1] = [0]
    %y = Slice(%x, %zero, %u)
  })");
  ASSERT_TRUE(f);
  for (int64_t k : {0, 1, 2, 1}) f->check({ramp({4, 3}), Tensor::scalar_int(k)});
}

// What goes into a branch and comes out of it need not leave the device.
TEST(FarDevice, BranchesReadAndWriteOnTheDevice) {
  auto f = Far::open(R"(graph "g" (%x: f32[n], %c: bool[]) -> (%y, %j, %k) {
    %a = Neg(%x)
    %i, %j, %k = If(%c, %a) {captures=1, else_branch=graph "e" (%p: f32[n]) -> (%q, %p, %s) {
      %q = NonZero(%p)
      %s = Abs(%p)
    }, then_branch=graph "t" (%p: f32[n]) -> (%q, %r, %s) {
      const %q: i64[1, 2] = [5, 6]
      %r = Add(%p, %p)
      %s = Exp(%p)
    }}
    %y = Neg(%i)
  })", {"Exp"});
  ASSERT_TRUE(f);
  EXPECT_EQ(f->ops(), "Copy Neg If Neg");
  Tensor c = Tensor::make(DType::boolean, {});
  for (int64_t v : {1, 0, 1, 0}) {
    c.set_int(0, v);
    for (const Doubles& x : kSparse) f->check({floats(x), c});
  }
}

TEST(FarDevice, ControlFlowIsTheHosts) {
  auto f = Far::open(R"(graph "g" (%x: f32[2], %c: bool[]) -> (%y) {
    %a = Neg(%x)
    %i = If(%c, %a) {captures=1, else_branch=graph "e" (%p: f32[2]) -> (%q) {
      %q = Exp(%p)
    }, then_branch=graph "t" (%p: f32[2]) -> (%q) {
      %q = Add(%p, %p)
    }}
    %y = Neg(%i)
  })");
  ASSERT_TRUE(f);
  Tensor c = Tensor::make(DType::boolean, {});
  for (int64_t v : {1, 0, 1}) {
    c.set_int(0, v);
    f->check({ramp({2}), c});
  }
}

}  // namespace
}  // namespace tenon
