#include "base/dim.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace tenon {

// Arithmetic that saturates: a size that large is refused later, and overflow must not be undefined behaviour.
static constexpr int64_t kHuge = std::numeric_limits<int64_t>::max() / 2;
static int64_t clamp(int64_t v) { return std::clamp(v, -kHuge, kHuge); }
static int64_t sat_add(int64_t a, int64_t b) { return clamp(clamp(a) + clamp(b)); }
static int64_t sat_mul(int64_t a, int64_t b) {
  int64_t r;
  if (__builtin_mul_overflow(a, b, &r)) return (a < 0) == (b < 0) ? kHuge : -kHuge;
  return clamp(r);
}
static int64_t floor_div_int(int64_t a, int64_t b) {
  if (b == -1) return -clamp(a);  // the least integer has no opposite
  int64_t q = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? q - 1 : q;
}
static int64_t mod_int(int64_t a, int64_t b) {
  if (b == -1) return 0;
  int64_t m = a % b;
  return m != 0 && (m < 0) != (b < 0) ? m + b : m;
}

// No expression's text gets longer than about this; see DimImpl::too_large.
static constexpr size_t kLongest = 8000;

enum class Fn : uint8_t { symbol, div, mod, min, max, bcast };
static const char* const kFnNames[] = {"", "div", "mod", "min", "max", "bcast"};

// A symbol, or a function of two dims that does not simplify. `key` is its text, which orders and identifies it.
struct Atom {
  Fn fn;
  std::string key;
  Dim a, b;
};
using AtomPtr = std::shared_ptr<const Atom>;

// coefficient * factors; factors are sorted by key, a power is a repetition.
struct Term {
  int64_t coefficient;
  std::vector<AtomPtr> factors;
};

// Sum of terms in a fixed order (more factors first, then by key); a constant term has no factors and comes last.
struct Dim::Poly {
  std::vector<Term> terms;
};

static int compare(const std::vector<AtomPtr>& a, const std::vector<AtomPtr>& b) {
  if (a.size() != b.size()) return a.size() > b.size() ? -1 : 1;
  for (size_t i = 0; i < a.size(); ++i)
    if (int c = a[i]->key.compare(b[i]->key)) return c;
  return 0;
}

struct DimImpl {
  static std::vector<Term> terms(const Dim& d) {
    if (d.poly_) return d.poly_->terms;
    if (d.constant_ == 0) return {};
    return {{clamp(d.constant_), {}}};
  }
  static Dim from_terms(std::vector<Term> terms) {
    std::sort(terms.begin(), terms.end(), [](const Term& x, const Term& y) { return compare(x.factors, y.factors) < 0; });
    std::vector<Term> merged;
    for (auto& t : terms) {
      if (!merged.empty() && compare(merged.back().factors, t.factors) == 0)
        merged.back().coefficient = sat_add(merged.back().coefficient, t.coefficient);
      else
        merged.push_back(std::move(t));
    }
    std::erase_if(merged, [](const Term& t) { return t.coefficient == 0; });
    if (merged.empty()) return Dim(0);
    if (merged.size() == 1 && merged[0].factors.empty()) return Dim(merged[0].coefficient);
    return Dim(std::make_shared<const Dim::Poly>(Dim::Poly{std::move(merged)}));
  }
  // How long the text of `d` is, about: what bounds the work that an expression makes.
  static size_t length(const Dim& d) {
    if (!d.poly_) return 1;
    size_t n = 0;
    for (const Term& t : d.poly_->terms) {
      n += 4;
      for (const AtomPtr& f : t.factors) n += f->key.size() + 1;
    }
    return n;
  }
  // What stands for an expression that has grown too large to be kept: a symbol that nobody gives a value. Products of
  // sums grow exponentially, and only a hostile or a broken model comes here.
  static Dim too_large(const char* what, const Dim& a, const Dim& b) {
    uint64_t hash = 0xcbf29ce484222325;
    for (char c : cat(what, "(", a.to_string(), ",", b.to_string(), ")")) hash = (hash ^ uint8_t(c)) * 0x100000001b3;
    return symbol(cat("_too_large_", hash));
  }
  static Dim atom(Fn fn, const Dim& a, const Dim& b) {
    if (length(a) + length(b) > kLongest) return too_large(kFnNames[int(fn)], a, b);
    auto p = std::make_shared<Atom>(Atom{fn, cat(kFnNames[int(fn)], "(", a.to_string(), ", ", b.to_string(), ")"), a, b});
    return from_terms({{1, {std::move(p)}}});
  }
  // The atom that `d` consists of, if it is one of this function; else null.
  static const Atom* only_atom(const Dim& d, Fn fn) {
    if (!d.poly_ || d.poly_->terms.size() != 1) return nullptr;
    const Term& t = d.poly_->terms[0];
    return t.coefficient == 1 && t.factors.size() == 1 && t.factors[0]->fn == fn ? t.factors[0].get() : nullptr;
  }
  // The operands of nested calls of an associative function.
  static void flatten(Fn fn, const Dim& d, std::vector<Dim>& out) {
    if (const Atom* p = only_atom(d, fn)) {
      flatten(fn, p->a, out);
      flatten(fn, p->b, out);
    } else {
      out.push_back(d);
    }
  }
  // A call of an associative, commutative and idempotent function: operands sorted, each once, nested to the right.
  static Dim set_atom(Fn fn, const std::vector<Dim>& operands) {
    std::vector<std::pair<std::string, Dim>> sorted;
    for (const Dim& d : operands) sorted.emplace_back(d.to_string(), d);
    std::sort(sorted.begin(), sorted.end(), [](const auto& x, const auto& y) { return x.first < y.first; });
    sorted.erase(std::unique(sorted.begin(), sorted.end(), [](const auto& x, const auto& y) { return x.first == y.first; }),
                 sorted.end());
    Dim result = sorted.back().second;
    for (size_t i = sorted.size() - 1; i-- > 0;) result = atom(fn, sorted[i].second, result);
    return result;
  }
  static Dim symbol(const std::string& name) {
    return from_terms({{1, {std::make_shared<Atom>(Atom{Fn::symbol, name, Dim(0), Dim(0)})}}});
  }
  // a / b when it comes out exact, term by term, for a divisor of one term.
  static std::optional<Dim> exact_div(const Dim& a, const Dim& b) {
    std::vector<Term> divisor = terms(b), out = terms(a);
    if (divisor.size() != 1) return a == b ? std::optional<Dim>(Dim(1)) : std::nullopt;
    for (Term& t : out) {
      if (t.coefficient % divisor[0].coefficient) return std::nullopt;
      t.coefficient /= divisor[0].coefficient;
      for (const AtomPtr& f : divisor[0].factors) {
        auto it = std::find_if(t.factors.begin(), t.factors.end(), [&](const AtomPtr& x) { return x->key == f->key; });
        if (it == t.factors.end()) return std::nullopt;
        t.factors.erase(it);
      }
    }
    return from_terms(std::move(out));
  }
};

Dim::Dim(std::shared_ptr<const Poly> poly) : poly_(std::move(poly)) {}

Dim Dim::symbol(const std::string& name) {
  CHECK(is_symbol_name(name));
  return DimImpl::symbol(name);
}

bool Dim::is_symbol_name(std::string_view s) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (s.empty() || !letter(s[0])) return false;
  for (char c : s)
    if (!letter(c) && !(c >= '0' && c <= '9') && c != '.') return false;
  for (const char* f : kFnNames)
    if (s == f) return false;
  return true;
}

bool Dim::is_symbol() const {
  return poly_ && poly_->terms.size() == 1 && poly_->terms[0].coefficient == 1 && poly_->terms[0].factors.size() == 1 &&
         poly_->terms[0].factors[0]->fn == Fn::symbol;
}

std::string Dim::to_string() const {
  if (!poly_) return cat(constant_);
  std::string out;
  for (const Term& t : poly_->terms) {
    int64_t c = t.coefficient;
    if (!out.empty() && c >= 0) out += '+';
    if (t.factors.empty()) {
      out += cat(c);
      continue;
    }
    if (c == -1) out += '-';
    else if (c != 1) out += cat(c, "*");
    for (size_t i = 0; i < t.factors.size(); ++i) out += (i ? "*" : "") + t.factors[i]->key;
  }
  return out;
}

void Dim::collect_symbols(std::set<std::string>& out) const {
  if (!poly_) return;
  for (const Term& t : poly_->terms)
    for (const AtomPtr& f : t.factors) {
      if (f->fn == Fn::symbol) out.insert(f->key);
      else f->a.collect_symbols(out), f->b.collect_symbols(out);
    }
}

static std::optional<int64_t> apply(Fn fn, int64_t a, int64_t b) {
  switch (fn) {
    case Fn::div: return b == 0 ? std::nullopt : std::optional(floor_div_int(a, b));
    case Fn::mod: return b == 0 ? std::nullopt : std::optional(mod_int(a, b));
    case Fn::min: return std::min(a, b);
    case Fn::max: return std::max(a, b);
    case Fn::bcast:
      if (a == b || b == 1) return a;
      return a == 1 ? std::optional(b) : std::nullopt;
    case Fn::symbol: break;
  }
  return std::nullopt;
}

std::optional<int64_t> Dim::eval(const Lookup& lookup) const {
  if (!poly_) return constant_;
  int64_t sum = 0;
  for (const Term& t : poly_->terms) {
    int64_t p = t.coefficient;
    for (const AtomPtr& f : t.factors) {
      std::optional<int64_t> v;
      if (f->fn == Fn::symbol) {
        v = lookup(f->key);
      } else {
        auto a = f->a.eval(lookup), b = f->b.eval(lookup);
        if (a && b) v = apply(f->fn, *a, *b);
      }
      if (!v) return std::nullopt;
      p = sat_mul(p, *v);
    }
    sum = sat_add(sum, p);
  }
  return sum;
}

static Dim call(Fn fn, const Dim& a, const Dim& b) {
  switch (fn) {
    case Fn::div: return floor_div(a, b);
    case Fn::mod: return mod(a, b);
    case Fn::min: return min(a, b);
    case Fn::max: return max(a, b);
    default: return broadcast(a, b);
  }
}

Dim Dim::substitute(const Replace& replace) const {
  if (!poly_) return *this;
  Dim sum(0);
  for (const Term& t : poly_->terms) {
    Dim p(t.coefficient);
    for (const AtomPtr& f : t.factors) {
      if (f->fn == Fn::symbol) {
        auto r = replace(f->key);
        p = p * (r ? *r : DimImpl::from_terms({{1, {f}}}));
      } else {
        p = p * call(f->fn, f->a.substitute(replace), f->b.substitute(replace));
      }
    }
    sum = sum + p;
  }
  return sum;
}

static std::optional<int64_t> lower_bound(const Atom& f) {
  if (f.fn == Fn::symbol) return 0;
  const auto a = f.a.lower_bound(), b = f.b.lower_bound();
  switch (f.fn) {
    case Fn::div:
      if (a && f.b.is_const() && f.b.constant() > 0) return floor_div_int(*a, f.b.constant());
      return a && b && *a >= 0 && *b >= 0 ? std::optional<int64_t>(0) : std::nullopt;
    case Fn::mod: return b && *b >= 0 ? std::optional<int64_t>(0) : std::nullopt;
    case Fn::max: return a && b ? std::max(*a, *b) : a ? a : b;
    case Fn::min:
    case Fn::bcast: return a && b ? std::optional(std::min(*a, *b)) : std::nullopt;
    case Fn::symbol: break;
  }
  return std::nullopt;
}

std::optional<int64_t> Dim::lower_bound() const {
  if (!poly_) return constant_;
  int64_t bound = 0;
  for (const Term& t : poly_->terms) {
    int64_t product = t.coefficient;
    if (product < 0 && !t.factors.empty()) return std::nullopt;
    for (const AtomPtr& f : t.factors) {
      const auto low = tenon::lower_bound(*f);
      if (!low || (*low < 0 && t.factors.size() > 1)) return std::nullopt;
      product = sat_mul(product, *low);
    }
    bound = sat_add(bound, product);
  }
  return bound;
}

Dim operator+(const Dim& a, const Dim& b) {
  if (a.is_const() && b.is_const()) return Dim(sat_add(a.constant_, b.constant_));
  if (DimImpl::length(a) + DimImpl::length(b) > kLongest) return DimImpl::too_large("sum", a, b);
  auto terms = DimImpl::terms(a);
  for (auto& t : DimImpl::terms(b)) terms.push_back(t);
  return DimImpl::from_terms(std::move(terms));
}

Dim operator-(const Dim& a, const Dim& b) { return a + Dim(-1) * b; }

Dim operator*(const Dim& a, const Dim& b) {
  if (a.is_const() && b.is_const()) return Dim(sat_mul(a.constant_, b.constant_));
  const std::vector<Term> left = DimImpl::terms(a), right = DimImpl::terms(b);
  if (left.size() * DimImpl::length(b) + right.size() * DimImpl::length(a) > kLongest)
    return DimImpl::too_large("product", a, b);
  std::vector<Term> terms;
  for (const Term& x : left)
    for (const Term& y : right) {
      Term t{sat_mul(x.coefficient, y.coefficient), x.factors};
      t.factors.insert(t.factors.end(), y.factors.begin(), y.factors.end());
      std::sort(t.factors.begin(), t.factors.end(), [](const AtomPtr& p, const AtomPtr& q) { return p->key < q->key; });
      terms.push_back(std::move(t));
    }
  return DimImpl::from_terms(std::move(terms));
}

bool operator==(const Dim& a, const Dim& b) {
  if (a.is_const() || b.is_const()) return a.is_const() && b.is_const() && a.constant_ == b.constant_;
  if (a.poly_ == b.poly_) return true;
  const auto &x = a.poly_->terms, &y = b.poly_->terms;
  if (x.size() != y.size()) return false;
  for (size_t i = 0; i < x.size(); ++i)
    if (x[i].coefficient != y[i].coefficient || compare(x[i].factors, y[i].factors) != 0) return false;
  return true;
}

// With a positive constant divisor: parts of the dividend by what the divisor does to its coefficients.
static int64_t common_factor(const std::vector<Term>& terms, int64_t g) {
  for (const Term& t : terms)
    if (!t.factors.empty()) g = std::gcd(g, t.coefficient);
  return g;
}

static Dim floor_div_const(const Dim& a, int64_t b) {
  std::vector<Term> out, rest;  // take out what divides: (4*s+3)/2 = 2*s+1
  for (Term& t : DimImpl::terms(a)) {
    int64_t q = floor_div_int(t.coefficient, b), r = mod_int(t.coefficient, b);
    if (q) out.push_back({q, t.factors});
    if (r) rest.push_back({r, std::move(t.factors)});
  }
  if (!out.empty()) return DimImpl::from_terms(std::move(out)) + floor_div(DimImpl::from_terms(std::move(rest)), Dim(b));
  // A factor that all but the constant share: (2*s+1)/4 = s/2.
  if (const int64_t g = common_factor(rest, b); g > 1) {
    for (Term& t : rest) t.coefficient = floor_div_int(t.coefficient, g);
    return floor_div(DimImpl::from_terms(std::move(rest)), Dim(b / g));
  }
  // A division inside: ((x/2)+1)/3 = (x+2)/6.
  if (rest.size() <= 2 && (rest.size() == 1 || rest[1].factors.empty()) && rest[0].coefficient == 1 &&
      rest[0].factors.size() == 1 && rest[0].factors[0]->fn == Fn::div) {
    const Atom& inner = *rest[0].factors[0];
    const int64_t c = rest.size() == 2 ? rest[1].coefficient : 0;
    if (inner.b.is_const() && inner.b.constant() > 0 && inner.b.constant() < (1 << 30) && b < (1 << 30))
      return floor_div(inner.a + Dim(c * inner.b.constant()), Dim(b * inner.b.constant()));
  }
  return DimImpl::atom(Fn::div, a, Dim(b));
}

Dim floor_div(const Dim& a, const Dim& b) {
  if (a.is_const() && b.is_const() && b.constant_ != 0) return Dim(floor_div_int(a.constant_, b.constant_));
  if (b.is(1)) return a;
  if (!b.is(0))
    if (auto q = DimImpl::exact_div(a, b)) return *q;
  if (b.is_const() && b.constant_ > 0) return floor_div_const(a, b.constant_);
  return DimImpl::atom(Fn::div, a, b);
}

Dim mod(const Dim& a, const Dim& b) {
  if (a.is_const() && b.is_const() && b.constant_ != 0) return Dim(mod_int(a.constant_, b.constant_));
  if (b.is(1)) return Dim(0);
  if (!b.is(0) && DimImpl::exact_div(a, b)) return Dim(0);
  if (!b.is_const() || b.constant_ <= 0) return DimImpl::atom(Fn::mod, a, b);
  std::vector<Term> rest;  // whole multiples of the divisor do not count: (4*s+3) mod 2 = 1
  for (Term& t : DimImpl::terms(a))
    if (int64_t r = mod_int(t.coefficient, b.constant_)) rest.push_back({r, std::move(t.factors)});
  const Dim reduced = DimImpl::from_terms(std::move(rest));
  return reduced.is_const() ? reduced : DimImpl::atom(Fn::mod, reduced, b);
}

static Dim extreme(Fn fn, const Dim& a, const Dim& b) {
  auto covers = [fn](const Dim& x, const Dim& y) {  // y never matters beside x
    const auto low = (fn == Fn::max ? x - y : y - x).lower_bound();
    return low && *low >= 0;
  };
  if (covers(a, b)) return a;
  if (covers(b, a)) return b;
  std::vector<Dim> operands, kept;
  DimImpl::flatten(fn, a, operands);
  DimImpl::flatten(fn, b, operands);
  for (const Dim& d : operands) {
    if (std::any_of(kept.begin(), kept.end(), [&](const Dim& k) { return covers(k, d); })) continue;
    std::erase_if(kept, [&](const Dim& k) { return covers(d, k); });
    kept.push_back(d);
  }
  return DimImpl::set_atom(fn, kept);
}
Dim min(const Dim& a, const Dim& b) { return extreme(Fn::min, a, b); }
Dim max(const Dim& a, const Dim& b) { return extreme(Fn::max, a, b); }

Dim broadcast(const Dim& a, const Dim& b) {
  if (a == b || b.is(1)) return a;
  if (a.is(1)) return b;
  if (a.is_const()) return a;
  if (b.is_const()) return b;
  std::vector<Dim> operands;
  DimImpl::flatten(Fn::bcast, a, operands);
  DimImpl::flatten(Fn::bcast, b, operands);
  // min(c, x) against x is x where they fit at all: they are equal, or c is 1.
  const std::vector<Dim> all = operands;
  std::erase_if(operands, [&](const Dim& d) {
    std::vector<Dim> parts;
    DimImpl::flatten(Fn::min, d, parts);
    if (parts.size() != 2 || parts[0].is_const() == parts[1].is_const()) return false;
    const Dim &c = parts[parts[0].is_const() ? 0 : 1], &x = parts[parts[0].is_const() ? 1 : 0];
    return c.constant() >= 1 && std::find(all.begin(), all.end(), x) != all.end();
  });
  return operands.size() == 1 ? operands[0] : DimImpl::set_atom(Fn::bcast, operands);
}

// ---- text --------------------------------------------------------------------------------------------------------

namespace {
// expression := term (('+'|'-') term)* ; term := factor ('*' factor)* ;
// factor := integer | '-' factor | symbol | function '(' expression ',' expression ')' | '(' expression ')'
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}
  Result<Dim> all() {
    if (text_.size() > (1 << 16)) return invalid_argument("a dimension of ", text_.size(), " characters is too long");
    Dim d = TRY(expression());
    skip();
    if (at_ != text_.size()) return error();
    return d;
  }

 private:
  Status error() { return invalid_argument("'", text_, "' is not a dimension: unexpected text at column ", at_ + 1); }
  void skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool eat(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  Result<Dim> expression() {
    Dim sum = TRY(term());
    for (;;) {
      if (eat('+')) sum = sum + TRY(term());
      else if (eat('-')) sum = sum - TRY(term());
      else return sum;
    }
  }
  Result<Dim> term() {
    Dim p = TRY(factor());
    while (eat('*')) p = p * TRY(factor());
    return p;
  }
  Result<Dim> factor() {
    if (++depth_ > 100) return error();  // hostile nesting
    auto result = factor_inner();
    --depth_;
    return result;
  }
  Result<Dim> factor_inner() {
    skip();
    size_t begin = at_;
    if (eat('-')) {  // a number with its sign is one: the least integer has no opposite
      while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
      int64_t number;
      if (parse_int(text_.substr(begin, at_ - begin), number)) return Dim(number);
      if (at_ != begin + 1) return error();
      return Dim(-1) * TRY(factor());
    }
    if (eat('(')) {
      Dim d = TRY(expression());
      if (!eat(')')) return error();
      return d;
    }
    skip();
    begin = at_;
    auto word = [&] {
      char c = at_ < text_.size() ? text_[at_] : 0;
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
    };
    while (word()) ++at_;
    std::string name(text_.substr(begin, at_ - begin));
    int64_t number;
    if (parse_int(name, number)) return Dim(number);
    for (int f = 1; f < 6; ++f)
      if (name == kFnNames[f]) {
        if (!eat('(')) return error();
        Dim a = TRY(expression());
        if (!eat(',')) return error();
        Dim b = TRY(expression());
        if (!eat(')')) return error();
        return call(Fn(f), a, b);
      }
    if (!Dim::is_symbol_name(name)) return error();
    return Dim::symbol(name);
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};
}  // namespace

Result<Dim> Dim::parse(std::string_view text) { return Parser(text).all(); }

SymShape to_sym(const std::vector<int64_t>& shape) { return SymShape(shape.begin(), shape.end()); }

std::optional<std::vector<int64_t>> to_concrete(const SymShape& shape) {
  std::vector<int64_t> out;
  out.reserve(shape.size());
  for (const Dim& d : shape) {
    if (!d.is_const()) return std::nullopt;
    out.push_back(d.constant());
  }
  return out;
}

Dim product(const SymShape& shape, size_t begin, size_t end) {
  Dim p(1);
  for (size_t i = begin; i < std::min(end, shape.size()); ++i) p = p * shape[i];
  return p;
}

std::string to_string(const SymShape& shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + shape[i].to_string();
  return out + "]";
}

}  // namespace tenon
