// The engine file's layout, in numbers. docs/engine-format.md tells it in prose.
//
//   header     64 bytes, below
//   manifest   JSON: model, target, inputs, outputs, profiles, list of sections
//   sections   each at a multiple of 4096: graph, plan, weights, report, golden
#pragma once

#include <cstdint>

namespace tenon::engine_format {

// Bytes that text tools mangle (a high bit, CR LF, LF) make damage by a wrong transfer visible, as PNG's magic does.
constexpr uint8_t kMagic[8] = {0x8f, 'T', 'E', 'N', 'O', 'N', '\r', '\n'};
constexpr uint32_t kVersion = 1;
constexpr uint64_t kAlignment = 4096;
constexpr uint64_t kBlobAlignment = 64;

// Little-endian.
struct Header {
  uint8_t magic[8];
  uint32_t version;
  uint32_t header_bytes;      // 64
  uint64_t manifest_offset;
  uint64_t manifest_bytes;
  uint64_t manifest_hash;     // XXH3-64
  uint64_t file_bytes;
  uint8_t zero[16];
};
static_assert(sizeof(Header) == 64);

}  // namespace tenon::engine_format
