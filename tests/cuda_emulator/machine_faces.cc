// The emulator as the two libraries of a machine with NVIDIA's GPUs: with LD_LIBRARY_PATH naming the folder of this
// libcuda.so.1 and TENON_NVRTC the file, programs that know nothing of an emulator run on it.
//
//   TENON_EMULATED_GPUS=2    how many GPUs there are; default 1
#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "backend/cuda/build/prelude.h"
#include "cuda_emulator/emulated_driver.h"

using namespace tenon;
using namespace tenon::emulator;

// Kernels that are compiled while the program runs look for the emulator's functions among all libraries.
__attribute__((constructor)) static void begin() {
  const char* gpus = std::getenv("TENON_EMULATED_GPUS");
  install("sm_90a", gpus ? std::atoi(gpus) : 1);
  Dl_info self{};
  if (dladdr(reinterpret_cast<const void*>(&begin), &self)) dlopen(self.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);
}

namespace {
struct Program {
  std::string source, cubin;
};

// What the generators wrote, without the prelude in front. One chip's may begin like another's.
std::string without_prelude(const std::string& text) {
  size_t longest = 0;
  for (const cuda::Chip& chip : cuda::chips())
    if (const std::string front = cuda::prelude(chip); starts_with(text, front)) longest = std::max(longest, front.size());
  return text.substr(longest);
}
}  // namespace

extern "C" {
int nvrtcVersion(int* major, int* minor) { return *major = 12, *minor = 99, 0; }
const char* nvrtcGetErrorString(int) { return "an error"; }
int nvrtcGetNumSupportedArchs(int* n) { return *n = int(cuda::chips().size()), 0; }
int nvrtcGetSupportedArchs(int* archs) {
  for (const cuda::Chip& chip : cuda::chips()) *archs++ = chip.major * 10 + chip.minor;
  return 0;
}
int nvrtcCreateProgram(Program** p, const char* source, const char*, int, const char* const*, const char* const*) {
  return *p = new Program{without_prelude(source), ""}, 0;
}
int nvrtcDestroyProgram(Program** p) { return delete *p, 0; }
int nvrtcCompileProgram(Program* p, int, const char* const*) {
  return p->cubin = compile_for_emulator(p->source, cuda::chips()[0], {}).value().cubin, 0;
}
int nvrtcGetProgramLogSize(Program*, size_t* bytes) { return *bytes = 0, 0; }
int nvrtcGetProgramLog(Program*, char*) { return 0; }
int nvrtcGetCUBINSize(Program* p, size_t* bytes) { return *bytes = p->cubin.size(), 0; }
int nvrtcGetCUBIN(Program* p, char* cubin) { return std::memcpy(cubin, p->cubin.data(), p->cubin.size()), 0; }
}
