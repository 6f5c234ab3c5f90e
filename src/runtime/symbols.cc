#include "runtime/symbols.h"

namespace tenon {

std::optional<int64_t> SymbolValues::find(const std::string& symbol) const {
  auto it = values_.find(symbol);
  return it == values_.end() ? std::nullopt : std::optional(it->second);
}

std::optional<int64_t> SymbolValues::eval(const Dim& d) const {
  if (d.is_const()) return d.constant();
  return d.eval([this](const std::string& s) { return find(s); });
}

Status SymbolValues::match(const ValueInfo& declared, const Shape& actual) {
  if (!declared.ranked) return {};
  auto shown = [&] { return cat("shape ", actual, ", expected ", to_string(declared.shape)); };
  if (declared.shape.size() != actual.size()) return invalid_argument(shown());
  for (size_t i = 0; i < actual.size(); ++i) {
    const Dim& d = declared.shape[i];
    if (d.is_symbol() && !find(d.to_string())) {
      bind(d.to_string(), actual[i]);
      continue;
    }
    auto v = eval(d);
    if (v && *v != actual[i])
      return invalid_argument(shown(), ": dimension ", i, " is ", actual[i],
                              d.is_const() ? std::string() : cat(" where ", d.to_string(), " is ", *v));
  }
  return {};
}

std::optional<Shape> SymbolValues::eval(const ValueInfo& info) const {
  if (!info.ranked) return std::nullopt;
  Shape out;
  for (const Dim& d : info.shape) {
    auto v = eval(d);
    if (!v) return std::nullopt;
    out.push_back(*v);
  }
  return out;
}

Status SymbolValues::check(const OptimizationProfile& profile) const {
  for (const auto& [symbol, range] : profile.dims) {
    auto v = find(symbol);
    if (v && (*v < range.min || *v > range.max))
      return invalid_argument("'", symbol, "' is ", *v, ", the engine was built for ", range.min, " to ",
                              range.max == kUnbounded ? std::string("any size") : cat(range.max));
  }
  return {};
}

}  // namespace tenon
