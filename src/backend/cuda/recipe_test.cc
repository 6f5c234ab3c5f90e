#include "backend/cuda/recipe.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tenon::cuda {
namespace {

Recipe example() {
  Recipe r;
  KernelLaunch l;
  l.kernel = "gemm";
  l.grid[0] = ceil_div(Dim::symbol("i0_0") * Dim::symbol("i0_1"), 128);
  l.block[0] = 256;
  l.shared = 65536;
  l.cluster = 2;
  l.programmatic = true;
  Arg a;
  a.kind = Arg::input, a.index = 1, a.value = Dim::symbol("i0_0") * 16;
  l.args.push_back(a);
  a = {};
  a.kind = Arg::i64, a.value = Dim::symbol("v1_3") - 1;
  l.args.push_back(a);
  a = {};
  a.kind = Arg::f32, a.number = -INFINITY;
  l.args.push_back(a);
  a = {};
  a.kind = Arg::tensor_map, a.base = Arg::data, a.index = 2;
  a.map.type = "bf16";
  a.map.dims = {64, Dim::symbol("i0_1"), 56, 1};
  a.map.strides = {128, 7168, Dim::symbol("i0_1") * 7168};
  a.map.element_strides = {1, 2, 2, 1};
  a.map.swizzle = 128;
  a.map.lower = {-1, -1}, a.map.upper = {-1, -1}, a.map.channels = 64, a.map.pixels = 128;
  l.args.push_back(a);
  r.launches.push_back(l);
  r.scratch = Dim::symbol("o0_0") * 4;
  r.value_inputs = 2;
  r.below_2g = {Dim::symbol("i0_0") * Dim::symbol("i0_1")};
  return r;
}

TEST(Recipe, TextComesBack) {
  const std::string text = example().to_text();
  auto back = Recipe::parse(text);
  ASSERT_TRUE(back.ok()) << back.status().to_string();
  EXPECT_EQ(back->to_text(), text);
  const KernelLaunch& l = back->launches[0];
  EXPECT_EQ(l.grid[0].to_string(), example().launches[0].grid[0].to_string());
  EXPECT_TRUE(l.grid[2].is(1));
  EXPECT_EQ(l.cluster, 2);
  EXPECT_TRUE(l.programmatic);
  EXPECT_EQ(l.args[0].kind, Arg::input);
  EXPECT_EQ(l.args[0].index, 1);
  EXPECT_EQ(l.args[1].value.to_string(), "v1_3-1");
  EXPECT_EQ(l.args[2].number, -INFINITY);
  EXPECT_EQ(l.args[3].base, Arg::data);
  EXPECT_EQ(l.args[3].map.lower, (std::vector<int>{-1, -1}));
  EXPECT_EQ(l.args[3].map.dims[1].to_string(), "i0_1");
  EXPECT_EQ(back->value_inputs, 2u);
}

TEST(Recipe, ResultsThatAreCounted) {
  Recipe r = example();
  r.most = Dim::symbol("i0_0");
  r.results = {{2, Dim::symbol("count")}, {}};
  Arg a;
  a.kind = Arg::count;
  r.launches[0].args.push_back(a);
  auto back = Recipe::parse(r.to_text());
  ASSERT_TRUE(back.ok()) << back.status().to_string();
  EXPECT_EQ(back->to_text(), r.to_text());
  ASSERT_EQ(back->results.size(), 2u);
  EXPECT_EQ(to_string(back->results[0]), "[2, count]");
  EXPECT_EQ(back->most.to_string(), "i0_0");
  EXPECT_EQ(back->launches[0].args.back().kind, Arg::count);
}

TEST(Recipe, InputsThatNobodyReads) {
  EXPECT_EQ(example().unread_inputs(2), 1u);  // input 1 has an address and a value
  EXPECT_EQ(example().unread_inputs(4), 13u);
  EXPECT_EQ(example().unread_inputs(0), 0u);
}

TEST(Recipe, AnEmptyOneIsLegal) {
  auto back = Recipe::parse(Recipe().to_text());
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(back->launches.empty());
}

TEST(Recipe, HostileTextGivesAnError) {
  const char* const hostile[] = {
      "", "{", "[]", "null", "{}", R"({"launches": 3})", R"({"launches": [{}]})", R"({"launches": [3]})",
      R"({"launches": [{"kernel": "", "grid": [1,1,1], "block": [1,1,1], "args": []}]})",
      R"({"launches": [{"kernel": "a\u0000b", "grid": [1,1,1], "block": [1,1,1], "args": []}]})",
      R"({"launches": [{"kernel": "k", "grid": [1,1], "block": [1,1,1], "args": []}]})",
      R"({"launches": [{"kernel": "k", "grid": [1,1,1.5], "block": [1,1,1], "args": []}]})",
      R"({"launches": [{"kernel": "k", "grid": [1,1,"(("], "block": [1,1,1], "args": []}]})",
      R"({"launches": [{"kernel": "k", "grid": [1,1,1], "block": [1,1,1], "args": {}}]})",
      R"({"launches": [{"kernel": "k", "grid": [1,1,1], "block": [1,1,1], "args": [{"kind": "secret"}]}]})",
      R"({"launches": [{"kernel": "k", "grid": [1,1,1], "block": [1,1,1], "args": [{"kind": "input", "index": -1}]}]})",
      R"({"launches": [{"kernel": "k", "grid": [1,1,1], "block": [1,1,1], "args": [{"kind": "f32", "number": "x"}]}]})",
      R"({"launches": [{"kernel": "k", "grid": [1,1,1], "block": [1,1,1], "args": [{"kind": "map", "base": "i32"}]}]})",
      R"({"launches": [{"kernel": "k", "grid": [1,1,1], "block": [1,1,1], "cluster": 99, "args": []}]})",
      R"({"launches": [], "value_inputs": -1})", R"({"launches": [], "below_2g": 1})", R"({"launches": [], "scratch": {}})",
  };
  for (const char* text : hostile) {
    auto r = Recipe::parse(text);
    ASSERT_FALSE(r.ok()) << text;
    EXPECT_EQ(r.status().code(), Code::data_loss) << text;
    EXPECT_FALSE(r.status().remedy().empty()) << text;
  }
  // Cut anywhere, it is never taken for whole.
  const std::string whole = example().to_text();
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_FALSE(Recipe::parse(whole.substr(0, n)).ok()) << n;
}

TEST(Recipe, TensorMapsMustFitTogether) {
  for (int broken = 0; broken < 4; ++broken) {
    Recipe r = example();
    TensorMap& m = r.launches[0].args[3].map;
    if (broken == 0) m.strides.pop_back();
    if (broken == 1) m.element_strides.pop_back();
    if (broken == 2) m.lower.pop_back();
    if (broken == 3) m.lower.clear(), m.upper.clear();  // then it is tiled, and has no box
    EXPECT_FALSE(Recipe::parse(r.to_text()).ok()) << broken;
  }
}

}  // namespace
}  // namespace tenon::cuda
