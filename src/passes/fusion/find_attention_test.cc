#include "passes/pass_test.h"

namespace tenon {
namespace {

// Heads split off three projections, and what is between the product and the softmax: %a to %m.
std::string spelled(const std::string& inputs, const std::string& between) {
  return cat(R"(graph "g" (%x: f32[b, s, 12], %y: f32[b, t, 12], %z: f32[b, t, 8])", inputs, R"() -> (%o) {
  const %split: i64[4] = [0, 0, 2, -1]
  const %join: i64[3] = [0, 0, 8]
  const %half: f32[] = 0.5
  const %two: f32[] = 2.0
  const %low: f32[] = -1e9
  %qs = Reshape(%x, %split)
  %ks = Reshape(%y, %split)
  %vs = Reshape(%z, %split)
  %q = Transpose(%qs) {perm=[0, 2, 1, 3]}
  %k = Transpose(%ks) {perm=[0, 2, 3, 1]}
  %v = Transpose(%vs) {perm=[0, 2, 1, 3]}
)", between, R"(
  %p = Softmax(%m)
  %h = MatMul(%p, %v)
  %t = Transpose(%h) {perm=[0, 2, 1, 3]}
  %o = Reshape(%t, %join)
}
)");
}

// The Attention nodes after the pass, whose results are what they were.
std::vector<Node> found(const std::string& text, size_t count = 1) {
  const Graph g = expect_same_results("find_attention", text);
  std::vector<Node> out;
  for (const Node& n : g.nodes)
    if (n.op->name == "Attention") out.push_back(n);
  EXPECT_EQ(out.size(), count) << print(g);
  if (count) {
    EXPECT_EQ(ops_of(g).find("Softmax"), std::string::npos) << print(g);
  }
  return out;
}

// The graph's operators once the passes that clean up behind it have run.
Graph cleaned(const std::string& text) {
  Graph g = parse_or_die(text);
  for (const char* pass : {"find_attention", "transposes", "reshapes", "remove_noops", "reshapes", "common_subexpressions", "remove_dead"}) g = run_named(pass, std::move(g));
  expect_same_results(parse_or_die(text), g);
  return g;
}

TEST(FindAttention, NoTransposeIsLeft) {
  EXPECT_EQ(print(cleaned(spelled("", "%a = MatMul(%q, %k) %m = Mul(%a, %half)"))),
            R"(graph "g" (%x: f32[b, s, 12], %y: f32[b, t, 12], %z: f32[b, t, 8]) -> (%h.1 "o") {
  %h.1: f32[b, s, 8] = Attention(%x, %y, %z) {kv_num_heads=2, q_num_heads=2, scale=0.5}
}
)");
}

TEST(FindAttention, Scales) {
  for (const char* between : {"%a = MatMul(%q, %k) %m = Div(%a, %two)", "%a = MatMul(%q, %k) %m = Mul(%half, %a)", "%r = Mul(%q, %half) %m = MatMul(%r, %k)",
                              "%r = Mul(%q, %two) %n = Div(%k, %two) %a = MatMul(%r, %n) %m = Mul(%half, %a)"})
    EXPECT_EQ(found(spelled("", between))[0].attrs.f("scale"), 0.5f);
  EXPECT_EQ(found(spelled("", "%m = MatMul(%q, %k)"))[0].attrs.f("scale"), 1.0f);
}

TEST(FindAttention, ExactProductsMakeItExact) {
  EXPECT_EQ(found(spelled("", "%m = MatMul(%q, %k)"))[0].attrs.i("exact"), 0);
  EXPECT_EQ(found(spelled("", "%m = MatMul(%q, %k) {exact=1}"))[0].attrs.i("exact"), 1);
}

TEST(FindAttention, Masks) {
  for (const char* shape : {"[b, 2, s, t]", "[b, 1, s, t]", "[1, 1, s, t]", "[s, t]", "[b, 1, 1, t]", "[t]"})
    EXPECT_EQ(found(spelled(cat(", %c: f32", shape), "%a = MatMul(%q, %k) %e = Mul(%a, %half) %m = Add(%e, %c)"))[0].inputs.size(), 4u);
  found(spelled(", %c: f32[1, 2, s, t], %d: f32[b, 1, s, t]", "%a = MatMul(%q, %k) %e = Add(%a, %c) %m = Add(%d, %e)"));
  found(spelled(", %c: bool[b, 1, s, t]", "%a = MatMul(%q, %k) %m = Where(%c, %a, %low)"));
  found(spelled(", %c: bool[b, 1, s, t], %d: f32[s, t]", "%a = MatMul(%q, %k) %e = Add(%a, %d) %m = Where(%c, %e, %low)"));
}

TEST(FindAttention, WhatStays) {
  found(spelled(", %c: f32[b, 1, s, 1]", "%a = MatMul(%q, %k) %m = Add(%a, %c)"), 0);                    // not as long as the keys
  found(spelled(", %c: f32[s, t]", "%a = MatMul(%q, %k) %e = Add(%a, %c) %m = Mul(%e, %half)"), 0);      // the mask is scaled
  found(spelled(", %c: bool[s, t]", "%a = MatMul(%q, %k) %m = Where(%c, %a, %half)"), 0);                // keys stay
  found(spelled("", "%a = MatMul(%q, %k) %m = Relu(%a)"), 0);
  std::string seen = spelled("", "%m = MatMul(%q, %k)");
  seen.replace(seen.find("-> (%o)"), 7, "-> (%o, %p)");
  found(seen, 0);
}

TEST(FindAttention, OnlyWhereThereIsAKernel) {
  const Graph g = parse_or_die(spelled(", %c: f32[1, 1, s, t]", "%a = MatMul(%q, %k) %m = Add(%a, %c)"));
  PassOptions options;
  int asked = 0;
  options.has_kernel = [&](const Graph& h, const Node& n) {
    EXPECT_EQ(n.op->name, "Attention");
    EXPECT_EQ(to_string(h.info(n.inputs[0]).shape), "[b, s, 12]");
    EXPECT_EQ(to_string(h.info(n.inputs[3]).shape), "[1, 1, s, t]");
    return ++asked == 0;
  };
  auto out = run_pass(*find_pass("find_attention"), g, options);
  ASSERT_TRUE(out.ok()) << out.status().to_string();
  EXPECT_EQ(print(*out), print(g));
  EXPECT_EQ(asked, 1);
}

// One product makes all three, cut as torchvision's ViT does: lengths first, then Gathers.
TEST(FindAttention, PackedWithLengthsFirst) {
  const Graph g = cleaned(R"(graph "g" (%x: f32[b, 5, 24]) -> (%o) {
  const %cut: i64[4] = [5, -1, 3, 8]
  const %heads: i64[3] = [5, -1, 4]
  const %by_head: i64[4] = [-1, 2, 5, 4]
  const %join: i64[3] = [5, -1, 8]
  const %zero: i64[] = 0
  const %one: i64[] = 1
  const %last: i64[] = -1
  const %c: f32[] = 0.8
  const %w: f32[8, 8] = random 1
  %l = Transpose(%x) {perm=[1, 0, 2]}
  %r = Reshape(%l, %cut)
  %s = Transpose(%r) {perm=[2, 0, 1, 3]}
  %q1 = Gather(%s, %zero) {axis=0}
  %k1 = Gather(%s, %one) {axis=0}
  %v1 = Gather(%s, %last) {axis=0}
  %q2 = Reshape(%q1, %heads)
  %k2 = Reshape(%k1, %heads)
  %v2 = Reshape(%v1, %heads)
  %q3 = Transpose(%q2) {perm=[1, 0, 2]}
  %k3 = Transpose(%k2) {perm=[1, 2, 0]}
  %v3 = Transpose(%v2) {perm=[1, 0, 2]}
  const %by_column: i64[4] = [-1, 2, 4, 5]
  %q4 = Reshape(%q3, %by_head)
  %k4 = Reshape(%k3, %by_column)
  %v4 = Reshape(%v3, %by_head)
  %q5 = Mul(%q4, %c)
  %k5 = Mul(%k4, %c)
  %a = MatMul(%q5, %k5)
  %p = Softmax(%a)
  %h = MatMul(%p, %v4)
  %t = Transpose(%h) {perm=[2, 0, 1, 3]}
  %j = Reshape(%t, %join)
  %m = MatMul(%j, %w)
  %o = Transpose(%m) {perm=[1, 0, 2]}
}
)");
  ASSERT_EQ(ops_of(g), "Attention MatMul") << print(g);
  const Node& n = g.nodes[0];
  EXPECT_EQ(n.inputs, std::vector<ValueId>(3, g.inputs[0]));
  EXPECT_EQ(n.attrs.ints("columns"), (Ints{0, 8, 16}));
  EXPECT_EQ(n.attrs.ints("head_sizes"), (Ints{4, 4}));
  EXPECT_NEAR(n.attrs.f("scale"), 0.64, 1e-6);
}

TEST(FindAttention, PackedAndSplit) {
  const std::vector<Node> nodes = found(R"(graph "g" (%x: f32[b, s, 24]) -> (%h) {
  const %split: i64[4] = [0, 0, 2, 4]
  %q, %k, %v = Split(%x) {axis=2, num_outputs=3}
  %q1 = Reshape(%q, %split)
  %k1 = Reshape(%k, %split)
  %v1 = Reshape(%v, %split)
  %q2 = Transpose(%q1) {perm=[0, 2, 1, 3]}
  %k2 = Transpose(%k1) {perm=[0, 2, 3, 1]}
  %v2 = Transpose(%v1) {perm=[0, 2, 1, 3]}
  %a = MatMul(%q2, %k2)
  %p = Softmax(%a)
  %h = MatMul(%p, %v2)
}
)");
  EXPECT_EQ(nodes[0].attrs.ints("columns"), (Ints{0, 8, 16}));
}

// Keys and values that several heads share, repeated before the product; queries and keys come by heads.
TEST(FindAttention, SharedHeads) {
  const std::vector<Node> nodes = found(R"(graph "g" (%q: f32[b, 6, s, 4], %k: f32[b, 2, t, 4], %z: f32[b, t, 10]) -> (%h) {
  const %split: i64[4] = [0, 0, 2, 5]
  const %repeat: i64[5] = [1, 1, 3, 1, 1]
  const %one: i64[1] = [2]
  const %k_joined: i64[4] = [0, 6, -1, 4]
  const %v_joined: i64[4] = [0, 6, -1, 5]
  %k1 = Unsqueeze(%k, %one)
  %k2 = Expand(%k1, %repeat)
  %k3 = Reshape(%k2, %k_joined)
  %k4 = Transpose(%k3) {perm=[0, 1, 3, 2]}
  %z1 = Reshape(%z, %split)
  %v = Transpose(%z1) {perm=[0, 2, 1, 3]}
  %v1 = Unsqueeze(%v, %one)
  %v2 = Expand(%v1, %repeat)
  %v3 = Reshape(%v2, %v_joined)
  %a = MatMul(%q, %k4)
  %p = Softmax(%a)
  %h = MatMul(%p, %v3)
}
)");
  EXPECT_FALSE(nodes[0].attrs.has("columns") && !nodes[0].attrs.ints("columns").empty());
}

// As exporters write it where they know the operator.
TEST(FindAttention, ByHeadBetweenTransposes) {
  const char* text = R"(graph "g" (%x: f32[b, s, 36], %c: bool[s, s]) -> (%o) {
    const %split: i64[4] = [0, 0, 3, 4]
    const %join: i64[3] = [0, 0, 12]
    %q, %k, %v = Split(%x) {axis=2, num_outputs=3}
    %q1 = Reshape(%q, %split)
    %k1 = Reshape(%k, %split)
    %v1 = Reshape(%v, %split)
    %q2 = Transpose(%q1) {perm=[0, 2, 1, 3]}
    %k2 = Transpose(%k1) {perm=[0, 2, 1, 3]}
    %v2 = Transpose(%v1) {perm=[0, 2, 1, 3]}
    %h = Attention(%q2, %k2, %v2, %c) {softcap=3.0}
    %t = Transpose(%h) {perm=[0, 2, 1, 3]}
    %o = Reshape(%t, %join)
  })";
  const Graph g = cleaned(text);
  ASSERT_EQ(ops_of(g), "Attention") << print(g);
  EXPECT_EQ(g.nodes[0].attrs.f("softcap"), 3.0f);
  EXPECT_EQ(g.nodes[0].attrs.ints("columns"), (Ints{0, 12, 24}));
}

}  // namespace
}  // namespace tenon
