// The device text that stands in front of every generated source; src/CMakeLists.txt embeds it from prelude/.
#pragma once

#include <span>
#include <string>

#include "backend/cuda/chip.h"

namespace tenon::cuda {

struct PreludeFile {
  const char* name;  // "base.cuh"
  const char* text;
};
// In the order in which they stand.
std::span<const PreludeFile> prelude_files();
// All that a kernel for this chip may use. Files that the chip has no use for are left out.
std::string prelude(const Chip& chip);

}  // namespace tenon::cuda
