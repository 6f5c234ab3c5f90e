// Writing and reading engine files.
#pragma once

#include <memory>
#include <string>

#include "base/mapped_file.h"
#include "engine/content.h"

namespace tenon {

constexpr const char* kTenonVersion = "0.1.0";

// The engine's bytes: the same content gives the same bytes.
Result<std::vector<uint8_t>> serialize_engine(const EngineContent& content);

struct EngineReadOptions {
  bool verify_checksums = true;
};
// Reads an engine; weights stay where they are (`owner` keeps them alive). Errors: data_loss (not an engine, truncated,
// damaged: says which section), incompatible (another version), each with what to do.
Result<EngineContent> read_engine(std::span<const uint8_t> bytes, std::shared_ptr<const void> owner,
                                  const EngineReadOptions& options = {});
// The manifest's JSON text alone, which needs neither device nor weights.
Result<std::string> read_manifest(std::span<const uint8_t> bytes);
// Whether the bytes begin like an engine.
bool looks_like_engine(std::span<const uint8_t> bytes);

}  // namespace tenon
