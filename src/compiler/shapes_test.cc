// Shapes that a user asks for: their form, profiles, and what is refused.
#include "compiler/shapes.h"

#include <gtest/gtest.h>

#include "ir/text.h"

namespace tenon {
namespace {

Graph graph() {
  auto g = parse(R"(graph "g" (%x: f32[batch, 3, h, w], %ids: i64[batch, seq], %any: f32[*]) -> (%y) { %y = Relu(%x) })");
  EXPECT_TRUE(g.ok()) << g.status().message();
  return *g;
}

std::vector<ShapeSpec> specs(const std::vector<const char*>& texts) {
  std::vector<ShapeSpec> out;
  for (const char* t : texts) {
    auto s = parse_shape_spec(t);
    EXPECT_TRUE(s.ok()) << t;
    if (s.ok()) out.push_back(*s);
  }
  return out;
}

std::string error(const std::vector<const char*>& texts) {
  Graph g = graph();
  auto p = apply_shapes(g, specs(texts));
  if (p.ok()) return "no error";
  EXPECT_EQ(p.status().code(), Code::invalid_argument);
  return p.status().message();
}

TEST(Shapes, SpecsParse) {
  auto s = parse_shape_spec("a:b:1..8..64x3x0..2x7");
  ASSERT_TRUE(s.ok());
  EXPECT_EQ(s->input, "a:b");
  ASSERT_EQ(s->dims.size(), 4u);
  EXPECT_EQ(s->dims[0].min, 1);
  EXPECT_EQ(s->dims[0].opt, 8);
  EXPECT_EQ(s->dims[0].max, 64);
  EXPECT_EQ(s->dims[1].max, 3);
  EXPECT_EQ(s->dims[2].opt, 2);
  EXPECT_TRUE(parse_shape_spec("scalar:")->dims.empty());
}

TEST(Shapes, BrokenSpecsShowTheForm) {
  for (const char* text : {"", "x", ":1x2", "x:1y2", "x:1x", "x:x1", "x:-1", "x:2..1", "x:3..2..1", "x:1..2..3..4", "x:1..", "x:..1",
                           "x:99999999999999999999", "x:1 x 2", "x:1.5"}) {
    auto s = parse_shape_spec(text);
    ASSERT_FALSE(s.ok()) << text;
    EXPECT_NE(s.status().remedy().find("NAME:1x3x224x224"), std::string::npos);
  }
}

TEST(Shapes, WhatOneSizeFixesBecomesAConstant) {
  Graph g = graph();
  auto p = apply_shapes(g, specs({"x:4x3x32..64x32"}));
  ASSERT_TRUE(p.ok()) << p.status().message();
  ASSERT_EQ(p->size(), 1u);
  EXPECT_EQ(to_string(g.info(g.inputs[0]).shape), "[4, 3, h, 32]");
  EXPECT_EQ(to_string(g.info(g.inputs[1]).shape), "[4, seq]");
  EXPECT_EQ(to_string(g.info(g.outputs[0]).shape), "[4, 3, h, 32]");
  EXPECT_FALSE((*p)[0].dims.contains("batch"));
  EXPECT_EQ((*p)[0].dims.at("h").max, 64);
  EXPECT_EQ((*p)[0].dims.at("seq").max, kUnbounded);
  EXPECT_EQ(optimum_shapes(g, (*p)[0])[0], (std::vector<int64_t>{4, 3, 64, 32}));
}

TEST(Shapes, SeveralProfiles) {
  Graph g = graph();
  auto p = apply_shapes(g, specs({"x:1x3x8x8", "x:2..4x3x8x16", "ids:1x5"}));
  ASSERT_TRUE(p.ok()) << p.status().message();
  ASSERT_EQ(p->size(), 2u);
  EXPECT_EQ(to_string(g.info(g.inputs[0]).shape), "[batch, 3, 8, w]");
  EXPECT_EQ((*p)[0].dims.at("batch").max, 1);
  EXPECT_EQ((*p)[1].dims.at("batch").max, 4);
  EXPECT_EQ((*p)[1].dims.at("w").min, 16);
}

TEST(Shapes, UnknownRanksTakeTheGivenOne) {
  Graph g = graph();
  auto p = apply_shapes(g, specs({"any:2x3..5"}));
  ASSERT_TRUE(p.ok()) << p.status().message();
  const ValueInfo& info = g.info(g.inputs[2]);
  ASSERT_EQ(info.shape.size(), 2u);
  EXPECT_TRUE(info.shape[0].is(2));
  EXPECT_TRUE(info.shape[1].is_symbol());
}

TEST(Shapes, WhatDoesNotFitTheModelIsRefused) {
  EXPECT_NE(error({"iddz:1x1"}).find("no input 'iddz'; it has: x, ids, any"), std::string::npos);
  EXPECT_NE(error({"idz:1x1"}).find("did you mean 'ids'"), std::string::npos);
  EXPECT_NE(error({"x:1x3x8"}).find("the shape given has 3 dimensions"), std::string::npos);
  EXPECT_NE(error({"x:1x4x8x8"}).find("is 3 in the model and cannot be 4"), std::string::npos);
  EXPECT_NE(error({"x:1x1..3x8x8"}).find("cannot be 1 to 3"), std::string::npos);
  EXPECT_NE(error({"x:2x3x8x8", "ids:3x1"}).find("another input gives 2 to 2"), std::string::npos);
}

}  // namespace
}  // namespace tenon
