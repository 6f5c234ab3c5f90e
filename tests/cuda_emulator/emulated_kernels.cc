// The emulated driver's modules and launches.
#include <cstdlib>
#include <cstring>

#include "backend/cuda/build/prelude.h"
#include "cuda_emulator/gpu.h"
#include "cuda_emulator/tensor_map.h"

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

// Lets a tensor map point to where its bytes lie, all of which must be a live buffer's.
static Status place_map(EncodedMap& map, int on) {
  EmuTensorMap m;
  std::memcpy(&m, map.words, sizeof m);
  if (m.mark != EmuTensorMap::kMark) return invalid_argument("it is no tensor map");
  int64_t last = int64_t(m.dims[0] - 1) * m.element_bytes;
  for (int d = 1; d < m.rank; ++d) last += int64_t(m.dims[d] - 1) * int64_t(m.strides[d - 1]);
  m.base = TRY(reach(on, m.base, last + m.element_bytes));
  std::memcpy(map.words, &m, sizeof m);
  return {};
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
  return enqueue(config->stream, [=, &code, on = gpu_of(config->stream)]() -> Status {
    auto own = *args;
    std::vector<EncodedMap> maps(own.size());  // aligned as kernels expect them
    std::vector<void*> pointers;
    for (size_t i = 0; i < own.size(); ++i) {
      pointers.push_back(own[i].data());
      void* p = nullptr;
      if (own[i].size() == sizeof(EncodedMap) && !code.parameters[i].pointer) {
        std::memcpy(maps[i].words, own[i].data(), sizeof(EncodedMap));
        pointers.back() = &maps[i];
        if (Status s = place_map(maps[i], on); !s.ok()) return s.with_prefix(cat("kernel '", code.name, "': argument ", i, ": "));
        continue;
      }
      if (!code.parameters[i].pointer) continue;
      std::memcpy(&p, own[i].data(), sizeof p);
      if (!p) continue;
      auto real = reach(on, p, 0);
      if (!real.ok()) return real.status().with_prefix(cat("kernel '", code.name, "': argument ", i, ": "));
      p = *real;
      std::memcpy(own[i].data(), &p, sizeof p);
    }
    ++gpu().counts.launches;
    return run_grid(code, shape, pointers.data(), gpu().order);
  });
}

// What both kinds of maps have, and what the driver asks of it.
static bool fill_map(EmuTensorMap& m, int type, unsigned rank, void* at, const uint64_t* dims, const uint64_t* strides, const unsigned* steps, int swizzle) {
  constexpr int kBytes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};
  constexpr int kSwizzles[] = {0, 32, 64, 128};
  if (type < 0 || type > 12 || rank < 1 || rank > 5 || swizzle < 0 || swizzle > 3 || reinterpret_cast<uintptr_t>(at) % 16) return false;
  m.base = static_cast<char*>(at);
  m.rank = static_cast<unsigned char>(rank);
  m.element_bytes = static_cast<unsigned char>(kBytes[type]);
  m.swizzle = static_cast<unsigned char>(kSwizzles[swizzle]);
  m.mark = EmuTensorMap::kMark;
  for (unsigned d = 0; d < rank; ++d) {
    if (dims[d] < 1 || dims[d] > uint64_t(1) << 32 || steps[d] < 1 || steps[d] > 8) return false;
    m.dims[d] = unsigned(dims[d]);
    m.steps[d] = static_cast<unsigned char>(steps[d]);
    if (d + 1 < rank && (strides[d] % 16 || strides[d] >= uint64_t(1) << 40)) return false;
    if (d + 1 < rank) m.strides[d] = strides[d];
  }
  return true;
}

int encode_tiled(EncodedMap* map, int type, unsigned rank, void* at, const uint64_t* dims, const uint64_t* strides, const unsigned* box,
                 const unsigned* steps, int, int swizzle, int, int) {
  EmuTensorMap m{};
  if (!fill_map(m, type, rank, at, dims, strides, steps, swizzle)) return kInvalidValue;
  for (unsigned d = 0; d < rank; ++d) {
    if (box[d] < 1 || box[d] > 256) return kInvalidValue;
    m.box[d] = static_cast<unsigned short>(box[d]);
  }
  if (box[0] * m.element_bytes % 16 || (m.swizzle && box[0] * m.element_bytes > m.swizzle)) return kInvalidValue;
  std::memcpy(static_cast<void*>(map), &m, sizeof m);
  return 0;
}
int encode_im2col(EncodedMap* map, int type, unsigned rank, void* at, const uint64_t* dims, const uint64_t* strides, const int* lower,
                  const int* upper, unsigned channels, unsigned pixels, const unsigned* steps, int, int swizzle, int, int) {
  EmuTensorMap m{};
  if (rank < 3 || !fill_map(m, type, rank, at, dims, strides, steps, swizzle) || channels > 256 || pixels > 1024) return kInvalidValue;
  m.im2col = 1;
  m.box[0] = static_cast<unsigned short>(channels);
  m.box[1] = static_cast<unsigned short>(pixels);
  const int corner = rank == 3 ? 32768 : rank == 4 ? 128 : 16;
  for (unsigned d = 0; d + 2 < rank; ++d) {
    if (lower[d] < -corner || lower[d] >= corner || upper[d] < -corner || upper[d] >= corner) return kInvalidValue;
    m.lower[d] = short(lower[d]);
    m.upper[d] = short(upper[d]);
  }
  std::memcpy(static_cast<void*>(map), &m, sizeof m);
  return 0;
}

}  // namespace calls

}  // namespace tenon::emulator
