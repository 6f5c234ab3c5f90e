// Dim: canonical forms, text that round-trips, arithmetic against brute force, hostile input.
#include "base/dim.h"

#include <gtest/gtest.h>

#include <limits>

namespace tenon {
namespace {

Dim D(std::string_view text) {
  auto d = Dim::parse(text);
  EXPECT_TRUE(d.ok()) << text << ": " << d.status().message();
  return d.ok() ? d.value() : Dim(-12345);
}
std::string canonical(std::string_view text) { return D(text).to_string(); }
const int64_t kMin = std::numeric_limits<int64_t>::min(), kMax = std::numeric_limits<int64_t>::max();

TEST(Dim, CanonicalForms) {
  EXPECT_EQ(canonical("224"), "224");
  EXPECT_EQ(canonical("1 + seq*2"), "2*seq+1");
  EXPECT_EQ(canonical("b + a"), "a+b");
  EXPECT_EQ(canonical("a - a"), "0");
  EXPECT_EQ(canonical("(a+1)*(a-1)"), "a*a-1");
  EXPECT_EQ(canonical("-a"), "-a");
  EXPECT_EQ(canonical("--a"), "a");
  EXPECT_EQ(canonical("2*-3"), "-6");
  EXPECT_EQ(canonical("a*b*a"), "a*a*b");
  EXPECT_EQ(D("(a+b)*(a+b)"), D("a*a + 2*a*b + b*b"));
  EXPECT_FALSE(D("a") == D("b"));
  EXPECT_FALSE(D("a") == Dim(1));
}

TEST(Dim, Division) {
  EXPECT_EQ(canonical("div(4*s+3, 2)"), "2*s+1");
  EXPECT_EQ(canonical("div(4*s, 2)"), "2*s");
  EXPECT_EQ(canonical("div(a*b, b)"), "a");
  EXPECT_EQ(canonical("div(2*s+1, 4)"), "div(s, 2)");
  EXPECT_EQ(canonical("div(div(h-1, 2), 2)"), canonical("div(h-1, 4)"));
  EXPECT_EQ(canonical("div(div(x, 2)+1, 3)"), "div(x+2, 6)");
  EXPECT_EQ(canonical("div(-s, 2)"), "div(s, 2)-s");
  EXPECT_EQ(canonical("mod(4*s+3, 2)"), "1");
  EXPECT_EQ(canonical("mod(a*b, b)"), "0");
  EXPECT_EQ(canonical("mod(9*s+4, 4)"), "mod(s, 4)");
  EXPECT_EQ(floor_div(Dim(-7), Dim(2)), Dim(-4));
  EXPECT_EQ(mod(Dim(-7), Dim(2)), Dim(1));
  EXPECT_EQ(ceil_div(Dim(7), 2), Dim(4));
  EXPECT_FALSE(floor_div(Dim(7), Dim(0)).eval([](auto&) { return std::nullopt; }));
  EXPECT_FALSE(D("mod(s, 0)").eval([](auto&) { return 5; }));
}

TEST(Dim, MinMaxBroadcast) {
  EXPECT_EQ(canonical("max(a, a+1)"), "a+1");
  EXPECT_EQ(canonical("min(a, a+1)"), "a");
  EXPECT_EQ(canonical("max(b, a)"), "max(a, b)");
  EXPECT_EQ(canonical("max(max(a, b), max(b, c))"), canonical("max(c, max(b, a))"));
  EXPECT_EQ(canonical("max(max(a, 3), 5)"), "max(5, a)");
  EXPECT_EQ(canonical("min(min(a, 3), 5)"), "min(3, a)");
  EXPECT_EQ(canonical("max(a, 0)"), "a");
  EXPECT_EQ(canonical("bcast(a, 1)"), "a");
  EXPECT_EQ(canonical("bcast(a, 7)"), "7");
  EXPECT_EQ(canonical("bcast(bcast(a, b), a)"), "bcast(a, b)");
  EXPECT_EQ(canonical("bcast(b, bcast(c, a))"), canonical("bcast(bcast(a, b), c)"));
  EXPECT_EQ(canonical("bcast(min(512, s), s)"), "s");  // equal, or the broadcast is undefined
  auto values = [](const std::string& s) -> std::optional<int64_t> { return s == "a" ? 1 : s == "b" ? 4 : 3; };
  EXPECT_EQ(D("bcast(a, b)").eval(values), 4);
  EXPECT_FALSE(D("bcast(b, c)").eval(values));
}

TEST(Dim, AgreesWithArithmetic) {
  const char* texts[] = {"2*a+b",          "a*b-3",           "div(3*a+5, 2)",      "div(div(a+1, 3)+b, 2)",
                         "mod(5*a+b, 3)",  "max(a, b-2)",     "min(2*a, b+1)",      "div(6*a+9*b+4, 3)",
                         "div(a-7, 4)",    "mod(a-7, 4)",     "max(a, max(b, 3))",  "div(4*a+2*b+3, 4)",
                         "div(-3*a+1, 2)", "mod(-3*a+1, 2)",  "min(a, min(b, 2))",  "a*a*b-a*div(b, 2)",
                         "div(a*b, b+1)",  "mod(a*b, b+1)"};
  // The same written as nested calls on constants, which fold at once, must agree with substitution and evaluation.
  for (const char* text : texts)
    for (int64_t a = 0; a < 9; ++a)
      for (int64_t b = 0; b < 9; ++b) {
        auto lookup = [&](const std::string& s) -> std::optional<int64_t> { return s == "a" ? a : b; };
        std::string plain;
        for (const char* p = text; *p; ++p) {
          const bool alone = p == text || !std::isalpha(p[-1]);
          if ((*p == 'a' || *p == 'b') && alone && !std::isalpha(p[1])) plain += std::to_string(*p == 'a' ? a : b);
          else plain += *p;
        }
        const Dim folded = D(plain);
        ASSERT_TRUE(folded.is_const()) << plain;
        EXPECT_EQ(D(text).eval(lookup), folded.constant()) << text << " at a=" << a << " b=" << b;
        EXPECT_EQ(D(text).substitute([&](const std::string& s) { return Dim(s == "a" ? a : b); }), folded) << text;
        const auto low = D(text).lower_bound();
        EXPECT_TRUE(!low || *low <= folded.constant()) << text;
      }
  for (const char* text : texts) EXPECT_EQ(canonical(canonical(text)), canonical(text));
}

TEST(Dim, SubstituteBySymbols) {
  auto replace = [](const std::string& s) -> std::optional<Dim> {
    return s == "a" ? std::optional(D("2*n")) : std::nullopt;
  };
  EXPECT_EQ(D("div(a, 2)+b").substitute(replace), D("n+b"));
  std::set<std::string> symbols;
  D("div(a, 2)+b*max(c, 4)").collect_symbols(symbols);
  EXPECT_EQ(symbols, (std::set<std::string>{"a", "b", "c"}));
  EXPECT_FALSE(D("a+b").eval(
      [](const std::string& s) { return s == "a" ? std::optional<int64_t>(1) : std::nullopt; }));
}

TEST(Dim, LowerBound) {
  EXPECT_EQ(D("a+3").lower_bound(), 3);
  EXPECT_EQ(D("2*max(a, 4)+1").lower_bound(), 9);
  EXPECT_EQ(D("div(a-1, 2)").lower_bound(), -1);
  EXPECT_EQ(D("mod(a-5, 4)").lower_bound(), 0);
  EXPECT_FALSE(D("3-a").lower_bound());
}

TEST(Dim, Extremes) {
  for (int64_t v : {kMin, kMin + 1, kMax, kMax - 1}) {
    EXPECT_EQ(canonical(Dim(v).to_string()), Dim(v).to_string());
    for (int64_t w : {kMin, int64_t(-1), int64_t(0), int64_t(1), kMax}) {
      const Dim s = Dim::symbol("s");
      (void)(Dim(v) + Dim(w)), (void)(Dim(v) - Dim(w)), (void)(Dim(v) * Dim(w));
      (void)(s * Dim(v) + Dim(w)), (void)(s * Dim(v) * Dim(w)), (void)(Dim(w) - s * Dim(v));
      for (const Dim& d : {floor_div(Dim(v), Dim(w)), mod(Dim(v), Dim(w)), floor_div(s * Dim(v), Dim(w)),
                           mod(s * Dim(v) + Dim(1), Dim(w)), max(Dim(v), s), min(Dim(v), s)})
        (void)d.eval([&](auto&) { return kMax; });
    }
  }
}

TEST(Dim, RefusesWhatIsNoDimension) {
  for (const char* text : {"", " ", "+", "a+", "*a", "a b", "3x", "(a", "a)", "div(a)", "div(a,b", "div", "max(,)",
                           "99999999999999999999", "-99999999999999999999", "a/2", "a%2", "a\nb", "\xff", "1.5"}) {
    EXPECT_FALSE(Dim::parse(text).ok()) << text;
  }
  EXPECT_FALSE(Dim::parse(std::string(100000, '(')).ok());
  EXPECT_FALSE(Dim::parse(std::string(100000, '-')).ok());
  EXPECT_FALSE(Dim::parse(std::string(60000, '-')).ok());
  EXPECT_TRUE(Dim::is_symbol_name("batch_1.x"));
  for (const char* bad : {"", "1a", "a-b", "div", "bcast", "a b"}) EXPECT_FALSE(Dim::is_symbol_name(bad)) << bad;
}

TEST(Dim, GrowthIsBounded) {
  std::string sum = "(a", product;
  for (int i = 0; i < 30; ++i) sum += "+s" + std::to_string(i);
  sum += ")";
  for (int i = 0; i < 60; ++i) product += (i ? "*" : "") + sum;
  const Dim huge = D(product);
  EXPECT_LT(huge.to_string().size(), 20000u);
  EXPECT_FALSE(huge.eval([](const std::string& s) {
    return s[0] == '_' ? std::nullopt : std::optional<int64_t>(1);
  }));
  Dim d = Dim::symbol("x") + Dim::symbol("y");
  for (int i = 0; i < 200; ++i) d = d * d + Dim::symbol("z");
  for (int i = 0; i < 2000; ++i) d = floor_div(max(d, Dim::symbol("x")), Dim::symbol("y"));
  EXPECT_LT(d.to_string().size(), 20000u);
}

TEST(Dim, Shapes) {
  EXPECT_EQ(to_string({Dim::symbol("batch"), 3, 224}), "[batch, 3, 224]");
  EXPECT_EQ(to_string(SymShape{}), "[]");
  EXPECT_EQ(product({Dim(2), Dim::symbol("n"), Dim(3)}), D("6*n"));
  EXPECT_EQ(product({}), Dim(1));
  EXPECT_EQ(to_concrete({Dim(2), Dim(3)}), (std::vector<int64_t>{2, 3}));
  EXPECT_FALSE(to_concrete({Dim(2), Dim::symbol("n")}));
}

}  // namespace
}  // namespace tenon
