// Inference of bodies: symbols that never mean two things, sizes that stay true from round to round, and bounded work.
#include "ir/infer.h"

#include <gtest/gtest.h>

#include <chrono>

#include "ir/text.h"

namespace tenon {
namespace {

// The made-up symbols of a graph's own values; of graphs inside of it too, each where it is made.
void collect(const Graph& g, std::set<std::string>& out) {
  for (const Value& v : g.values)
    for (const Dim& d : v.info.shape) d.collect_symbols(out);
}

std::vector<const Graph*> bodies(const Graph& g) {
  std::vector<const Graph*> out;
  for (const Node& n : g.nodes)
    for (const auto& [name, value] : n.attrs)
      if (auto body = std::get_if<GraphPtr>(&value)) out.push_back(body->get());
  return out;
}

// A symbol of a body is its own, or came in by an input.
void expect_own_symbols(const Graph& g, std::set<std::string> around = {}) {
  collect(g, around);
  for (const Graph* body : bodies(g)) {
    std::set<std::string> given, all;
    for (ValueId v : body->inputs)
      for (const Dim& d : body->info(v).shape) d.collect_symbols(given);
    collect(*body, all);
    for (const std::string& s : all)
      EXPECT_TRUE(given.contains(s) || !around.contains(s)) << s << " of '" << body->name << "' is known outside\n" << print(g);
    expect_own_symbols(*body, around);
  }
}

const char* const kNested = R"(graph "g" (%x: f32[n], %m: i64[]) -> (%y, %s) {
  %z = NonZero(%x)
  %y, %s = Loop(%m, _, %x, %m, %z) {captures=2,
    body=graph "outer" (%i: i64[], %go: bool[], %v: f32[k], %m: i64[], %z: i64[1, q]) -> (%on, %w, %t) {
      %on = Identity(%go)
      %nz = NonZero(%v)
      %u, %sums = Loop(%m, _, %v, %nz, %z) {captures=2,
        body=graph "inner" (%j: i64[], %go2: bool[], %a: f32[l], %nz: i64[1, h], %z: i64[1, q]) -> (%on2, %b, %sum) {
          %on2 = Identity(%go2)
          %nz2 = NonZero(%a)
          %all = Concat(%nz, %nz2, %z) {axis=1}
          %b = Concat(%a, %a) {axis=0}
          %sum = ReduceSum(%all) {keepdims=0}
        }}
      %w = Concat(%u, %v) {axis=0}
      %t = ReduceSum(%sums) {keepdims=0}
    }}
})";

TEST(Infer, ABodysSymbolsAreNeverThoseOfAGraphAroundIt) {
  auto g = parse(kNested);
  ASSERT_TRUE(g.ok()) << g.status().to_string();
  expect_own_symbols(*g);
  // Three sizes that have nothing to do with each other.
  const Graph& inner = *bodies(*bodies(*g)[0])[0];
  for (const Node& n : inner.nodes)
    if (n.op->name == "Concat" && n.inputs.size() == 3) {
      std::set<std::string> symbols;
      inner.info(n.outputs[0]).shape[1].collect_symbols(symbols);
      EXPECT_EQ(symbols.size(), 3u) << print(*g);
    }
}

TEST(Infer, InferringAgainChangesNothing) {
  auto g = parse(kNested);
  ASSERT_TRUE(g.ok());
  const std::string first = print(*g);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(infer_graph(*g).ok());
  EXPECT_EQ(print(*g), first);
  EXPECT_EQ(print(*parse(first)), first);
}

TEST(Infer, WhatHeldInTheFirstRoundIsForgotten) {
  // The size of %r follows from that of %v, 4 in the first round only.
  auto g = parse(R"(graph "g" (%x: f32[4], %m: i64[]) -> (%y, %t) {
    %y, %t = Loop(%m, _, %x) {captures=0,
      body=graph "b" (%i: i64[], %go: bool[], %v: f32[k]) -> (%on, %w, %s) {
        %on = Identity(%go)
        const %scale: f32[1] = [1.3]
        %w = Concat(%v, %v) {axis=0}
        %r = Resize(%v, _, %scale)
        %shape = Shape(%r)
        const %zero: i64[] = 0
        %s = Gather(%shape, %zero)
      }}
  })");
  ASSERT_TRUE(g.ok()) << g.status().to_string();
  const Graph& body = *bodies(*g)[0];
  for (const Node& n : body.nodes)
    EXPECT_FALSE(n.op->name == "Resize" && body.info(n.outputs[0]).shape[0].is_const()) << print(*g);
}

// `depth` loops inside each other, each of which grows what it carries and what the next one carries.
std::string nest(int depth) {
  std::string text = R"(%w = Concat(%v, %v) {axis=0})";
  for (int d = 0; d < depth; ++d)
    text = cat(R"(%u = Loop(%m, _, %v, %m) {captures=1, body=graph "b)", d,
               R"(" (%i: i64[], %go: bool[], %v: f32[k], %m: i64[]) -> (%on, %w) { %on = Identity(%go) )", text, " }} %w = Concat(%u, %v) {axis=0}");
  return cat(R"(graph "g" (%v: f32[2], %m: i64[]) -> (%w) { )", text, " }");
}

TEST(Infer, NestedLoopsCostNoMoreThanTheirDepthAsks) {
  auto seconds = [](int depth) {
    const auto begin = std::chrono::steady_clock::now();
    auto g = parse(nest(depth));
    EXPECT_TRUE(g.ok()) << depth << ": " << g.status().message();
    EXPECT_TRUE(!g.ok() || infer_graph(*g).ok());
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  for (int depth : {1, 2, 4, 8, 16}) EXPECT_LT(seconds(depth), 2) << depth;  // a few milliseconds; unbounded, 16 would take weeks
}

}  // namespace
}  // namespace tenon
