#include "ops/attr.h"

#include <algorithm>
#include <cstring>

namespace tenon {

const char* attr_kind_name(AttrKind k) {
  static const char* const names[] = {"none", "int", "float", "string", "ints", "floats", "strings", "tensor", "graph"};
  return names[int(k)];
}

bool same_attr(const AttrValue& a, const AttrValue& b) {
  auto same_bits = [](const float* x, const float* y, size_t n) { return n == 0 || std::memcmp(x, y, n * sizeof *x) == 0; };
  return std::visit(
      [&](const auto& x) {
        using T = std::decay_t<decltype(x)>;
        const T* y = std::get_if<T>(&b);
        if (!y) return false;
        if constexpr (std::is_same_v<T, float>) return same_bits(&x, y, 1);
        else if constexpr (std::is_same_v<T, Floats>) return x.size() == y->size() && same_bits(x.data(), y->data(), x.size());
        else if constexpr (std::is_same_v<T, Tensor>) return bool(x) == bool(*y) && (!x || x.identical(*y));
        else return x == *y;
      },
      a);
}

Attrs::Attrs(std::initializer_list<std::pair<std::string, AttrValue>> items) {
  for (const auto& [name, value] : items) set(name, value);
}

static auto lower(auto& items, std::string_view name) {
  return std::lower_bound(items.begin(), items.end(), name, [](const auto& x, std::string_view n) { return x.first < n; });
}

const AttrValue* Attrs::find(std::string_view name) const {
  auto it = lower(items_, name);
  return it != items_.end() && it->first == name ? &it->second : nullptr;
}

void Attrs::set(std::string name, AttrValue value) {
  auto it = lower(items_, name);
  if (it != items_.end() && it->first == name) it->second = std::move(value);
  else items_.insert(it, {std::move(name), std::move(value)});
}

void Attrs::erase(std::string_view name) {
  auto it = lower(items_, name);
  if (it != items_.end() && it->first == name) items_.erase(it);
}

template <class T>
static const T& get(const Attrs& attrs, std::string_view name) {
  static const T empty{};
  const AttrValue* v = attrs.find(name);
  const T* p = v ? std::get_if<T>(v) : nullptr;
  return p ? *p : empty;
}

int64_t Attrs::i(std::string_view name, int64_t fallback) const {
  const AttrValue* v = find(name);
  const int64_t* p = v ? std::get_if<int64_t>(v) : nullptr;
  return p ? *p : fallback;
}

float Attrs::f(std::string_view name, float fallback) const {
  const AttrValue* v = find(name);
  const float* p = v ? std::get_if<float>(v) : nullptr;
  return p ? *p : fallback;
}

const std::string& Attrs::s(std::string_view name) const { return get<std::string>(*this, name); }
const Ints& Attrs::ints(std::string_view name) const { return get<Ints>(*this, name); }
const Floats& Attrs::floats(std::string_view name) const { return get<Floats>(*this, name); }
const Strings& Attrs::strings(std::string_view name) const { return get<Strings>(*this, name); }
GraphPtr Attrs::graph(std::string_view name) const { return get<GraphPtr>(*this, name); }

const Tensor* Attrs::tensor(std::string_view name) const {
  const AttrValue* v = find(name);
  return v ? std::get_if<Tensor>(v) : nullptr;
}

}  // namespace tenon
