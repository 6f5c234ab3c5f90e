// The emulated driver's modules and launches.
#include <cstdlib>
#include <cstring>

#include "backend/cuda/build/prelude.h"
#include "cuda_emulator/gpu.h"

namespace tenon::emulator {

static constexpr char kImageMark[] = "tenon-emulated ";

Result<cuda::Compiled> compile_for_emulator(const std::string& source, const cuda::Chip&, const cuda::NvrtcOptions&) {
  cuda::Compiled c;
  c.cubin = cat(kImageMark, source.size(), "\n", source);
  return c;
}

namespace calls {

static Result<std::shared_ptr<const emulator::KernelLibrary>> load_image(const void* image) {
  const char* text = static_cast<const char*>(image);
  if (std::strncmp(text, kImageMark, sizeof kImageMark - 1)) return invalid_argument("the image was not compiled for the emulator");
  char* end = nullptr;
  const size_t bytes = std::strtoull(text + sizeof kImageMark - 1, &end, 10);
  const std::string source(end + 1, bytes);
  std::string front;
  for (const PreludeFile& f : prelude_files())
    if (std::string(f.name) != "ptx.cuh" && std::string(f.name) != "hopper.cuh") front += f.text;
  return load_library(front, source);
}

int module_load(Module* module, const void* image) {
  auto loaded = load_image(image);
  if (!loaded.ok()) return failed(loaded.status());
  auto m = std::make_unique<DriverModule>();
  for (const HostKernel& c : (*loaded)->kernels) m->functions[c.name].code = &c;
  m->module = std::move(*loaded);
  *module = m.release();
  return 0;
}
int module_unload(Module module) { return delete module, 0; }
int module_function(Function* function, Module module, const char* name) {
  auto it = module->functions.find(name);
  return it == module->functions.end() ? kErrorNotFound : (*function = &it->second, 0);
}
int function_attribute(Function function, int attribute, int value) {
  if (attribute != kMaxDynamicShared) return 0;
  if (no_context() || value + function->code->static_shared > gpu().chip.shared_per_block) return kInvalidValue;
  return function->max_dynamic_shared = value, 0;
}

int launch(const LaunchConfig* config, Function function, void** params, void** extra) {
  const HostKernel& code = *function->code;
  if (extra || no_context()) return kInvalidValue;
  GridShape shape{{config->grid_x, config->grid_y, config->grid_z}, {config->block_x, config->block_y, config->block_z}, config->shared_bytes};
  if (shape.shared > function->max_dynamic_shared) return kInvalidValue;
  for (unsigned i = 0; i < config->num_attributes; ++i) {
    const LaunchAttribute& a = config->attributes[i];
    if (a.id == kAttributeProgrammatic) shape.programmatic = a.programmatic != 0;
    if (a.id == kAttributeCluster && a.cluster.x * a.cluster.y * a.cluster.z > 1)
      return failed(unsupported("kernel '", code.name, "': clusters are not emulated"));
  }
  if (Status s = check_launch(code, shape, gpu().chip.shared_per_block); !s.ok()) return failed(s);
  // The driver copies arguments when it is called.
  auto args = std::make_shared<std::vector<std::vector<char>>>();
  for (size_t i = 0; i < code.parameters.size(); ++i) {
    const char* p = static_cast<const char*>(params[i]);
    args->emplace_back(p, p + code.parameters[i].bytes);
  }
  return enqueue(config->stream, [=, &code]() -> Status {
    auto own = *args;
    std::vector<void*> pointers;
    for (size_t i = 0; i < own.size(); ++i) {
      pointers.push_back(own[i].data());
      void* p = nullptr;
      if (!code.parameters[i].pointer) continue;
      std::memcpy(&p, own[i].data(), sizeof p);
      if (!p) continue;
      auto real = gpu().memory->translate(p, 0);
      if (!real.ok()) return real.status().with_prefix(cat("kernel '", code.name, "': argument ", i, ": "));
      p = *real;
      std::memcpy(own[i].data(), &p, sizeof p);
    }
    ++gpu().counts.launches;
    return run_grid(code, shape, pointers.data(), gpu().order);
  });
}

int encode_tiled(EncodedMap*, int, unsigned, void*, const uint64_t*, const uint64_t*, const unsigned*, const unsigned*, int, int, int, int) {
  return failed(unsupported("tensor maps are not emulated"));
}
int encode_im2col(EncodedMap*, int, unsigned, void*, const uint64_t*, const uint64_t*, const int*, const int*, unsigned, unsigned,
                  const unsigned*, int, int, int, int) {
  return failed(unsupported("tensor maps are not emulated"));
}

}  // namespace calls

}  // namespace tenon::emulator
