#include "cuda_emulator/on_emulator.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "cuda_emulator/emulated_driver.h"
#include "engine/step_kind.h"
#include "ir/interpreter.h"
#include "ir/random_input.h"
#include "ir/text.h"
#include "lowering/copies.h"
#include "op_samples.h"
#include "runtime/executor.h"

namespace tenon::emulator {

using ::testing::AssertionFailure;
using ::testing::AssertionResult;
using ::testing::AssertionSuccess;

// ---- a graph -------------------------------------------------------------------------------------------------------

static void limit_blocks(std::string& recipe, int blocks) {
  auto j = nlohmann::json::parse(recipe);
  for (auto& launch : j["launches"])
    launch["grid"][0] = launch["grid"][0].is_number() ? std::min(launch["grid"][0].get<int>(), blocks) : blocks;
  recipe = j.dump();
}

Result<std::unique_ptr<OnEmulator>> OnEmulator::build(const Graph& g, const std::string& target, bool tf32, const std::string& variant, int blocks) {
  install(target.substr(target.find(':') + 1));
  std::unique_ptr<OnEmulator> out(new OnEmulator);
  const auto cuda = TRY(create_compiler("cuda", target)), reference = TRY(create_compiler("reference", ""));
  // As lower() does, but the device also gets arithmetic on sizes and indices, which lower() leaves to the host.
  std::vector<StepPlan> steps;
  std::vector<bool> on_device;
  for (const Node& node : g.nodes) {
    StepPlan& step = steps.emplace_back();
    const KernelRequest request{g, node, tf32, nullptr, variant};
    const bool needs_kernel = step_kind(node) == StepKind::kernel;
    const KernelAnswer answer = needs_kernel ? cuda->supports(request) : KernelAnswer{};
    on_device.push_back(answer.yes);
    if (!needs_kernel) continue;
    auto image = answer.yes ? cuda->compile(request) : reference->compile(request);
    if (!image.ok()) return image.status().with_prefix(describe(node) + ": ");
    step.image = std::move(*image);
    if (blocks) limit_blocks(step.image.config, blocks);
    if (answer.yes) out->kernels_.push_back(step.image.kernel);
    else out->missing_ += cat(out->missing_.empty() ? "" : "; ", describe(node), ": ", answer.reason);
  }
  Lowered lowered = insert_copies(g, std::move(steps), on_device);
  out->graph_ = g;
  out->devices_ = {{"cuda", TRY(open_device(target))}, {"reference", TRY(open_device("reference"))}};
  out->plan_ = TRY(load_plan(std::move(lowered.graph), lowered.steps, out->devices_));
  out->stream_ = TRY(out->devices_[0].device->create_stream(1));
  out->host_ = TRY(out->devices_[1].device->create_stream(1));
  out->executor_ = std::make_unique<Executor>(*out->plan_, *out->stream_, *out->host_);
  return out;
}

OnEmulator::~OnEmulator() = default;

static Result<Tensor> on_device(const Device& device, DType t, const Shape& shape) {
  auto buffer = allocate_guarded(byte_size(t, num_elements(shape)), device.memory());
  if (!buffer) return Status(Code::out_of_memory, "the emulated device is full");
  return Tensor(t, shape, buffer);
}

Result<std::vector<Tensor>> OnEmulator::run(const std::vector<Tensor>& inputs, Order order) {
  Device& device = *devices_[0].device;
  set_order(order);
  std::vector<Tensor> there, outputs;
  for (const Tensor& t : inputs) {
    there.push_back(TRY(on_device(device, t.dtype(), t.shape())));
    TRY(device.copy(*stream_, there.back().data(), t.data(), t.bytes(), Copy::host_to_device));
  }
  // Outputs whose shapes the executor knows before it runs are bound to memory of ours.
  for (ValueId v : graph_.outputs) {
    const auto shape = graph_.info(v).ranked ? to_concrete(graph_.info(v).shape) : std::nullopt;
    outputs.push_back(shape ? TRY(on_device(device, graph_.info(v).dtype, *shape)) : Tensor());
  }
  TRY(executor_->run(there, outputs));
  std::vector<Tensor> back;
  for (const Tensor& t : outputs) {
    back.push_back(t);
    if (t.memory() == kHostMemory) continue;
    back.back() = TRY(Tensor::allocate(t.dtype(), t.shape()));
    TRY(device.copy(*stream_, back.back().data(), t.data(), t.bytes(), Copy::device_to_host));
  }
  TRY(stream_->synchronize());
  return back;
}

// ---- against the references ------------------------------------------------------------------------------------------

static Result<std::vector<Tensor>> draw_inputs(const Graph& g, const AgreeOptions& options, const Sizes& sizes) {
  if (!options.inputs.empty()) return options.inputs;
  std::vector<Tensor> inputs;
  for (ValueId v : g.inputs) {
    const ValueInfo& info = g.info(v);
    Shape shape;
    for (const Dim& d : info.shape) {
      const auto size = d.eval([&](const std::string& s) -> std::optional<int64_t> {
        auto it = sizes.find(s);
        return it == sizes.end() ? std::nullopt : std::optional(it->second);
      });
      if (!size) return invalid_argument("no size is given for ", d.to_string());
      shape.push_back(*size);
    }
    Tensor t = TRY(random_input(info.dtype, shape, inputs.size() + 1));
    Random random(inputs.size() + 1);
    if (is_float(info.dtype))
      for (int64_t i = 0; i < t.size(); ++i) t.set(i, options.low + double(random.next() >> 11) / double(uint64_t(1) << 53) * (options.high - options.low));
    inputs.push_back(std::move(t));
  }
  return inputs;
}

static Tolerance tolerance_of(const Graph& g) {
  Tolerance sum{0, 0};
  for (const Node& n : g.nodes) {
    const Tolerance t = n.op->domain == "tenon" && n.attrs.has("body") ? tolerance_of(*n.attrs.graph("body")) : n.op->tolerance;
    sum.f32 += t.f32, sum.f16 += t.f16;
  }
  return sum;
}

static std::string text_of(const Sizes& sizes) {
  std::string text;
  for (const auto& [name, size] : sizes) text += cat(text.empty() ? " with " : ", ", name, " = ", size);
  return text;
}

AssertionResult agrees_on_emulator(const Graph& g, const AgreeOptions& options) {
  auto built = OnEmulator::build(g, options.target, options.tf32, options.variant, options.blocks);
  if (!built.ok()) return AssertionFailure() << built.status().to_string();
  return agrees_on_emulator(**built, g, options);
}

AssertionResult agrees_on_emulator(OnEmulator& on, const Graph& g, const AgreeOptions& options) {
  if (!on.missing().empty()) return AssertionFailure() << "not on the device: " << on.missing();
  for (const std::string& k : on.kernels())
    if (!glob_match(options.kernel, k)) return AssertionFailure() << "its kernel is " << k << ", expected " << options.kernel;
  for (const Sizes& sizes : options.sizes) {
    const std::string with = text_of(sizes);
    auto inputs = draw_inputs(g, options, sizes);
    if (!inputs.ok()) return AssertionFailure() << inputs.status().to_string();
    auto want = interpret(g, *inputs);
    if (!want.ok()) return AssertionFailure() << "the reference fails" << with << ": " << want.status().to_string();
    auto got = on.run(*inputs, Order::forwards);
    if (!got.ok()) return AssertionFailure() << join(on.kernels(), ", ") << with << ": " << got.status().to_string();
    auto again = on.run(*inputs, Order::backwards);
    if (!again.ok()) return AssertionFailure() << join(on.kernels(), ", ") << with << ", backwards: " << again.status().to_string();
    for (size_t i = 0; i < want->size(); ++i) {
      const std::string wrong = difference(options.tolerance ? *options.tolerance : tolerance_of(g), (*got)[i], (*want)[i]);
      if (!wrong.empty()) return AssertionFailure() << join(on.kernels(), ", ") << with << ": output " << i << ": " << wrong;
      if (!(*again)[i].identical((*got)[i])) return AssertionFailure() << join(on.kernels(), ", ") << with << ": output " << i << " differs with the order in which threads start: a barrier is missing";
    }
  }
  return AssertionSuccess();
}

AssertionResult agrees_on_emulator(std::string_view text, const AgreeOptions& options) {
  auto g = tenon::parse(text);
  if (!g.ok()) return AssertionFailure() << g.status().to_string();
  return agrees_on_emulator(*g, options);
}

}  // namespace tenon::emulator
