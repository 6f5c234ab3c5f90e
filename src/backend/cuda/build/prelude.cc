#include "backend/cuda/build/prelude.h"

#include <cstring>

namespace tenon::cuda {

extern const PreludeFile kPrelude[];  // embedded; ends with a null name

std::span<const PreludeFile> prelude_files() {
  size_t n = 0;
  while (kPrelude[n].name) ++n;
  return {kPrelude, n};
}

std::string prelude(const Chip& chip) {
  std::string out;
  for (const PreludeFile& f : prelude_files())
    if (std::strcmp(f.name, "hopper.cuh") != 0 || chip.wgmma) out += f.text;
  return out;
}

}  // namespace tenon::cuda
