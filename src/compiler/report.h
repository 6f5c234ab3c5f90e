// The build report: what became of the model, as the JSON that the engine keeps and `tenon inspect` shows.
#pragma once

#include "engine/content.h"
#include "passes/pipeline.h"

namespace tenon {

// Passes with node counts; nodes with their kernels, those that these were compared with, the ONNX nodes that each does, fallbacks with reasons; profiles;
// planned memory. No times: the same build gives the same bytes.
std::string make_report(const EngineContent& content, const PassReport& passes);
// Fallback nodes, one line each: "NonZero 'nz': its result's size depends on data".
std::vector<std::string> list_fallbacks(const EngineContent& content);
// The same for people: nodes of one operator with one reason share a line, which names the first few and the backend that
// runs them: "NonZero on reference, 3 nodes ('a', 'b', 'c'): its result's size depends on data".
std::vector<std::string> summarize_fallbacks(const EngineContent& content);

}  // namespace tenon
