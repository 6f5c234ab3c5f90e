// What the subcommands share: a model given as ONNX or as an engine, opened on a device, and inputs for it.
#pragma once

#include <memory>
#include <optional>

#include "base/mapped_file.h"
#include "command.h"
#include "compiler/compile.h"
#include "runtime/engine.h"

namespace tenon::cli {

// --device, --target, --precision, --shape, --skip-pass: how a model is built.
void declare_build_options(Options& o);
// --threads, --workspace.
void declare_context_options(Options& o);
// --input, --random, --seed.
void declare_input_options(Options& o);

struct BuildChoice {
  BuildOptions options;
  int ordinal = 0;
};
Result<BuildChoice> build_choice(const Options& o);
Result<std::vector<ShapeSpec>> shape_specs(const Options& o);
ContextOptions context_options(const Options& o);

bool is_engine(const std::string& path, std::span<const uint8_t> bytes);
// As MappedFile::open; where there is no such file, the message names one that is spelled alike.
Result<std::shared_ptr<const MappedFile>> open_file(const std::string& path);

// An engine from a file, or built in memory from an ONNX model.
struct OpenModel {
  std::shared_ptr<LoadedEngine> engine;
  bool built = false;
};
Result<OpenModel> open_model(const Options& o, const std::string& path);
Result<std::shared_ptr<LoadedEngine>> load_built(std::vector<uint8_t> bytes, int ordinal);

// Concrete shapes of the inputs: what --shape says, else the first profile's optimum.
Result<std::vector<Shape>> input_shapes(const Graph& g, const std::vector<OptimizationProfile>& profiles,
                                        const std::vector<ShapeSpec>& specs);
// Random data of those shapes.
Result<std::vector<Tensor>> random_inputs(const Graph& g, const std::vector<Shape>& shapes, int64_t seed);
// --input files where given; the others random if `fill`, else an error that names them.
Result<std::vector<Tensor>> given_inputs(const Options& o, const Graph& g, const std::vector<OptimizationProfile>& profiles, bool fill);

// "Conv"; of fused nodes "Conv+Add+Relu".
std::string show_op(const Node& node);
// "f32[batch, 3, 224, 224]"
std::string show_type(const ValueInfo& info);
std::string show_tensor(const Tensor& t);
// How many runs of a batch-first model one run is: the first dimension of the first input; 1 for scalars.
int64_t batch_of(const std::vector<Tensor>& inputs);
std::string device_text(const LoadedEngine& engine);

// Kernels by family, the part of their names before the first dot: {"conv": 53, "reference": 2}. Bodies included.
std::map<std::string, int> kernel_families(const Graph& g, const std::vector<StepPlan>& steps);

}  // namespace tenon::cli
