// The list of backends: the one place that names them all.
#include "backend/backend.h"
#include "backend/compiler.h"
#include "backend/cpu/cpu.h"
#include "backend/reference/reference.h"

namespace tenon {

namespace {
struct Entry {
  const char* name;
  Result<std::unique_ptr<KernelCompiler>> (*compiler)(const std::string& target);
  Result<std::shared_ptr<Device>> (*open)(const std::string& target, int ordinal);
  const char* fallback;  // the target that takes over nodes for which it has no kernel; null: it has one for every node
};
constexpr Entry kBackends[] = {
    {"cpu", cpu::create_compiler, cpu::open_device, "reference"},
    {"reference", reference::create_compiler, reference::open_device, nullptr},
};

const Entry* find(const std::string& device) {
  for (const Entry& e : kBackends)
    if (device == e.name) return &e;
  return nullptr;
}

std::string backend_of(const std::string& target) { return target.substr(0, target.find(':')); }

Status unknown(const std::string& device) {
  return Status(Code::unavailable, cat("no device '", escape(device), "'; there are: ", join(device_names(), ", ")),
                "tenon doctor");
}
}  // namespace

std::vector<std::string> device_names() {
  std::vector<std::string> names;
  for (const Entry& e : kBackends) names.push_back(e.name);
  return names;
}

Result<std::unique_ptr<KernelCompiler>> create_compiler(const std::string& device, const std::string& target) {
  const Entry* e = find(device);
  if (!e) return unknown(device);
  return e->compiler(target);
}

Result<std::shared_ptr<Device>> open_device(const std::string& target, int ordinal) {
  const Entry* e = find(backend_of(target));
  if (!e) return unknown(target);
  return e->open(target, ordinal);
}

Result<Compilers> create_compilers(const std::string& device, const std::string& target) {
  Compilers out;
  out.push_back(TRY(create_compiler(device, target)));
  for (const char* next = find(device)->fallback; next; next = find(backend_of(next))->fallback)
    out.push_back(TRY(create_compiler(backend_of(next), next)));
  return out;
}

Result<Devices> open_devices(const std::string& target, int ordinal) {
  Devices out;
  out.push_back({backend_of(target), TRY(open_device(target, ordinal))});
  for (const char* next = find(backend_of(target))->fallback; next; next = find(backend_of(next))->fallback)
    out.push_back({backend_of(next), TRY(open_device(next))});
  return out;
}

Status Stream::begin_recording() { return internal_error("this stream does not record"); }

Result<std::unique_ptr<Recording>> Stream::end_recording() { return internal_error("this stream does not record"); }

Result<std::unique_ptr<Stream>> Device::wrap_stream(void*) {
  return invalid_argument("streams of ", description(), " cannot be handed in from outside").with_remedy("pass no stream");
}

Status Kernel::run_dynamic(std::span<const Tensor>, std::vector<Tensor>&, const RunSubgraph&) const {
  return internal_error("this kernel needs to know its output shapes");
}

}  // namespace tenon
