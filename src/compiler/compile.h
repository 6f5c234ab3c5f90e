// compile: an ONNX model in, an engine out. The spine of the build.
#pragma once

#include <functional>

#include "autotune/tuner.h"
#include "compiler/io_types.h"
#include "compiler/shapes.h"
#include "onnx/import.h"
#include "passes/pipeline.h"

namespace tenon {

struct BuildOptions {
  std::string device = "cpu";
  std::string target;                // "" is this machine's
  std::string precision = "fp32";
  std::vector<ShapeSpec> shapes;
  std::vector<IoType> io_types;      // of inputs and outputs; without: the model's
  std::vector<std::string> pins;     // "GLOB=TYPE" of nodes: fp32, or the precision, whatever the rules say
  PassOptions passes;
  std::string model_name;
  bool golden = true;                // compute and store golden outputs where that is quick
  TuneOptions tuning;
  std::function<void(const TuneProgress&)> on_tune;  // what the progress of stage "tune" cannot say; called before it
};

// Where a build stands: called at the start of each stage and now and then within; `total` 0 where not counted.
// Returning false stops the build with `cancelled`.
using Progress = std::function<bool(const char* stage, int64_t done, int64_t total)>;

struct BuildResult {
  EngineContent content;
  std::vector<uint8_t> bytes;
  PassReport passes;
  TuneReport tuning;
};

// Errors: those of the import; invalid_argument for options that do not fit the model; no_kernel.
Result<BuildResult> compile_file(const std::string& path, const BuildOptions& options, const Progress& progress = {});
Result<BuildResult> compile_bytes(std::span<const uint8_t> bytes, const std::string& folder, const BuildOptions& options,
                                  const Progress& progress = {});
// From a graph that is imported already; `hash` identifies the model in the engine.
Result<BuildResult> compile_model(onnx::ImportedModel model, const std::string& hash, const BuildOptions& options,
                                  const Progress& progress = {});

}  // namespace tenon
