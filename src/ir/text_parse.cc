// Parsing of the text form. Text may be hostile: every size is checked before it is believed.
#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "base/memory_limit.h"
#include "ir/infer.h"
#include "ir/text.h"
#include "ir/text_data.h"
#include "ir/verifier.h"

namespace tenon {

namespace {

constexpr int kMostNesting = 70;
constexpr size_t kMostRank = 64;
constexpr int64_t kMostGenerated = int64_t(1) << 29;  // bytes of `splat` and `random` in all

// Symbols that inference made up end in their number: "_nonzero_12" gives 12.
int64_t made_up_number(const std::string& symbol) {
  const size_t under = symbol.rfind('_');
  int64_t number = 0;
  if (symbol[0] != '_' || under == 0 || !parse_int(std::string_view(symbol).substr(under + 1), number)) return 0;
  return std::clamp<int64_t>(number, 0, int64_t(1) << 40);
}

struct Hash {
  using is_transparent = void;
  size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
};

class Parser {
 public:
  Parser(std::string_view text, const BlobTable* blobs) : text_(text), blobs_(blobs) {}

  Result<Graph> all() {
    Graph g = TRY(graph());
    if (peek() != 0 || at_ != text_.size()) return error("text after the graph");
    return g;
  }

 private:
  using Names = std::unordered_map<std::string, ValueId, Hash, std::equal_to<>>;

  // ---- characters and words ----
  Status error_at(size_t at, const std::string& what) const {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < std::min(at, text_.size()); ++i) {
      if (text_[i] == '\n') ++line, column = 1;
      else ++column;
    }
    return invalid_argument("line ", line, ", column ", column, ": ", what);
  }
  Status error(const std::string& what) const { return error_at(at_, what); }
  Status expected(const char* what) {
    skip();
    std::string found = at_ < text_.size() ? cat("'", escape(text_.substr(at_, 1)), "'") : "the end";
    return error(cat("expected ", what, ", found ", found));
  }

  void skip() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == ' ' || c == '\n' || c == '\t' || c == '\r') ++at_;
      else if (c == '/' && text_.substr(at_, 2) == "//") at_ = std::min(text_.find('\n', at_), text_.size());
      else return;
    }
  }
  char peek() {
    skip();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool eat(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  bool eat(std::string_view word) {
    skip();
    if (text_.substr(at_, word.size()) != word) return false;
    if (at_ + word.size() < text_.size() && word_char(text_[at_ + word.size()])) return false;
    at_ += word.size();
    return true;
  }
  static bool word_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  }
  std::string_view word() {
    skip();
    const size_t begin = at_;
    while (at_ < text_.size() && word_char(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }
  std::string_view number() {
    skip();
    const size_t begin = at_;
    while (at_ < text_.size() && (word_char(text_[at_]) || text_[at_] == '-' || text_[at_] == '+')) ++at_;
    return text_.substr(begin, at_ - begin);
  }
  Result<int64_t> integer() {
    int64_t v;
    if (!parse_int(number(), v)) return error("expected an integer");
    return v;
  }

  Result<std::string> quoted() {
    if (!eat('"')) return expected("a quoted text");
    std::string out;
    for (;;) {
      const size_t stop = text_.find_first_of("\"\\", at_);
      if (stop == text_.npos) return error("a quoted text does not end");
      out.append(text_.substr(at_, stop - at_));
      at_ = stop + 1;
      if (text_[stop] == '"') return out;
      const char c = at_ < text_.size() ? text_[at_++] : '\0';
      if (c == 'n') {
        out += '\n';
      } else if (c == '"' || c == '\\') {
        out += c;
      } else {
        unsigned v = 0;
        if (c != 'x' || at_ + 2 > text_.size()) return error("unknown escape in a quoted text");
        auto r = std::from_chars(text_.data() + at_, text_.data() + at_ + 2, v, 16);
        if (r.ptr != text_.data() + at_ + 2) return error("unknown escape in a quoted text");
        out += char(v);
        at_ += 2;
      }
    }
  }

  Result<std::string> value_name() {
    if (!eat('%')) return expected("a %name");
    if (at_ < text_.size() && text_[at_] == '"') return quoted();
    const size_t begin = at_;
    while (at_ < text_.size() && (word_char(text_[at_]) || text_[at_] == '/' || text_[at_] == '-')) ++at_;
    if (at_ == begin) return error("expected a name after %");
    return std::string(text_.substr(begin, at_ - begin));
  }

  // ---- types ----
  Result<Dim> dim(Graph& g) {
    skip();
    const size_t begin = at_;
    int depth = 0;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '(') ++depth;
      else if (c == ')') --depth;
      else if (depth <= 0 && (c == ',' || c == ']')) break;
    }
    const std::string_view source = trim(text_.substr(begin, at_ - begin));
    int64_t v;
    if (parse_int(source, v)) {
      if (v < 0) return error_at(begin, "a negative dimension");
      return Dim(v);
    }
    if (auto it = dims_.find(source); it != dims_.end()) {
      g.fresh_symbols = std::max(g.fresh_symbols, it->second.second);
      return it->second.first;
    }
    auto d = Dim::parse(source);
    if (!d.ok()) return error_at(begin, d.status().message());
    if (d->is_const() && d->constant() < 0) return error_at(begin, "a negative dimension");
    std::set<std::string> symbols;
    d->collect_symbols(symbols);
    int64_t newest = 0;
    for (const std::string& s : symbols) newest = std::max(newest, made_up_number(s));
    g.fresh_symbols = std::max(g.fresh_symbols, newest);
    dims_.emplace(source, std::pair(*d, newest));
    return d;
  }

  Result<DType> dtype() {
    const size_t begin = (skip(), at_);
    const std::string_view w = word();
    const DType t = dtype_from_name(w);
    if (t == DType::none || !kAny.contains(t)) return error_at(begin, cat("unknown data type '", escape(w), "'"));
    return t;
  }

  Result<ValueInfo> type(Graph& g) {
    ValueInfo info;
    if (eat('?')) return info;
    info.dtype = TRY(dtype());
    if (!eat('[')) return expected("'['");
    if (eat('*')) {
      if (!eat(']')) return expected("']'");
      return info;
    }
    info.ranked = true;
    if (eat(']')) return info;
    do {
      if (info.shape.size() == kMostRank) return error("too many dimensions");
      info.shape.push_back(TRY(dim(g)));
    } while (eat(','));
    if (!eat(']')) return expected("']'");
    return info;
  }

  // ---- data ----
  Result<Tensor> generated(DType t, const Shape& shape) {
    const int64_t n = num_elements(shape), room = kMostGenerated - generated_;
    if (n < 0 || n > room || byte_size(t, n) > room) return error("the tensor is too large");
    generated_ += byte_size(t, n);
    return Tensor::allocate(t, shape);
  }

  Result<Tensor> data(DType t, const Shape& shape) {
    const size_t begin = (skip(), at_);
    if (eat('#')) {
      const int64_t k = TRY(integer());
      if (!blobs_ || k < 0 || k >= int64_t(blobs_->tensors.size())) return error_at(begin, cat("there is no data #", k));
      const Tensor& blob = blobs_->tensors[size_t(k)];
      if (!blob || blob.dtype() != t || num_elements(shape) != blob.size())
        return error_at(begin, cat("data #", k, " is ", name(blob.dtype()), blob.shape(), ", not ", name(t), shape));
      return blob.reshaped(shape);
    }
    if (eat("base64")) {
      if (!eat('"')) return expected("'\"'");
      const size_t stop = std::min(text_.find('"', at_), text_.size());
      const std::string_view digits = text_.substr(at_, stop - at_);
      const int64_t n = num_elements(shape);
      // As many bytes as the text can hold, so that a wrong shape asks for no memory.
      if (n < 0 || n > int64_t(digits.size()) * 8 || (byte_size(t, n) + 2) / 3 * 4 != int64_t(digits.size()))
        return error_at(begin, cat("base64 of another size than ", name(t), shape));
      Tensor out = TRY(Tensor::allocate(t, shape));
      if (!decode_base64(digits, out.data(), size_t(out.bytes()))) return error_at(begin, "broken base64");
      at_ = std::min(stop + 1, text_.size());
      return out;
    }
    if (eat("zeros")) {
      const int64_t n = num_elements(shape);
      auto buffer = n < 0 || n > int64_t(1) << 40 ? nullptr : Buffer::zeros(byte_size(t, n));
      if (!buffer || !is_float(t)) return error_at(begin, "no such tensor can be left out");
      return Tensor(t, shape, buffer);
    }
    if (eat("splat")) {
      Tensor out = TRY(generated(t, shape));
      const std::string_view v = number();
      for (int64_t i = 0; i < out.size(); ++i)
        if (!parse_element(v, out, i)) return error_at(begin, cat("not a number of type ", name(t)));
      return out;
    }
    if (eat("random")) {
      const int64_t seed = TRY(integer());
      Tensor out = TRY(generated(t, shape));
      fill_random(out, uint64_t(seed));
      return out;
    }
    const bool list = eat('[');
    if (!list && !shape.empty()) return expected("data");
    const int64_t n = num_elements(shape);
    if (n < 0 || n > int64_t(text_.size() - at_)) return error_at(begin, cat("too few numbers for ", name(t), shape));
    Tensor out = TRY(Tensor::allocate(t, shape));
    for (int64_t i = 0; i < n; ++i) {
      if (i && !eat(',')) return error(cat("too few numbers for ", name(t), shape));
      if (!parse_element(number(), out, i)) return error(cat("expected a number of type ", name(t)));
    }
    if (list && !eat(']')) return expected("']'");
    return out;
  }

  // ---- attributes ----
  Result<AttrValue> attribute() {
    const char c = peek();
    if (c == '"') return AttrValue(TRY(quoted()));
    if (c == '[') return attribute_list();
    for (auto [w, value] : {std::pair("ints", AttrValue(Ints())), std::pair("floats", AttrValue(Floats())),
                            std::pair("strings", AttrValue(Strings()))})
      if (eat(w)) {
        if (!eat('[') || !eat(']')) return expected("'[]'");
        return value;
      }
    if (eat("tensor")) {
      const DType t = TRY(dtype());
      if (!eat('[')) return expected("'['");
      Shape shape;
      if (!eat(']')) {
        do {
          if (shape.size() == kMostRank) return error("too many dimensions");
          shape.push_back(TRY(integer()));
        } while (eat(','));
        if (!eat(']')) return expected("']'");
      }
      return AttrValue(TRY(data(t, shape)));
    }
    skip();
    if (text_.substr(at_, 6) == "graph ") return AttrValue(GraphPtr(std::make_shared<const Graph>(TRY(graph()))));
    return attribute_number();
  }

  Result<AttrValue> attribute_number() {
    const std::string_view w = number();
    int64_t i;
    if (parse_int(w, i)) return AttrValue(i);
    float f;
    auto r = std::from_chars(w.data(), w.data() + w.size(), f);
    if (w.empty() || r.ec != std::errc() || r.ptr != w.data() + w.size()) return error("expected an attribute's value");
    return AttrValue(f);
  }

  Result<AttrValue> attribute_list() {
    if (!eat('[')) return expected("'['");
    Ints ints;
    Floats floats;
    Strings strings;
    do {
      if (peek() == '"') {
        strings.push_back(TRY(quoted()));
      } else {
        AttrValue v = TRY(attribute_number());
        if (auto* i = std::get_if<int64_t>(&v)) ints.push_back(*i);
        else floats.push_back(std::get<float>(v));
      }
    } while (eat(','));
    if (!eat(']')) return expected("']'");
    if (ints.empty() + floats.empty() + strings.empty() != 2) return error("a list of mixed kinds");
    if (!ints.empty()) return AttrValue(std::move(ints));
    if (!floats.empty()) return AttrValue(std::move(floats));
    return AttrValue(std::move(strings));
  }

  // ---- graphs ----
  Result<ValueId> define(Graph& g, Names& names, std::string name, ValueInfo info) {
    const ValueId v = ValueId(g.values.size());
    if (!names.emplace(name, v).second) return error(cat("%", escape(name), " is defined twice"));
    g.values.push_back({std::move(name), std::move(info)});
    return v;
  }

  Status node(Graph& g, Names& names) {
    Node n;
    bool typed = true;
    if (peek() != '=') {
      do {
        if (eat('_')) {
          n.outputs.push_back(kNoValue);
          continue;
        }
        std::string name = TRY(value_name());
        ValueInfo info;
        if (eat(':')) info = TRY(type(g));
        typed = typed && info.dtype != DType::none;
        n.outputs.push_back(TRY(define(g, names, std::move(name), std::move(info))));
      } while (eat(','));
    }
    if (!eat('=')) return expected("'='");
    const size_t begin = (skip(), at_);
    const std::string_view full = word();
    const size_t dot = full.rfind('.');
    n.op = dot == full.npos ? find_op("", full) : find_op(full.substr(0, dot), full.substr(dot + 1));
    if (!n.op) return error_at(begin, cat("unknown operator '", escape(full), "'"));
    if (!eat('(')) return expected("'('");
    if (!eat(')')) {
      do {
        if (eat('_')) {
          n.inputs.push_back(kNoValue);
          continue;
        }
        const size_t where = (skip(), at_);
        const std::string name = TRY(value_name());
        auto it = names.find(name);
        if (it == names.end()) return error_at(where, cat("%", escape(name), " is not defined"));
        if (std::find(n.outputs.begin(), n.outputs.end(), it->second) != n.outputs.end())
          return error_at(where, cat("%", escape(name), " is used by the node that defines it"));
        n.inputs.push_back(it->second);
      } while (eat(','));
      if (!eat(')')) return expected("')'");
    }
    if (eat('{')) {
      do {
        const std::string key(word());
        if (key.empty() || !eat('=')) return expected("attribute=value");
        if (n.attrs.has(key)) return error(cat("attribute '", key, "' is given twice"));
        n.attrs.set(key, TRY(attribute()));
      } while (eat(','));
      if (!eat('}')) return expected("'}'");
    }
    if (peek() == '"') n.name = TRY(quoted());
    if (eat("from")) {
      if (!eat('[')) return expected("'['");
      if (!eat(']')) {
        do n.origins.push_back(TRY(quoted()));
        while (eat(','));
        if (!eat(']')) return expected("']'");
      }
    } else if (!n.name.empty()) {
      n.origins = {n.name};
    }
    Status s = normalize_attrs(*n.op, n.attrs);
    if (!s.ok()) return error_at(begin, cat(describe(n), ": ", s.message()));
    g.nodes.push_back(std::move(n));
    // Inputs of a subgraph may come without types; inference of the node that owns it brings them.
    for (ValueId v : g.nodes.back().inputs) typed = typed || (v != kNoValue && g.info(v).dtype == DType::none && depth_ > 1);
    if (typed) return {};
    s = infer_node(g, g.nodes.back());
    return s.ok() ? s : error_at(begin, s.message());
  }

  Status constant(Graph& g, Names& names) {
    std::string name = TRY(value_name());
    if (!eat(':')) return expected("':'");
    const size_t begin = (skip(), at_);
    const ValueInfo info = TRY(type(g));
    auto shape = info.ranked ? to_concrete(info.shape) : std::nullopt;
    if (info.dtype == DType::none || !shape) return error_at(begin, "a constant needs a type and a shape of numbers");
    if (!eat('=')) return expected("'='");
    return define(g, names, std::move(name), constant_info(TRY(data(info.dtype, *shape)))).status();
  }

  Result<Graph> graph() {
    if (++depth_ > kMostNesting) return error("graphs are nested too deep");
    Graph g;
    g.depth = depth_ - 1;
    Names names;
    if (!eat("graph")) return expected("'graph'");
    g.name = TRY(quoted());
    if (!eat('(')) return expected("'('");
    if (!eat(')')) {
      do {
        std::string name = TRY(value_name());
        if (!eat(':')) return expected("':'");
        ValueInfo info = TRY(type(g));
        if (info.dtype == DType::none && depth_ == 1) return error("an input of the outermost graph needs a type");
        g.inputs.push_back(TRY(define(g, names, std::move(name), std::move(info))));
      } while (eat(','));
      if (!eat(')')) return expected("')'");
    }
    skip();
    if (text_.substr(at_, 2) != "->") return expected("'->'");
    at_ += 2;
    if (!eat('(')) return expected("'('");
    std::vector<std::pair<std::string, size_t>> outputs;
    if (!eat(')')) {
      do {
        skip();
        outputs.emplace_back(std::string(), at_);
        outputs.back().first = TRY(value_name());
        g.output_names.push_back(peek() == '"' ? TRY(quoted()) : outputs.back().first);
      } while (eat(','));
      if (!eat(')')) return expected("')'");
    }
    if (!eat('{')) return expected("'{'");
    while (!eat('}')) {
      if (peek() == '\0') return expected("'}'");
      if (eat("const")) TRY(constant(g, names));
      else TRY(node(g, names));
    }
    for (auto& [name, where] : outputs) {
      auto it = names.find(name);
      if (it == names.end()) return error_at(where, cat("output %", escape(name), " is not defined"));
      g.outputs.push_back(it->second);
    }
    --depth_;
    return g;
  }

  std::string_view text_;
  size_t at_ = 0;
  const BlobTable* blobs_;
  int depth_ = 0;
  int64_t generated_ = 0;
  std::unordered_map<std::string, std::pair<Dim, int64_t>, Hash, std::equal_to<>> dims_;
};

}  // namespace

Result<Graph> parse(std::string_view text, const BlobTable* blobs) {
  Graph g = TRY(catch_bad_alloc([&] { return Parser(text, blobs).all(); }));
  Status s = verify(g);
  if (!s.ok()) return invalid_argument("the graph is not legal: ", s.message());
  return g;
}

}  // namespace tenon
