// What the symbols of shapes stand for in one run.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "engine/content.h"

namespace tenon {

class SymbolValues {
 public:
  std::optional<int64_t> find(const std::string& symbol) const;
  // Binds what `declared` leaves open and checks the rest against `actual`. Errors: invalid_argument, saying which
  // dimension; the caller puts the value's name in front.
  Status match(const ValueInfo& declared, const Shape& actual);
  // The concrete shape, when every symbol in it is bound.
  std::optional<Shape> eval(const ValueInfo& info) const;
  std::optional<int64_t> eval(const Dim& d) const;
  // Whether all symbols lie in the profile's ranges.
  Status check(const OptimizationProfile& profile) const;
  void bind(const std::string& symbol, int64_t v) { values_[symbol] = v; }

 private:
  std::map<std::string, int64_t> values_;
};

}  // namespace tenon
