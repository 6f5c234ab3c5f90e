// The list of devices. compilers.cc beside it is the same for the build half, which this one is linked without.
#include "backend/backend.h"
#include "backend/cpu/cpu.h"
#include "backend/cuda/cuda.h"
#include "backend/reference/reference.h"

namespace tenon {

namespace {
struct Entry {
  const char* name;
  Result<std::shared_ptr<Device>> (*open)(const std::string& target, int ordinal);
  Status (*state)();
  Result<std::string> (*target)(int ordinal);  // of one of several; null: there is only one
  const char* fallback;  // the target that takes over nodes for which it has no kernel; null: it has one for every node
};
Status always() { return {}; }
constexpr Entry kBackends[] = {
    {"cpu", cpu::open_device, always, nullptr, "reference"},
    {"cuda", cuda::open_device, cuda::state, cuda::target_of_machine, "cpu:avx2"},
    {"reference", reference::open_device, always, nullptr, nullptr},
};

const Entry* find(const std::string& device) {
  for (const Entry& e : kBackends)
    if (device == e.name) return &e;
  return nullptr;
}
}  // namespace

std::string backend_of(const std::string& target) { return target.substr(0, target.find(':')); }

Status unknown_device(const std::string& device) {
  return Status(Code::unavailable, cat("no device '", escape(device), "'; there are: ", join(device_names(), ", ")),
                "tenon doctor");
}

std::vector<std::string> device_names() {
  std::vector<std::string> names;
  for (const Entry& e : kBackends) names.push_back(e.name);
  return names;
}

Status device_state(const std::string& device) {
  const Entry* e = find(device);
  return e ? e->state() : unknown_device(device);
}

Result<DeviceChoice> parse_device(const std::string& text) {
  const size_t colon = text.find(':');
  DeviceChoice out{text.substr(0, colon), 0};
  int64_t n = 0;
  if (colon != text.npos && (!parse_int(text.substr(colon + 1), n) || n < 0 || n > 4096))
    return Status(Code::invalid_argument, cat("'", escape(text), "' is not a device"), "cpu, or cuda:1 for the second GPU");
  out.ordinal = int(n);
  return out;
}

Result<std::string> target_of(const DeviceChoice& choice) {
  const Entry* e = find(choice.name);
  if (!e) return unknown_device(choice.name);
  if (e->target) return e->target(choice.ordinal);
  if (choice.ordinal == 0) return std::string();
  return Status(Code::unavailable, cat("there is one ", choice.name, ", no ", choice.name, ":", choice.ordinal), cat("device ", choice.name));
}

const char* fallback_of(const std::string& device) {
  const Entry* e = find(device);
  return e ? e->fallback : nullptr;
}

Result<std::shared_ptr<Device>> open_device(const std::string& target, int ordinal) {
  const Entry* e = find(backend_of(target));
  if (!e) return unknown_device(target);
  return e->open(target, ordinal);
}

Result<Devices> open_devices(const std::string& target, int ordinal) {
  Devices out;
  out.push_back({backend_of(target), TRY(open_device(target, ordinal))});
  for (const char* next = fallback_of(backend_of(target)); next; next = fallback_of(backend_of(next)))
    out.push_back({backend_of(next), TRY(open_device(next))});
  return out;
}

Status Stream::begin_recording() { return internal_error("this stream does not record"); }

Result<std::unique_ptr<Recording>> Stream::end_recording() { return internal_error("this stream does not record"); }

Status Stream::redirect(void* handle) {
  if (!handle) return {};
  return Status(Code::invalid_argument, "this device has no streams", "pass no stream");
}

Status Stream::wait_for(void*) { return redirect(this); }

double Peaks::products(DType factors, bool round_to_tf32) const {
  switch (bits(factors)) {
    case 64: return f64;
    case 32: return factors == DType::f32 && round_to_tf32 ? tf32 : f32;
    case 16: return f16;
    default: return is_float(factors) ? f8 : i8;
  }
}

Result<std::shared_ptr<Buffer>> Device::upload(const Tensor& constant) { return TRY(upload_all({&constant, 1}))[0]; }

Result<std::vector<std::shared_ptr<Buffer>>> Device::upload_all(std::span<const Tensor> constants) {
  auto stream = TRY(create_stream(1));
  std::map<std::pair<const void*, int64_t>, std::shared_ptr<Buffer>> there;
  std::vector<std::shared_ptr<Buffer>> out;
  for (const Tensor& t : constants) {
    std::shared_ptr<Buffer>& buffer = there[{t.data(), t.bytes()}];
    if (!buffer) {
      buffer = allocate(std::max<int64_t>(t.bytes(), 1));
      if (!buffer) return Status(Code::out_of_memory, cat("no device memory for a constant of ", human_bytes(uint64_t(t.bytes()))));
      TRY(copy(*stream, buffer->data(), t.data(), t.bytes(), Copy::host_to_device));
    }
    out.push_back(buffer);
  }
  TRY(stream->synchronize());
  return out;
}

// Where weights need no bringing, or come one by one.
Result<std::shared_ptr<void>> Device::prepare_load(std::span<const KernelImage* const>) { return std::shared_ptr<void>(); }

// Where nothing is known a profile shows times alone.
Result<Peaks> Device::peaks(Stream&) { return Peaks{}; }

Status Kernel::run_dynamic(std::span<const Tensor>, std::vector<Tensor>&, const RunSubgraph&) const {
  return internal_error("this kernel needs to know its output shapes");
}

Result<std::vector<Shape>> Kernel::largest(std::span<const TensorDesc>) const { return internal_error("this kernel counts nothing"); }

Result<std::vector<Shape>> Launch::counted(int64_t) const { return internal_error("this launch counts nothing"); }

}  // namespace tenon
