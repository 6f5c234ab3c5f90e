#include "passes/pipeline.h"

#include <algorithm>
#include <chrono>

#include "ir/infer.h"
#include "ir/verifier.h"
#include "passes/cleanup/common_subexpressions.h"
#include "passes/cleanup/control_flow.h"
#include "passes/cleanup/fold_constants.h"
#include "passes/cleanup/fold_shapes.h"
#include "passes/cleanup/remove_noops.h"
#include "passes/cleanup/reshapes.h"
#include "passes/cleanup/split_einsum.h"
#include "passes/cleanup/transposes.h"
#include "passes/cleanup/unflatten_gemm.h"
#include "passes/fusion/find_attention.h"
#include "passes/fusion/find_gelu.h"
#include "passes/fusion/find_norms.h"
#include "passes/fusion/find_rotary.h"
#include "passes/fusion/fold_pads.h"
#include "passes/fusion/fold_scales.h"
#include "passes/fusion/fuse_anchor.h"
#include "passes/fusion/fuse_pointwise.h"
#include "passes/fusion/merge_products.h"
#include "passes/layout/channels_last.h"
#include "passes/precision/lower_precision.h"

namespace tenon {

static Result<Graph> remove_dead_nodes(Graph g, const PassOptions&) {
  remove_dead(g);
  return g;
}

const std::vector<Pass>& all_passes() {
  static const std::vector<Pass> passes = {
      {"channels_last", "convolutions and pools on [N, spatial..., C]", channels_last},
      {"common_subexpressions", "equal nodes and constants become one", common_subexpressions},
      {"control_flow", "Ifs on constants become a branch; all passes over the bodies of If, Loop and Scan", control_flow},
      {"find_attention", "recognises Attention spelled out", find_attention},
      {"find_gelu", "recognises Gelu spelled out", find_gelu},
      {"find_norms", "recognises LayerNormalization and RMSNormalization spelled out", find_norms},
      {"find_rotary", "recognises rotary position embedding spelled out", find_rotary},
      {"fold_constants", "runs nodes on constants at build time", fold_constants},
      {"fold_late_shapes", "the same as fold_shapes with sizes that the data decides", fold_late_shapes},
      {"fold_pads", "Pad goes into Conv and AveragePool", fold_pads},
      {"fold_scales", "BatchNormalization, scales and shifts go into weights", fold_scales},
      {"fold_shapes", "shape arithmetic becomes constants and tenon.Dims", fold_shapes},
      {"fuse_anchor", "convolutions and products with the elementwise nodes behind them", fuse_anchor},
      {"fuse_pointwise", "groups of elementwise nodes become one loop", fuse_pointwise},
      {"lower_precision", "float32 arithmetic in fp16 or bf16, where that was asked for", lower_precision},
      {"merge_products", "products of one input that Attention reads become one", merge_products},
      {"remove_dead", "drops what no output needs", remove_dead_nodes},
      {"remove_noops", "drops nodes that give back their input", remove_noops},
      {"reshapes", "chains of views become one Reshape", reshapes},
      {"split_einsum", "Einsum becomes Transpose, MatMul and Mul", split_einsum},
      {"transposes", "merges, moves and cancels Transposes", transposes},
      {"unflatten_gemm", "Gemm of a flattened tensor becomes MatMul of the tensor", unflatten_gemm},
  };
  return passes;
}

const Pass* find_pass(std::string_view name) {
  for (const Pass& p : all_passes())
    if (p.name == name) return &p;
  return nullptr;
}

Result<Graph> run_pass(const Pass& pass, Graph g, const PassOptions& options) {
  auto out = pass.run(std::move(g), options);
  if (!out.ok()) return out.status().with_prefix(cat("pass ", pass.name, ": "));
  TRY(infer_graph(*out).with_prefix(cat("after pass ", pass.name, ": ")));
  TRY(verify(*out).with_prefix(cat("after pass ", pass.name, ": ")));
  return out;
}

// Runs passes by name: skips, times, counts and dumps.
static Result<Graph> run(std::string_view name, Graph g, const PassOptions& options, PassReport* report) {
  const Pass* pass = find_pass(name);
  CHECK(pass != nullptr);
  if (std::find(options.skip.begin(), options.skip.end(), name) != options.skip.end()) return g;
  const size_t before = g.nodes.size();
  const auto start = std::chrono::steady_clock::now();
  g = TRY(run_pass(*pass, std::move(g), options));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (report) report->passes.push_back({pass->name, before, g.nodes.size(), seconds.count()});
  if (options.dump) options.dump(pass->name, g);
  return g;
}

Result<Graph> optimize(Graph g, const PassOptions& options, PassReport* report) {
  for (const std::string& name : options.skip)
    if (!find_pass(name)) {
      std::vector<std::string> names;
      for (const Pass& p : all_passes()) names.push_back(p.name);
      return invalid_argument("no pass is called '", name, "'; there are: ", join(names, ", "));
    }
  TRY(infer_graph(g));
  PassOptions seen = options;
  const auto pass = [&](std::string_view name) -> Status {
    auto out = run(name, std::move(g), seen, report);
    if (!out.ok()) return out.status();
    g = std::move(out).value();
    return {};
  };
  // What is known at build time is computed first: it decides what later passes can tell.
  TRY(pass("remove_dead"));
  TRY(pass("fold_constants"));
  TRY(pass("fold_shapes"));
  TRY(pass("control_flow"));
  // Then one spelling for each thing, so that patterns find it.
  TRY(pass("split_einsum"));
  TRY(pass("remove_noops"));
  TRY(pass("reshapes"));
  TRY(pass("unflatten_gemm"));
  TRY(pass("reshapes"));
  TRY(pass("common_subexpressions"));
  TRY(pass("find_norms"));
  TRY(pass("find_gelu"));
  // Weights take over what is constant around them, while channels are dimension 1.
  TRY(pass("fold_pads"));
  TRY(pass("fold_scales"));
  TRY(pass("remove_noops"));
  // While attention is in parts, for which the host has fast kernels: its scores are its own affair afterwards.
  if (options.observe && options.precision == "fp16") seen.observe = [ranges = options.observe(g)](const Graph&) { return ranges; };
  // One node, as a norm is, and while its Transposes are still where the exporter put them.
  TRY(pass("find_attention"));
  TRY(pass("merge_products"));
  TRY(pass("lower_precision"));
  TRY(pass("remove_noops"));  // Casts between inputs or outputs and what has their type now
  // Layout before fusion: a Transpose cannot move through a fused node.
  TRY(pass("channels_last"));
  TRY(pass("transposes"));
  TRY(pass("find_attention"));  // Transposes have come nearer to it
  // The layout has put constants and views in new places.
  TRY(pass("fold_constants"));
  TRY(pass("reshapes"));
  TRY(pass("fold_scales"));
  TRY(pass("common_subexpressions"));
  TRY(pass("find_rotary"));
  // Anchors choose first: an elementwise node costs nothing behind a product, and a pass over memory elsewhere.
  TRY(pass("fuse_anchor"));
  TRY(pass("fuse_pointwise"));
  TRY(pass("fold_late_shapes"));
  return g;
}

}  // namespace tenon
