#include "passes/cleanup/common_subexpressions.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "passes/known.h"
#include "passes/rewriter.h"

namespace tenon {

template <class T>
static void append_bytes(std::string& key, const T* data, size_t n) {
  append_text(key, int64_t(n));
  key += ':';
  if (n) key.append(reinterpret_cast<const char*>(data), n * sizeof(T));
}

// A tensor's type and shape, and enough of its bytes to tell most apart.
static void append_tensor(std::string& key, const Tensor& t) {
  constexpr int64_t kSample = 256;
  key += name(t.dtype());
  append_text(key, std::span<const int64_t>(t.shape()));
  const int64_t n = t.bytes();
  append_bytes(key, t.as<char>(), size_t(std::min(n, kSample)));
  if (n > kSample) append_bytes(key, t.as<char>() + (n - kSample) / 2, size_t(kSample));
}

// False: the node cannot be compared.
static bool append_attrs(std::string& key, const Attrs& attrs) {
  for (const auto& [name, value] : attrs) {
    key += name;
    key += char('0' + int(kind(value)));
    if (auto* i = std::get_if<int64_t>(&value)) append_bytes(key, i, 1);
    else if (auto* f = std::get_if<float>(&value)) append_bytes(key, f, 1);
    else if (auto* s = std::get_if<std::string>(&value)) append_bytes(key, s->data(), s->size());
    else if (auto* is = std::get_if<Ints>(&value)) append_bytes(key, is->data(), is->size());
    else if (auto* fs = std::get_if<Floats>(&value)) append_bytes(key, fs->data(), fs->size());
    else if (auto* ss = std::get_if<Strings>(&value))
      for (const std::string& s2 : *ss) append_bytes(key, s2.data(), s2.size());
    else return false;
  }
  return true;
}

static void merge_constants(Graph& g) {
  std::unordered_map<std::string, std::vector<ValueId>> known;
  std::vector<ValueId> to(g.values.size());
  bool any = false;
  for (ValueId v = 0; v < ValueId(g.values.size()); ++v) {
    to[size_t(v)] = v;
    if (!g.is_constant(v)) continue;
    std::string key;
    append_tensor(key, g.constant(v));
    std::vector<ValueId>& same_key = known[key];
    for (ValueId w : same_key)
      if (g.constant(w).data() == g.constant(v).data() || g.constant(w).identical(g.constant(v))) {
        to[size_t(v)] = w;
        any = true;
        break;
      }
    if (to[size_t(v)] == v) same_key.push_back(v);
  }
  if (!any) return;
  for (Node& n : g.nodes)
    for (ValueId& v : n.inputs)
      if (v != kNoValue) v = to[size_t(v)];
  for (ValueId& v : g.outputs) v = to[size_t(v)];
}

Result<Graph> common_subexpressions(Graph g, const PassOptions&) {
  merge_constants(g);
  Rewriter r(g);
  std::unordered_map<std::string, std::vector<ValueId>> known;
  TRY(r.run([&](const Node& n) -> Result<bool> {
    if (!n.op->deterministic) return false;
    std::string key = cat(n.op->domain, ".", n.op->name, "(");
    append_bytes(key, n.inputs.data(), n.inputs.size());
    for (ValueId v : n.outputs) key += v == kNoValue ? '_' : 'o';
    if (!append_attrs(key, n.attrs)) return false;
    auto [it, added] = known.try_emplace(std::move(key), n.outputs);
    if (added) return false;
    for (size_t i = 0; i < n.outputs.size(); ++i)
      if (n.outputs[i] != kNoValue) r.replace(n.outputs[i], it->second[i]);
    return true;
  }));
  remove_dead(g);
  return g;
}

}  // namespace tenon
