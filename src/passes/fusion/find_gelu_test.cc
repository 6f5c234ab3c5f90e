#include "passes/pass_test.h"

namespace tenon {
namespace {

std::string found(const std::string& nodes) {
  return print(expect_same_results("find_gelu", cat(R"(
graph "g" (%x: f32[n, 4]) -> (%y) {
  const %half: f32[] = 0.5
  const %one: f32[] = 1.0
  const %two: f32[] = 2.0
  const %three: f32[] = 3.0
  const %sqrt2: f32[] = 1.4142135
  const %rsqrt2: f32[] = 0.70710677
  const %k: f32[] = 0.7978846
  const %c: f32[] = 0.044715
)", nodes, "}")));
}

constexpr const char* kErf = "  %y: f32[n, 4] = Gelu(%x)";
constexpr const char* kTanh = "  %y: f32[n, 4] = Gelu(%x) {approximate=\"tanh\"}";
bool is(const std::string& text, const std::string& node) {
  return text == cat("graph \"g\" (%x: f32[n, 4]) -> (%y) {\n", node, "\n}\n");
}

TEST(FindGelu, Erf) {
  EXPECT_TRUE(is(found("%d = Div(%x, %sqrt2) %e = Erf(%d) %a = Add(%e, %one) %m = Mul(%x, %a) %y = Mul(%m, %half)"), kErf));
  EXPECT_TRUE(is(found("%d = Mul(%rsqrt2, %x) %e = Erf(%d) %a = Add(%one, %e) %h = Mul(%x, %half) %y = Mul(%a, %h)"), kErf));
}

TEST(FindGelu, Tanh) {
  EXPECT_TRUE(is(found("%p = Pow(%x, %three) %q = Mul(%p, %c) %s = Add(%x, %q) %z = Mul(%s, %k) %t = Tanh(%z) "
                       "%a = Add(%t, %one) %h = Mul(%x, %half) %y = Mul(%h, %a)"),
                 kTanh));
  EXPECT_TRUE(is(found("%p = Mul(%x, %x) %q = Mul(%p, %c) %s = Add(%one, %q) %r = Mul(%x, %s) %z = Mul(%r, %k) "
                       "%t = Tanh(%z) %a = Add(%t, %one) %m = Mul(%x, %a) %y = Mul(%m, %half)"),
                 kTanh));
}

TEST(FindGelu, OtherNumbersStay) {
  EXPECT_EQ(found("%d = Div(%x, %two) %e = Erf(%d) %a = Add(%e, %one) %m = Mul(%x, %a) %y = Mul(%m, %half)").find("Gelu"),
            std::string::npos);
}

}  // namespace
}  // namespace tenon
