// Import: the bytes of an ONNX model to a Graph at the newest opset.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace tenon::onnx {

struct UnsupportedNode {
  std::string name, op, reason;
};

struct ImportedModel {
  Graph graph;
  int64_t opset = 0;
  std::string producer;
  std::map<std::string, std::string> metadata;  // metadata_props
};

constexpr int64_t kOldestOpset = 7, kNewestOpset = 28;

// Reads a model file; weights stay in the mapped file. Errors: not_found, io; invalid_model, saying what is wrong and
// where; unsupported, listing every node that cannot be run.
Result<ImportedModel> import_file(const std::string& path);
// The same from bytes. `owner` keeps them alive (null: tensors are copied); `folder` holds external data ("": none).
Result<ImportedModel> import_bytes(std::span<const uint8_t> bytes, std::shared_ptr<const void> owner,
                                   const std::string& folder);

}  // namespace tenon::onnx
