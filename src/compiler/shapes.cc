#include "compiler/shapes.h"

#include <algorithm>

#include "ir/infer.h"

namespace tenon {

static Status bad_spec(std::string_view text) {
  return Status(Code::invalid_argument, cat("'", escape(text), "' is not a shape"),
                "--shape NAME:1x3x224x224, or with a range NAME:1..8..64x3x224x224 (min..opt..max)");
}

static bool parse_range(const std::string& text, DimRange& out) {
  std::vector<int64_t> v;
  for (size_t at = 0; at <= text.size();) {
    size_t end = text.find("..", at);
    std::string part = text.substr(at, end == text.npos ? end : end - at);
    int64_t n;
    if (!parse_int(part, n) || n < 0) return false;
    v.push_back(n);
    if (end == text.npos) break;
    at = end + 2;
  }
  if (v.size() == 1) out = {v[0], v[0], v[0]};
  else if (v.size() == 2) out = {v[0], v[1], v[1]};
  else if (v.size() == 3) out = {v[0], v[1], v[2]};
  else return false;
  return out.min <= out.opt && out.opt <= out.max;
}

Result<ShapeSpec> parse_shape_spec(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == text.npos || colon == 0) return bad_spec(text);
  ShapeSpec spec{std::string(text.substr(0, colon)), {}};
  const std::string_view dims = text.substr(colon + 1);
  if (dims.empty()) return spec;  // a scalar
  for (const std::string& part : split(dims, 'x')) {
    DimRange r;
    if (!parse_range(part, r)) return bad_spec(text);
    spec.dims.push_back(r);
  }
  return spec;
}

static Result<ValueId> find_input(const Graph& g, const std::string& name) {
  std::vector<std::string> names;
  for (ValueId v : g.inputs) {
    if (g.value(v).name == name) return v;
    names.push_back(g.value(v).name);
  }
  const std::string near = nearest(name, names);
  return invalid_argument("the model has no input '", escape(name), "'; it has: ", join(names, ", "),
                          near.empty() ? "" : cat(" (did you mean '", near, "'?)"));
}

static Status apply_spec(Graph& g, const ShapeSpec& spec, OptimizationProfile& profile) {
  const ValueId v = TRY(find_input(g, spec.input));
  ValueInfo& info = g.value(v).info;
  if (!info.ranked) {
    info.ranked = true;
    for (size_t i = 0; i < spec.dims.size(); ++i) info.shape.push_back(g.fresh_symbol("in"));
  }
  if (info.shape.size() != spec.dims.size())
    return invalid_argument("input '", escape(spec.input), "' has shape ", to_string(info.shape), ", the shape given has ",
                            spec.dims.size(), spec.dims.size() == 1 ? " dimension" : " dimensions");
  for (size_t i = 0; i < spec.dims.size(); ++i) {
    const DimRange& r = spec.dims[i];
    const Dim& d = info.shape[i];
    if (d.is_const()) {
      if (r.min != d.constant() || r.max != d.constant())
        return invalid_argument("dimension ", i, " of input '", escape(spec.input), "' is ", d.constant(),
                                " in the model and cannot be ", r.min == r.max ? cat(r.min) : cat(r.min, " to ", r.max));
      continue;
    }
    auto [it, added] = profile.dims.try_emplace(d.to_string(), r);
    if (!added && (it->second.min != r.min || it->second.max != r.max))
      return invalid_argument("dimension ", i, " of input '", escape(spec.input), "' is '", d.to_string(), "', which another input gives ",
                              it->second.min, " to ", it->second.max);
  }
  return {};
}

Result<std::vector<OptimizationProfile>> apply_shapes(Graph& g, const std::vector<ShapeSpec>& specs) {
  std::map<std::string, size_t> seen;
  std::vector<OptimizationProfile> profiles(1);
  for (const ShapeSpec& s : specs) {
    const size_t k = seen[s.input]++;
    if (k >= profiles.size()) profiles.resize(k + 1);
    TRY(apply_spec(g, s, profiles[k]));
  }
  std::set<std::string> symbols;
  for (ValueId v : g.inputs)
    for (const Dim& d : g.info(v).shape) d.collect_symbols(symbols);
  std::map<std::string, int64_t> fixed;
  for (const std::string& s : symbols) {
    for (OptimizationProfile& p : profiles) p.dims.try_emplace(s, DimRange{0, 1, kUnbounded});
    const DimRange& first = profiles[0].dims[s];
    if (std::all_of(profiles.begin(), profiles.end(), [&](auto& p) { return p.dims[s].min == first.min && p.dims[s].max == first.min; }))
      fixed[s] = first.min;
  }
  if (fixed.empty()) return profiles;
  auto replace = [&](const std::string& s) {
    auto it = fixed.find(s);
    return it == fixed.end() ? std::nullopt : std::optional(Dim(it->second));
  };
  for (Value& v : g.values) {
    for (Dim& d : v.info.shape) d = d.substitute(replace);
    if (v.info.value)
      for (Dim& d : *v.info.value) d = d.substitute(replace);
  }
  for (OptimizationProfile& p : profiles)
    for (const auto& [s, value] : fixed) p.dims.erase(s);
  TRY(infer_graph(g));
  return profiles;
}

std::vector<Shape> optimum_shapes(const Graph& g, const OptimizationProfile& profile) {
  std::vector<Shape> out;
  for (ValueId v : g.inputs) {
    Shape shape;
    for (const Dim& d : g.info(v).shape) {
      auto value = d.eval([&](const std::string& s) -> std::optional<int64_t> {
        auto it = profile.dims.find(s);
        return it == profile.dims.end() ? 1 : it->second.opt;
      });
      shape.push_back(value.value_or(1));
    }
    out.push_back(shape);
  }
  return out;
}

}  // namespace tenon
