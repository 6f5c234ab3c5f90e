// Attributes of a node: a small sorted map from name to value.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/tensor.h"

namespace tenon {

struct Graph;  // ir/graph.h; attributes only carry it

using Ints = std::vector<int64_t>;
using Floats = std::vector<float>;
using Strings = std::vector<std::string>;
using GraphPtr = std::shared_ptr<const Graph>;

// monostate stands for "of this kind but without a default" in schemas only.
using AttrValue = std::variant<std::monostate, int64_t, float, std::string, Ints, Floats, Strings, Tensor, GraphPtr>;
enum class AttrKind : uint8_t { none, i, f, s, ints, floats, strings, tensor, graph };  // index of AttrValue
inline AttrKind kind(const AttrValue& v) { return AttrKind(v.index()); }
const char* attr_kind_name(AttrKind k);
// Bit for bit the same; subgraphs only when they are one object.
bool same_attr(const AttrValue& a, const AttrValue& b);

class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<std::string, AttrValue>> items);

  const AttrValue* find(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  void set(std::string name, AttrValue value);
  void erase(std::string_view name);

  // Typed reads. The schema's defaults are filled in and kinds verified when a node is made, so a missing or
  // mistyped attribute gives the fallback.
  int64_t i(std::string_view name, int64_t fallback = 0) const;
  float f(std::string_view name, float fallback = 0) const;
  const std::string& s(std::string_view name) const;
  const Ints& ints(std::string_view name) const;
  const Floats& floats(std::string_view name) const;
  const Strings& strings(std::string_view name) const;
  const Tensor* tensor(std::string_view name) const;
  GraphPtr graph(std::string_view name) const;

  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  auto begin() { return items_.begin(); }
  auto end() { return items_.end(); }
  bool empty() const { return items_.empty(); }

 private:
  std::vector<std::pair<std::string, AttrValue>> items_;  // sorted by name
};

}  // namespace tenon
