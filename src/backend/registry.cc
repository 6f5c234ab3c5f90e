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
  const char* fallback;  // the target that takes over nodes for which it has no kernel; null: it has one for every node
};
Status always() { return {}; }
constexpr Entry kBackends[] = {
    {"cpu", cpu::open_device, always, "reference"},
    {"cuda", cuda::open_device, cuda::state, "cpu:avx2"},
    {"reference", reference::open_device, always, nullptr},
};

const Entry* find(const std::string& device) {
  for (const Entry& e : kBackends)
    if (device == e.name) return &e;
  return nullptr;
}

std::string backend_of(const std::string& target) { return target.substr(0, target.find(':')); }
}  // namespace

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

double Peaks::products(DType factors, bool round_to_tf32) const {
  switch (bits(factors)) {
    case 64: return f64;
    case 32: return factors == DType::f32 && round_to_tf32 ? tf32 : f32;
    case 16: return f16;
    default: return is_float(factors) ? f8 : i8;
  }
}

// Where nothing is known a profile shows times alone.
Result<Peaks> Device::peaks(Stream&) { return Peaks{}; }

Result<std::unique_ptr<Stream>> Device::wrap_stream(void*) {
  return invalid_argument("streams of ", description(), " cannot be handed in from outside").with_remedy("pass no stream");
}

Status Kernel::run_dynamic(std::span<const Tensor>, std::vector<Tensor>&, const RunSubgraph&) const {
  return internal_error("this kernel needs to know its output shapes");
}

}  // namespace tenon
