// Finds every node of a model that Tenon cannot run, before anything is imported.
#pragma once

#include "onnx/import.h"
#include "onnx/scope.h"

namespace tenon::onnx {

std::vector<UnsupportedNode> find_unsupported(const ModelProto& m, const Opsets& opsets);
// One Status that lists them all.
Status unsupported_nodes(const std::vector<UnsupportedNode>& nodes);

}  // namespace tenon::onnx
