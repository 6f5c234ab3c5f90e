#include "passes/pass_test.h"

namespace tenon {
namespace {

std::string found(const std::string& nodes) {
  return print(expect_same_results("find_norms", cat(R"(
graph "g" (%x: f32[n, 4]) -> (%y) {
  const %two: f32[] = 2.0
  const %one: f32[] = 1.0
  const %e: f32[] = 0.001
  const %w: f32[4] = [1.0, 2.0, 3.0, 4.0]
  const %b: f32[4] = [4.0, 3.0, 2.0, 1.0]
  const %last: i64[1] = [-1]
)", nodes, "}")));
}

TEST(FindNorms, Rms) {
  const char* want = R"(graph "g" (%x: f32[n, 4]) -> (%y) {
  const %w: f32[4] = [1.0, 2.0, 3.0, 4.0]
  %y: f32[n, 4] = RMSNormalization(%x, %w) {epsilon=0.001}
}
)";
  EXPECT_EQ(found("%q = Pow(%x, %two) %m = ReduceMean(%q, %last) %a = Add(%m, %e) %s = Sqrt(%a) %d = Div(%x, %s) %y = Mul(%d, %w)"),
            want);
  EXPECT_EQ(found("%q = Mul(%x, %x) %m = ReduceMean(%q, %last) %a = Add(%e, %m) %s = Sqrt(%a) %i = Reciprocal(%s) "
                  "%d = Mul(%x, %i) %y = Mul(%w, %d)"),
            want);
  EXPECT_EQ(found("%q = Mul(%x, %x) %m = ReduceMean(%q, %last) %a = Add(%e, %m) %s = Sqrt(%a) %i = Div(%one, %s) "
                  "%d = Mul(%x, %i) %y = Mul(%w, %d)"),
            want);
}

TEST(FindNorms, Layer) {
  EXPECT_EQ(found("%u = ReduceMean(%x, %last) %c = Sub(%x, %u) %q = Pow(%c, %two) %m = ReduceMean(%q, %last) "
                  "%a = Add(%m, %e) %s = Sqrt(%a) %d = Div(%c, %s) %k = Mul(%d, %w) %y = Add(%k, %b)"),
            R"(graph "g" (%x: f32[n, 4]) -> (%y) {
  const %w: f32[4] = [1.0, 2.0, 3.0, 4.0]
  const %b: f32[4] = [4.0, 3.0, 2.0, 1.0]
  %y: f32[n, 4] = LayerNormalization(%x, %w, %b) {epsilon=0.001}
}
)");
}

TEST(FindNorms, AnotherMeanStays) {
  EXPECT_EQ(found("%u = ReduceMax(%x, %last) %c = Sub(%x, %u) %q = Pow(%c, %two) %m = ReduceMean(%q, %last) "
                  "%a = Add(%m, %e) %s = Sqrt(%a) %y = Div(%c, %s)")
                .find("LayerNormalization"),
            std::string::npos);
}

}  // namespace
}  // namespace tenon
