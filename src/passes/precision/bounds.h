// Bounds: between which numbers a value lies whatever the inputs are, and how that follows through a scalar program.
#pragma once

#include <limits>
#include <span>

#include "ops/scalar.h"

namespace tenon {

struct Bounds {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  // Some input within its own bounds comes near both ends. Not so behind a product: the sum of all magnitudes is a limit
  // that hardly any input reaches.
  bool reached = true;

  bool finite() const { return low >= -std::numeric_limits<double>::max() && high <= std::numeric_limits<double>::max(); }
  double largest() const { return low < 0 && -low > high ? -low : high < 0 ? -low : high; }
  bool operator==(const Bounds&) const = default;
};

Bounds hull(const Bounds& a, const Bounds& b);

// What the program's output lies between. Two inputs with the same number in `same` are one value, so that x * x is a
// square.
Bounds scalar_bounds(const ScalarProgram& program, std::span<const Bounds> inputs, std::span<const int> same);

}  // namespace tenon
