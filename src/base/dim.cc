#include "base/dim.h"

#include <algorithm>
#include <limits>

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
  int64_t q = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? q - 1 : q;
}

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
    return {{d.constant_, {}}};
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
  static Dim atom(Fn fn, const Dim& a, const Dim& b) {
    auto p = std::make_shared<Atom>(Atom{fn, cat(kFnNames[int(fn)], "(", a.to_string(), ", ", b.to_string(), ")"), a, b});
    return from_terms({{1, {std::move(p)}}});
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
    case Fn::mod: return b == 0 ? std::nullopt : std::optional(a - floor_div_int(a, b) * b);
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

std::optional<int64_t> Dim::lower_bound() const {
  if (!poly_) return constant_;
  int64_t bound = 0;
  for (const Term& t : poly_->terms) {
    if (t.factors.empty()) {
      bound = t.coefficient;
      continue;
    }
    if (t.coefficient < 0) return std::nullopt;
    for (const AtomPtr& f : t.factors) {
      if (f->fn == Fn::symbol) continue;
      auto a = f->a.lower_bound(), b = f->b.lower_bound();
      if (!a || !b || *a < 0 || *b < 0) return std::nullopt;
    }
  }
  return bound;
}

Dim operator+(const Dim& a, const Dim& b) {
  if (a.is_const() && b.is_const()) return Dim(sat_add(a.constant_, b.constant_));
  auto terms = DimImpl::terms(a);
  for (auto& t : DimImpl::terms(b)) terms.push_back(t);
  return DimImpl::from_terms(std::move(terms));
}

Dim operator-(const Dim& a, const Dim& b) { return a + Dim(-1) * b; }

Dim operator*(const Dim& a, const Dim& b) {
  if (a.is_const() && b.is_const()) return Dim(sat_mul(a.constant_, b.constant_));
  std::vector<Term> terms;
  for (const Term& x : DimImpl::terms(a))
    for (const Term& y : DimImpl::terms(b)) {
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

Dim floor_div(const Dim& a, const Dim& b) {
  if (a.is_const() && b.is_const() && b.constant_ != 0) return Dim(floor_div_int(a.constant_, b.constant_));
  if (b.is(1)) return a;
  if (!b.is(0))
    if (auto q = DimImpl::exact_div(a, b)) return *q;
  if (b.is_const() && b.constant_ > 0) {  // take out the terms that divide: (4*s+3)/2 = 2*s+1
    std::vector<Term> out, rest;
    for (Term& t : DimImpl::terms(a)) {
      int64_t q = floor_div_int(t.coefficient, b.constant_), r = t.coefficient - q * b.constant_;
      if (q) out.push_back({q, t.factors});
      if (r) rest.push_back({r, t.factors});
    }
    if (!out.empty()) return DimImpl::from_terms(std::move(out)) + floor_div(DimImpl::from_terms(std::move(rest)), b);
  }
  return DimImpl::atom(Fn::div, a, b);
}

Dim mod(const Dim& a, const Dim& b) {
  if (a.is_const() && b.is_const() && b.constant_ != 0) return Dim(*apply(Fn::mod, a.constant_, b.constant_));
  if (b.is(1)) return Dim(0);
  if (!b.is(0) && DimImpl::exact_div(a, b)) return Dim(0);
  return DimImpl::atom(Fn::mod, a, b);
}

static Dim extreme(Fn fn, const Dim& a, const Dim& b) {
  if (a == b) return a;
  Dim difference = a - b;
  if (auto low = difference.lower_bound(); low && *low >= 0) return fn == Fn::max ? a : b;
  if (auto low = (Dim(0) - difference).lower_bound(); low && *low >= 0) return fn == Fn::max ? b : a;
  return a.to_string() < b.to_string() ? DimImpl::atom(fn, a, b) : DimImpl::atom(fn, b, a);
}
Dim min(const Dim& a, const Dim& b) { return extreme(Fn::min, a, b); }
Dim max(const Dim& a, const Dim& b) { return extreme(Fn::max, a, b); }

Dim broadcast(const Dim& a, const Dim& b) {
  if (a == b || b.is(1)) return a;
  if (a.is(1)) return b;
  if (a.is_const() && a.constant_ != 1) return a;
  if (b.is_const() && b.constant_ != 1) return b;
  return a.to_string() < b.to_string() ? DimImpl::atom(Fn::bcast, a, b) : DimImpl::atom(Fn::bcast, b, a);
}

// ---- text --------------------------------------------------------------------------------------------------------

namespace {
// expression := term (('+'|'-') term)* ; term := factor ('*' factor)* ;
// factor := integer | '-' factor | symbol | function '(' expression ',' expression ')' | '(' expression ')'
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}
  Result<Dim> all() {
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
    if (eat('-')) return Dim(-1) * TRY(factor());
    if (eat('(')) {
      Dim d = TRY(expression());
      if (!eat(')')) return error();
      return d;
    }
    skip();
    size_t begin = at_;
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

// A product of sums is multiplied out, so a short hostile text can ask for a huge polynomial. An upper bound of its
// terms: k products of evenly spread sums.
static bool reasonable(std::string_view text) {
  if (text.size() > 4096) return false;
  const auto count = [&](char c) { return double(std::count(text.begin(), text.end(), c)); };
  const double factors = 1 + count('*'), sums = count('+') + count('-');
  double terms = 1;
  for (double k = 0; k < factors && terms < 1e9; ++k) terms *= 1 + sums / factors;
  return terms < 20000;
}

Result<Dim> Dim::parse(std::string_view text) {
  if (!reasonable(text)) return invalid_argument("a dimension that is too long: '", text.substr(0, 40), "...'");
  return Parser(text).all();
}

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
