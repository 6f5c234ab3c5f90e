#include "ir/text.h"

#include <map>

#include "ir/text_data.h"

namespace tenon {

namespace {

// More elements than this are kept out of the text where there is a table, and are written as base64 without.
constexpr int64_t kInlineWithTable = 8, kInline = 64;

bool plain_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '/' ||
         c == '-';
}

class Printer {
 public:
  explicit Printer(BlobTable* blobs) : blobs_(blobs) {}
  std::string take() { return std::move(out_); }

  void graph(const Graph& g, int indent) {
    if (indent > 200) {  // deeper than any import allows
      out_ += "graph \"\" () -> () {}";
      return;
    }
    out_ += "graph ";
    quoted(g.name);
    out_ += " (";
    list(g.inputs, [&](ValueId v) { typed_name(g, v); });
    out_ += ") -> (";
    for (size_t i = 0; i < g.outputs.size(); ++i) {
      if (i) out_ += ", ";
      name(g, g.outputs[i]);
      if (g.output_names[i] == g.value(g.outputs[i]).name) continue;
      out_ += ' ';
      quoted(g.output_names[i]);
    }
    out_ += ") {\n";
    for (ValueId v = 0; v < ValueId(g.values.size()); ++v)
      if (g.is_constant(v)) {
        out_.append(size_t(indent + 2), ' ');
        out_ += "const ";
        typed_name(g, v);
        out_ += " = ";
        data(g.constant(v));
        out_ += '\n';
      }
    for (const Node& n : g.nodes) {
      out_.append(size_t(indent + 2), ' ');
      node(g, n, indent + 2);
      out_ += '\n';
    }
    out_.append(size_t(indent), ' ');
    out_ += '}';
  }

  void node(const Graph& g, const Node& n, int indent) {
    list(n.outputs, [&](ValueId v) { v == kNoValue ? void(out_ += '_') : typed_name(g, v); });
    out_ += n.outputs.empty() ? "= " : " = ";
    if (!n.op->domain.empty()) out_ += n.op->domain, out_ += '.';
    out_ += n.op->name;
    out_ += '(';
    list(n.inputs, [&](ValueId v) { v == kNoValue ? void(out_ += '_') : name(g, v); });
    out_ += ')';
    bool first = true;
    for (const auto& [key, value] : n.attrs) {
      if (is_default(*n.op, key, value)) continue;
      out_ += first ? " {" : ", ";
      first = false;
      out_ += key;
      out_ += '=';
      attribute(value, indent);
    }
    if (!first) out_ += '}';
    if (!n.name.empty()) out_ += ' ', quoted(n.name);
    const bool own = n.name.empty() ? n.origins.empty() : n.origins.size() == 1 && n.origins[0] == n.name;
    if (own) return;
    out_ += " from [";
    list(n.origins, [&](const std::string& s) { quoted(s); });
    out_ += ']';
  }

 private:
  template <class List, class F>
  void list(const List& items, F each) {
    bool first = true;
    for (const auto& item : items) {
      if (!first) out_ += ", ";
      first = false;
      each(item);
    }
  }

  static bool is_default(const Op& op, const std::string& key, const AttrValue& value) {
    for (const AttrSpec& s : op.attrs)
      if (s.name == key) return s.value.index() != 0 && !s.required && same_attr(s.value, value);
    return false;
  }

  void quoted(std::string_view s) {
    out_ += '"';
    out_ += escape(s);
    out_ += '"';
  }

  void name(const Graph& g, ValueId v) {
    const std::string& s = g.value(v).name;
    out_ += '%';
    bool plain = !s.empty();
    for (char c : s) plain = plain && plain_char(c);
    if (plain) out_ += s;
    else quoted(s);
  }

  void typed_name(const Graph& g, ValueId v) {
    name(g, v);
    out_ += ": ";
    const ValueInfo& info = g.info(v);
    if (info.dtype == DType::none) {
      out_ += '?';
      return;
    }
    out_ += tenon::name(info.dtype);
    if (!info.ranked) {
      out_ += "[*]";
      return;
    }
    out_ += '[';
    list(info.shape, [&](const Dim& d) { d.is_const() ? append_text(out_, d.constant()) : append_text(out_, d.to_string()); });
    out_ += ']';
  }

  void data(const Tensor& t) {
    if (t.buffer()->is_zeros()) {
      out_ += "zeros";
      return;
    }
    if (t.size() <= (blobs_ ? kInlineWithTable : kInline)) {
      const size_t begin = out_.size();
      if (t.rank()) out_ += '[';
      if (append_elements(out_, t)) {
        if (t.rank()) out_ += ']';
        return;
      }
      out_.resize(begin);
    }
    if (blobs_) {
      out_ += '#';
      append_text(out_, int64_t(blob(t)));
      return;
    }
    out_ += "base64\"";
    append_base64(out_, t.data(), size_t(t.bytes()));
    out_ += '"';
  }

  size_t blob(const Tensor& t) {
    auto [it, added] = known_.try_emplace({t.data(), t.bytes(), t.dtype()}, blobs_->tensors.size());
    if (added) blobs_->tensors.push_back(t);
    return it->second;
  }

  void attribute(const AttrValue& value, int indent) {
    switch (kind(value)) {
      case AttrKind::none: out_ += '_'; return;
      case AttrKind::i: append_text(out_, std::get<int64_t>(value)); return;
      case AttrKind::f: append_float(out_, std::get<float>(value)); return;
      case AttrKind::s: quoted(std::get<std::string>(value)); return;
      case AttrKind::ints: attribute_list(std::get<Ints>(value), [&](int64_t v) { append_text(out_, v); }); return;
      case AttrKind::floats: attribute_list(std::get<Floats>(value), [&](float v) { append_float(out_, v); }); return;
      case AttrKind::strings: attribute_list(std::get<Strings>(value), [&](const std::string& s) { quoted(s); }); return;
      case AttrKind::tensor: {
        const Tensor& t = std::get<Tensor>(value);
        out_ += "tensor ";
        out_ += tenon::name(t.dtype());
        append_text(out_, std::span<const int64_t>(t.shape()));
        out_ += ' ';
        data(t);
        return;
      }
      case AttrKind::graph: graph(*std::get<GraphPtr>(value), indent); return;
    }
  }

  template <class T, class F>
  void attribute_list(const std::vector<T>& items, F each) {
    if (items.empty()) out_ += std::is_same_v<T, int64_t> ? "ints" : std::is_same_v<T, float> ? "floats" : "strings";
    out_ += '[';
    list(items, each);
    out_ += ']';
  }

  std::string out_;
  BlobTable* blobs_;
  std::map<std::tuple<const void*, int64_t, DType>, size_t> known_;  // looked up only, so addresses order nothing
};

}  // namespace

std::string print(const Graph& g, BlobTable* blobs) {
  Printer p(blobs);
  p.graph(g, 0);
  return p.take() + "\n";
}

std::string print_node(const Graph& g, const Node& node) {
  Printer p(nullptr);
  p.node(g, node, 0);
  return p.take();
}

}  // namespace tenon
