// The list of compilers: what registry.cc is for devices. Linked into the build half alone.
#include "backend/compiler.h"
#include "backend/cpu/cpu.h"
#include "backend/cuda/build/compiler.h"
#include "backend/reference/reference.h"

namespace tenon {

namespace {
struct Entry {
  const char* name;
  Result<std::unique_ptr<KernelCompiler>> (*create)(const std::string& target);
};
constexpr Entry kCompilers[] = {
    {"cpu", cpu::create_compiler},
    {"cuda", cuda::create_compiler},
    {"reference", reference::create_compiler},
};
}  // namespace

Result<std::unique_ptr<KernelCompiler>> create_compiler(const std::string& device, const std::string& target) {
  for (const Entry& e : kCompilers)
    if (device == e.name) return e.create(target);
  return unknown_device(device);
}

Result<Compilers> create_compilers(const std::string& device, const std::string& target) {
  Compilers out;
  out.push_back(TRY(create_compiler(device, target)));
  std::string last = device;
  while (const char* next = fallback_of(last)) {
    last = backend_of(next);
    out.push_back(TRY(create_compiler(last, next)));
  }
  return out;
}

}  // namespace tenon
