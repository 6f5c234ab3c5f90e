// For tests: which instructions NVIDIA's compiler has written. Reads a cubin, an ELF file with a section ".text.NAME" for
// each kernel, whose instructions have 16 bytes since sm_70. Their lowest nine bits say what they do; three more, in what
// form. NVIDIA publishes the names and not the numbers, which here are those that nvdisasm shows beside them.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <string>

namespace tenon::cuda {

namespace sass {
constexpr int kFfma = 0x023;                    // multiply-add of f32 on the CUDA cores
constexpr int kHmma = 0x03c, kImma = 0x037;     // mma.sync
constexpr int kHgmma = 0x1f0, kIgmma = 0x1f1;   // wgmma
constexpr int kLocalLoad = 0x183, kLocalStore = 0x187;
}  // namespace sass

// How often each instruction stands in each kernel; empty where the cubin is none.
inline std::map<std::string, std::map<int, int>> instructions(const std::string& cubin) {
  std::map<std::string, std::map<int, int>> out;
  const auto number = [&](uint64_t at, size_t bytes) {
    uint64_t v = 0;
    if (at <= cubin.size() && bytes <= cubin.size() - at) std::memcpy(&v, cubin.data() + at, bytes);
    return v;
  };
  if (cubin.compare(0, 4, "\x7f" "ELF") != 0) return out;
  const uint64_t sections = number(0x28, 8), each = number(0x3a, 2), count = number(0x3c, 2);
  const uint64_t names = number(sections + number(0x3e, 2) * each + 0x18, 8);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t header = sections + i * each, name = names + number(header, 4);
    if (name >= cubin.size()) continue;
    const std::string title = cubin.c_str() + name, prefix = ".text.";
    if (title.compare(0, prefix.size(), prefix) != 0) continue;
    auto& counts = out[title.substr(prefix.size())];
    const uint64_t begin = number(header + 0x18, 8), size = number(header + 0x20, 8);
    for (uint64_t at = begin; at + 16 <= begin + size && at + 16 <= cubin.size(); at += 16) ++counts[int(number(at, 2) & 0x1ff)];
  }
  return out;
}

}  // namespace tenon::cuda
