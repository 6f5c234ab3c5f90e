// Dim: one dimension of a symbolic shape, a polynomial with integer coefficients over symbols and a few opaque
// functions: 224, batch, 2*seq+1, div(seq+1, 2), max(a, b). Kept in a canonical form, so equal text means equal value.
// Symbols stand for sizes and are never negative.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"

namespace tenon {

class Dim {
 public:
  Dim(int64_t value = 0) : constant_(value) {}
  // REQUIRES: is_symbol_name(name).
  static Dim symbol(const std::string& name);
  // Letters, digits, '_', '.', starting with a letter or '_'; not one of the function names.
  static bool is_symbol_name(std::string_view name);
  static Result<Dim> parse(std::string_view text);

  bool is_const() const { return poly_ == nullptr; }
  bool is(int64_t v) const { return is_const() && constant_ == v; }
  int64_t constant() const { return constant_; }  // REQUIRES: is_const()
  bool is_symbol() const;                         // one plain symbol
  std::string to_string() const;
  void collect_symbols(std::set<std::string>& out) const;

  using Lookup = std::function<std::optional<int64_t>(const std::string& symbol)>;
  // The value, when every symbol has one and every function is defined there (no division by zero; a broadcast of
  // unequal sizes is undefined).
  std::optional<int64_t> eval(const Lookup& lookup) const;
  using Replace = std::function<std::optional<Dim>(const std::string& symbol)>;
  Dim substitute(const Replace& replace) const;
  // A bound that holds whatever the symbols are, if one is easily seen.
  std::optional<int64_t> lower_bound() const;

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  friend bool operator==(const Dim& a, const Dim& b);
  friend Dim floor_div(const Dim& a, const Dim& b);
  friend Dim mod(const Dim& a, const Dim& b);
  friend Dim min(const Dim& a, const Dim& b);
  friend Dim max(const Dim& a, const Dim& b);
  // The common size of two dimensions that are broadcast against each other; equal, or one of them 1.
  friend Dim broadcast(const Dim& a, const Dim& b);

  struct Poly;  // in dim.cc

 private:
  explicit Dim(std::shared_ptr<const Poly> poly);
  int64_t constant_ = 0;
  std::shared_ptr<const Poly> poly_;  // null: a constant
  friend struct DimImpl;
};

Dim floor_div(const Dim& a, const Dim& b);
Dim mod(const Dim& a, const Dim& b);
Dim min(const Dim& a, const Dim& b);
Dim max(const Dim& a, const Dim& b);
Dim broadcast(const Dim& a, const Dim& b);
inline Dim ceil_div(const Dim& a, int64_t b) { return floor_div(a + Dim(b - 1), Dim(b)); }

using SymShape = std::vector<Dim>;

SymShape to_sym(const std::vector<int64_t>& shape);
// The concrete shape when all dimensions are constants.
std::optional<std::vector<int64_t>> to_concrete(const SymShape& shape);
Dim product(const SymShape& shape, size_t begin = 0, size_t end = size_t(-1));
std::string to_string(const SymShape& shape);  // "[batch, 3, 224, 224]"

}  // namespace tenon
