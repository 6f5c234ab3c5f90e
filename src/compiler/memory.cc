#include "compiler/memory.h"

#include <xxhash.h>

#include <algorithm>
#include <set>

#include "backend/backend.h"
#include "engine/liveness.h"
#include "engine/memory_plan.h"
#include "engine/step_kind.h"

namespace tenon {

bool has_maximum(const OptimizationProfile& profile) {
  return std::all_of(profile.dims.begin(), profile.dims.end(), [](auto& d) { return d.second.max != kUnbounded; });
}

std::vector<bool> values_on_device(const Graph& g, const std::vector<StepPlan>& steps, const std::string& backend) {
  std::vector<bool> out(g.values.size());
  bool any = false;
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    const Node& node = g.nodes[n];
    const StepKind kind = step_kind(node);
    const bool copied = kind == StepKind::copy && node.attrs.s("to") != "host";
    const bool there = copied || (kind == StepKind::kernel && steps[n].image.backend == backend) ||
                       (kind == StepKind::view && node.inputs[0] != kNoValue && out[size_t(node.inputs[0])]);
    any = any || copied;
    for (ValueId v : node.outputs)
      if (v != kNoValue) out[size_t(v)] = there;
  }
  return any ? out : std::vector<bool>();
}

using SizeOf = Dim::Lookup;

// Where the symbols tell them, and they are no absurd numbers.
static std::vector<std::optional<Shape>> shapes_of(const Graph& g, const SizeOf& size_of) {
  std::vector<std::optional<Shape>> out;
  for (const Value& value : g.values) {
    Shape shape;
    bool known = value.info.ranked;
    for (const Dim& d : value.info.shape) {
      auto size = d.eval(size_of);
      known = known && size && *size >= 0;
      shape.push_back(size.value_or(0));
    }
    const int64_t elements = known ? num_elements(shape) : -1;
    out.push_back(elements < 0 || elements > int64_t(1) << 50 ? std::nullopt : std::optional(std::move(shape)));
  }
  return out;
}

// Of constants and shape arithmetic, which the runtime knows too when it binds.
static std::optional<Ints> ints_of(const Graph& g, ValueId v, const SizeOf& size_of) {
  if (g.is_constant(v)) return g.constant(v).to_ints();
  for (const Node& node : g.nodes)
    if (step_kind(node) == StepKind::dims && node.outputs[0] == v) {
      Ints out;
      for (const std::string& text : node.attrs.strings("dims")) {
        auto dim = Dim::parse(text);
        auto size = dim.ok() ? dim->eval(size_of) : std::nullopt;
        if (!size) return std::nullopt;
        out.push_back(*size);
      }
      return out;
    }
  return std::nullopt;
}

MemoryFigures plan_intermediates(const Graph& g, const std::vector<StepPlan>& steps, const OptimizationProfile& profile, bool at_maximum,
                                 const std::vector<bool>& marked, bool lend) {
  auto size_of = [&](const std::string& symbol) -> std::optional<int64_t> {
    auto it = profile.dims.find(symbol);
    if (it == profile.dims.end()) return std::nullopt;
    return at_maximum ? it->second.max : it->second.opt;
  };
  MemoryFigures out;
  const std::vector<std::optional<Shape>> shapes = shapes_of(g, size_of);
  const Liveness live = find_liveness(g, {[&](ValueId v) { return shapes[size_t(v)] ? &*shapes[size_t(v)] : nullptr; },
                                          [&](ValueId v) { return ints_of(g, v, size_of); },
                                          [&](size_t n) { return n < steps.size() && steps[n].image.strides_output; }, marked.empty()});
  std::vector<bool> elsewhere(g.values.size());  // outputs have buffers of the caller, shape arithmetic none
  std::vector<Room> rooms;
  for (ValueId v : g.outputs) {
    const auto r = size_t(live.root[size_t(v)]);
    if (!live.whole[size_t(v)] || elsewhere[r]) continue;
    elsewhere[r] = true;
    if (lend && marked[r] && shapes[r] && live.defined_at[r] >= 0) rooms.push_back({byte_size(g.values[r].info.dtype, num_elements(*shapes[r])), live.defined_at[r]});
  }
  for (const Node& node : g.nodes)
    if (step_kind(node) == StepKind::dims || (step_kind(node) == StepKind::copy && node.attrs.s("to") == "host")) elsewhere[size_t(node.outputs[0])] = true;
  std::vector<Lifetime> lifetimes;
  for (size_t v = 0; v < g.values.size(); ++v) {
    if (live.root[v] != ValueId(v) || live.defined_at[v] < 0 || elsewhere[v] || (!marked.empty() && !marked[v])) continue;
    if (!shapes[v]) ++out.unknown;
    else lifetimes.push_back({byte_size(g.values[v].info.dtype, num_elements(*shapes[v])), live.defined_at[v], live.last_use[v]});
  }
  const MemoryPlan plan = plan_memory(lifetimes, rooms);
  out.peak = plan.peak;
  out.lower_bound = plan.lower_bound;
  return out;
}

MemoryFigures plan_workspace(const Graph& g, const std::vector<StepPlan>& steps, const std::string& target, const OptimizationProfile& profile, bool at_maximum) {
  const std::vector<bool> there = target.empty() ? std::vector<bool>() : values_on_device(g, steps, backend_of(target));
  return plan_intermediates(g, steps, profile, at_maximum, there, !there.empty());
}

static bool before(const std::pair<XXH128_hash_t, int64_t>& a, const std::pair<XXH128_hash_t, int64_t>& b) {
  const int order = XXH128_cmp(&a.first, &b.first);
  return order != 0 ? order < 0 : a.second < b.second;
}

int64_t weight_bytes(const Graph& g, const std::vector<StepPlan>& steps, const std::string& backend) {
  std::vector<bool> read(g.values.size());
  std::set<std::pair<XXH128_hash_t, int64_t>, decltype(&before)> seen(&before);
  int64_t bytes = 0;
  const auto count = [&](const Tensor& t) {
    if (seen.insert({XXH3_128bits(t.data(), size_t(t.bytes())), t.bytes()}).second) bytes += t.bytes();
  };
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    if (!backend.empty() && (step_kind(g.nodes[n]) != StepKind::kernel || steps[n].image.backend != backend)) continue;
    std::vector<int> gone;
    if (n < steps.size()) {
      gone = steps[n].image.absorbed_inputs;
      for (const Tensor& t : steps[n].image.data) count(t);
    }
    for (size_t i = 0; i < g.nodes[n].inputs.size(); ++i)
      if (g.nodes[n].inputs[i] != kNoValue && std::find(gone.begin(), gone.end(), int(i)) == gone.end())
        read[size_t(g.nodes[n].inputs[i])] = true;
  }
  for (size_t v = 0; v < g.values.size(); ++v)
    if (read[v] && g.values[v].is_constant()) count(g.values[v].info.constant);
  return bytes;
}

}  // namespace tenon
