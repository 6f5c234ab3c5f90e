// Where values stand: views, pieces of inputs and of outputs, and what keeps its own memory.
#include "engine/liveness.h"

#include <gtest/gtest.h>

#include "ir/text.h"

namespace tenon {
namespace {

// A graph whose shapes are numbers; those of values named in `unknown` are not told. MatMul can write rows
// apart.
struct Placed {
  Graph g;
  Liveness live;

  explicit Placed(std::string_view text, const std::set<std::string>& unknown = {}) {
    auto parsed = parse(text);
    EXPECT_TRUE(parsed.ok()) << parsed.status().to_string();
    if (!parsed.ok()) return;
    g = std::move(parsed).value();
    std::vector<std::optional<Shape>> shapes;
    for (const Value& v : g.values)
      shapes.push_back(unknown.contains(v.name) ? std::nullopt : to_concrete(v.info.shape));
    live = find_liveness(
        g,
        {[&](ValueId v) { return shapes[size_t(v)] ? &*shapes[size_t(v)] : nullptr; },
         [&](ValueId v) { return g.is_constant(v) ? std::optional(g.constant(v).to_ints()) : std::nullopt; },
         [&](size_t n) { return g.nodes[n].op->name == "MatMul"; }});
  }
  size_t id(const std::string& name) const {
    for (size_t v = 0; v < g.values.size(); ++v)
      if (g.values[v].name == name) return v;
    ADD_FAILURE() << "no value " << name;
    return 0;
  }
  // "y+48": the root and the offset.
  std::string at(const std::string& name) const {
    const size_t v = id(name);
    return cat(g.value(live.root[v]).name, "+", live.offset[v]);
  }
  // The step that makes the output `name`.
  size_t maker(const std::string& name) const {
    for (size_t n = 0; n < g.nodes.size(); ++n)
      for (ValueId v : g.nodes[n].outputs)
        if (v == ValueId(id(name))) return n;
    ADD_FAILURE() << "nobody makes " << name;
    return 0;
  }
  bool placed(const std::string& name) const { return live.placed[maker(name)]; }
  std::vector<size_t> copied(const std::string& name) const {
    std::vector<size_t> out;
    for (const CopiedPart& p : live.copied[maker(name)]) out.push_back(p.input);
    return out;
  }
};
using Inputs = std::vector<size_t>;

TEST(Liveness, WithNothingKnownOnlyViewsAreFound) {
  const Graph g = parse(R"(graph "g" (%x: f32[4, 4]) -> (%y) {
    %a = Relu(%x)
    %b = Neg(%x)
    %c = Concat(%a, %b) {axis=0}
    const %s: i64[1] = [-1]
    %f = Reshape(%c, %s)
    %y = Abs(%f)
  })")
                      .value();
  const Liveness live = find_liveness(g);
  for (size_t v = 0; v < g.values.size(); ++v) {
    EXPECT_EQ(g.value(live.root[v]).name, g.values[v].name == "f" ? "c" : g.values[v].name);
    EXPECT_EQ(live.offset[v], 0);
  }
  EXPECT_EQ(std::count(live.placed.begin(), live.placed.end(), true), 0);
}

TEST(Liveness, PartsStandInTheirConcat) {
  const Placed p(R"(graph "g" (%x: f32[1, 4, 8]) -> (%y) {
    %a = Relu(%x)
    %b = Neg(%a)
    %c = Concat(%a, %b) {axis=1}
    %y = Transpose(%c) {perm=[0, 2, 1]}
  })");
  EXPECT_EQ(p.at("a"), "c+0");
  EXPECT_EQ(p.at("b"), "c+128");
  EXPECT_TRUE(p.placed("c"));
  EXPECT_TRUE(p.copied("c").empty());
  EXPECT_FALSE(p.live.whole[p.id("a")]);
  // It lives from its first part on.
  EXPECT_EQ(p.live.defined_at[p.id("c")], 0);
  EXPECT_EQ(p.live.last_use[p.id("c")], 3);
  EXPECT_EQ(p.live.defined_at[p.id("a")], -1);
}

TEST(Liveness, RowsOfPartsThatAreApartAreCopied) {
  const Placed p(R"(graph "g" (%x: f32[2, 4, 8]) -> (%y) {
    %a = Relu(%x)
    %b = Neg(%a)
    %y = Concat(%a, %b) {axis=1}
  })");
  EXPECT_FALSE(p.placed("y"));
  EXPECT_EQ(p.at("a"), "a+0");
}

TEST(Liveness, WhatIsNotThePlansToMoveIsCopied) {
  // An input, a constant, an output, a part named twice, a part that is in another Concat already.
  const Placed p(R"(graph "g" (%x: f32[4]) -> (%o, %y, %z, %w, %v) {
    const %k: f32[4] = [1.0, 2.0, 3.0, 4.0]
    %a = Relu(%x)
    %b = Neg(%x)
    %o = Abs(%x)
    %y = Concat(%x, %a, %k, %b) {axis=0}
    %z = Concat(%o, %o) {axis=0}
    %c = Exp(%x)
    %w = Concat(%c, %c) {axis=0}
    %d = Sin(%x)
    %v = Concat(%a, %d) {axis=0}
  })");
  EXPECT_EQ(p.at("a"), "y+16");
  EXPECT_EQ(p.at("b"), "y+48");
  EXPECT_EQ(p.at("x"), "x+0");
  EXPECT_EQ(p.copied("y"), (Inputs{0, 2}));
  EXPECT_EQ(p.live.copied[p.maker("y")][1].offset, 32);
  EXPECT_EQ(p.live.copied[p.maker("y")][1].bytes, 16);
  EXPECT_FALSE(p.placed("z"));
  EXPECT_EQ(p.at("o"), "o+0");
  EXPECT_EQ(p.copied("w"), (Inputs{1}));
  EXPECT_EQ(p.copied("v"), (Inputs{0}));
  EXPECT_EQ(p.at("d"), "v+16");
}

TEST(Liveness, MostlyCopiesAreLeftToTheKernel) {
  const Placed p(R"(graph "g" (%x: f32[8], %z: f32[4]) -> (%y) {
    %a = Relu(%z)
    %y = Concat(%x, %a) {axis=0}
  })");
  EXPECT_FALSE(p.placed("y"));
  EXPECT_EQ(p.at("a"), "a+0");
}

TEST(Liveness, WhereKernelsCannotBeginIsCopied) {
  const Placed p(R"(graph "g" (%x: f32[5], %z: f32[3]) -> (%y, %p, %q) {
    %a = Relu(%x)
    %b = Neg(%z)
    %y = Concat(%a, %b) {axis=0}
    const %s: i64[2] = [2, 3]
    %p, %q = Split(%a, %s) {axis=0}
  })");
  EXPECT_EQ(p.at("a"), "y+0");
  EXPECT_EQ(p.copied("y"), (Inputs{1}));
  EXPECT_FALSE(p.placed("p"));
  EXPECT_EQ(p.at("q"), "q+0");
}

TEST(Liveness, ConcatsOfConcatsAndOfViews) {
  const Placed p(R"(graph "g" (%x: f32[1, 4]) -> (%y) {
    const %s: i64[1] = [-1]
    %a = Relu(%x)
    %b = Neg(%a)
    %c = Concat(%a, %b) {axis=1}
    %d = Abs(%c)
    %e = Concat(%d, %c) {axis=1}
    %f = Reshape(%e, %s)
    %g = Sin(%f)
    %h = Concat(%g, %f) {axis=0}
    %y = Exp(%h)
  })");
  EXPECT_EQ(p.at("h"), "h+0");
  EXPECT_EQ(p.at("f"), "h+64");
  EXPECT_EQ(p.at("e"), "h+64");
  EXPECT_EQ(p.at("d"), "h+64");
  EXPECT_EQ(p.at("c"), "h+96");
  EXPECT_EQ(p.at("b"), "h+112");
  EXPECT_EQ(p.live.defined_at[p.id("h")], 0);
}

TEST(Liveness, SplitSliceAndGatherShowTheirInput) {
  const Placed p(R"(graph "g" (%x: f32[3, 4, 4]) -> (%y, %y2, %y3, %y4) {
    const %from: i64[2] = [-1, 1]
    const %to: i64[2] = [9, 3]
    const %k: i64[] = -2
    const %step: i64[1] = [2]
    const %one: i64[1] = [0]
    const %three: i64[1] = [3]
    %a = Relu(%x)
    %p, %q, %r = Split(%a) {axis=0, num_outputs=3}
    %s = Slice(%a, %from, %to)
    %g = Gather(%a, %k) {axis=0}
    %t = Slice(%a, %one, %three, %one, %step)
    %u = Slice(%a, %one, %three, %step)
    %m, %n = Split(%q) {axis=1, num_outputs=2}
    %y = ReduceSum(%n)
    %y2 = ReduceSum(%g)
    %y3 = ReduceSum(%r)
    %y4 = ReduceSum(%s)
  })");
  EXPECT_EQ(p.at("p"), "a+0");
  EXPECT_EQ(p.at("r"), "a+128");
  EXPECT_EQ(p.at("s"), "a+144");
  EXPECT_EQ(p.at("g"), "a+64");
  EXPECT_EQ(p.at("n"), "a+96");
  EXPECT_EQ(p.at("t"), "t+0");  // every other row
  EXPECT_EQ(p.at("u"), "u+0");  // some columns of all rows
  EXPECT_TRUE(p.placed("g"));
  EXPECT_FALSE(p.placed("u"));
  EXPECT_FALSE(p.live.whole[p.id("p")]);
  EXPECT_EQ(p.live.last_use[p.id("a")], int(p.maker("y4")));
}

TEST(Liveness, ASmallRunDoesNotKeepALargeInputAlive) {
  const char* text = R"(graph "g" (%x: f32[8, 4]) -> (%y, %z) {
    const %k: i64[] = 3
    %a = Relu(%x)
    %g = Gather(%a, %k) {axis=0}
    %b = Neg(%a)
    %y = ReduceSum(%g)
    %z = ReduceSum(%b)
  })";
  EXPECT_FALSE(Placed(text).placed("g"));
  std::string longer(text);
  longer.replace(longer.find("%z = ReduceSum(%b)"), 18, "%z = Add(%b, %a)");  // now it is alive anyway
  EXPECT_TRUE(Placed(longer).placed("g"));
}

TEST(Liveness, APieceOfAValueIsNotThatValue) {
  // A part of `a` cannot take `a` along into the Concat.
  const Placed p(R"(graph "g" (%x: f32[2, 4]) -> (%y) {
    %a = Relu(%x)
    %p, %q = Split(%a) {axis=0, num_outputs=2}
    %b = Neg(%x)
    %y = Concat(%q, %b) {axis=0}
  })");
  EXPECT_EQ(p.at("q"), "a+16");
  EXPECT_EQ(p.copied("y"), (Inputs{0}));
}

TEST(Liveness, WhatOnlyTheRunTellsKeepsItsKernel) {
  const char* text = R"(graph "g" (%x: f32[4], %n: i64[1]) -> (%y, %z) {
    %a = Relu(%x)
    %b = Neg(%x)
    %y = Concat(%a, %b) {axis=0}
    %z: f32[4] = Slice(%a, %n, %n)
  })";
  EXPECT_TRUE(Placed(text).placed("y"));
  EXPECT_FALSE(Placed(text).placed("z"));  // the bounds are not known
  EXPECT_FALSE(Placed(text, {"b"}).placed("y"));
}

TEST(Liveness, NothingOfConstantsIsShown) {
  const Placed p(R"(graph "g" (%x: f32[4]) -> (%y) {
    const %k: f32[2, 4] = random 1
    %p, %q = Split(%k) {axis=0, num_outputs=2}
    %y = Add(%x, %q)
  })");
  EXPECT_FALSE(p.placed("q"));
}

TEST(Liveness, PartsWithoutElements) {
  const Placed p(R"(graph "g" (%x: f32[1, 0], %z: f32[1, 4]) -> (%y, %w) {
    %a = Relu(%x)
    %b = Neg(%z)
    %y = Concat(%a, %b, %a) {axis=1}
    %w = Concat(%a, %a) {axis=1}
  })");
  EXPECT_EQ(p.at("a"), "a+0");
  EXPECT_EQ(p.at("b"), "y+0");
  EXPECT_TRUE(p.copied("y").empty());
  EXPECT_TRUE(p.placed("w"));
}

// ---- rows apart ----

TEST(Liveness, RowsLieApartWhereTheKernelWritesThem) {
  const Placed p(R"(graph "g" (%x: f32[2, 3, 4], %w: f32[4, 5]) -> (%y) {
    const %s: i64[4] = [2, 3, 1, -1]
    %a = MatMul(%x, %w)
    %v = Reshape(%a, %s)
    %u = Reshape(%x, %s)
    %y = Concat(%u, %v) {axis=-1}
  })");
  EXPECT_EQ(p.at("a"), "y+16");
  EXPECT_EQ(p.live.pitch[p.id("a")], 36);
  EXPECT_EQ(p.live.pitch[p.id("y")], 0);
  ASSERT_EQ(p.copied("y"), (Inputs{0}));
  const CopiedPart& part = p.live.copied[p.maker("y")][0];
  EXPECT_EQ(part.bytes, 16);
  EXPECT_EQ(part.rows, 6);
  EXPECT_EQ(part.pitch, 36);
}

TEST(Liveness, RowsLieApartWithinAConcatOfConcats) {
  const Placed p(R"(graph "g" (%x: f32[2, 4], %w: f32[4, 8], %u: f32[4, 4]) -> (%y) {
    %a = MatMul(%x, %w)
    %b = MatMul(%x, %u)
    %c = Concat(%a, %b) {axis=1}
    %y = Concat(%c, %c) {axis=0}
  })");
  EXPECT_EQ(p.at("b"), "y+32");
  EXPECT_EQ(p.live.pitch[p.id("b")], 48);
  EXPECT_EQ(p.live.pitch[p.id("c")], 0);
}

TEST(Liveness, RowsStayTogetherWhereOthersSeeThem) {
  // A second reader, an output, a run that is not the kernel's row, a kernel that cannot.
  const Placed p(R"(graph "g" (%x: f32[2, 3, 4], %w: f32[4, 8]) -> (%y, %z, %b, %o, %p, %q) {
    const %s: i64[2] = [2, -1]
    %a = MatMul(%x, %w)
    %z = Neg(%a)
    %y = Concat(%a, %a) {axis=-1}
    %b = MatMul(%x, %w)
    %o = Concat(%b, %x) {axis=-1}
    %c = MatMul(%x, %w)
    %d = Reshape(%c, %s)
    %p = Concat(%d, %d) {axis=-1}
    %e = Neg(%x)
    %q = Concat(%e, %x) {axis=-1}
  })");
  for (const char* name : {"y", "o", "p", "q"}) EXPECT_FALSE(p.placed(name)) << name;
  for (int64_t pitch : p.live.pitch) EXPECT_EQ(pitch, 0);
}

}  // namespace
}  // namespace tenon
