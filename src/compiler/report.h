// The build report: what became of the model, as the JSON that the engine keeps and `tenon inspect` shows.
#pragma once

#include "engine/content.h"
#include "passes/pipeline.h"

namespace tenon {

// Passes with node counts; nodes with their kernels, those that these were compared with, the ONNX nodes that each does, fallbacks with reasons; profiles;
// planned memory. No times: the same build gives the same bytes.
std::string make_report(const EngineContent& content, const PassReport& passes);
// What stays float32 in an engine of a smaller precision, from its report.
struct KeptSummary {
  std::vector<std::string> lines;  // one a rule: "1 node, range: Mul 'm' (reached 1e+06 on golden inputs)"
  std::vector<KeptFloat> nodes;    // each of them
  std::string observed, rounding;  // as in PassReport
};
KeptSummary summarize_kept(const std::string& report);
// Fallback nodes, one line each: "NonZero 'nz': its result's size depends on data".
std::vector<std::string> list_fallbacks(const EngineContent& content);
// The same for people: nodes of one operator with one reason share a line, which names the first few and the backend that
// runs them: "NonZero on reference, 3 nodes ('a', 'b', 'c'): its result's size depends on data".
std::vector<std::string> summarize_fallbacks(const EngineContent& content);

}  // namespace tenon
