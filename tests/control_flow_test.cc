// If, Loop and Scan through the whole way: branches that cannot work, loops of no rounds, sizes that only the data tells.
#include <cmath>

#include "compiler/report.h"
#include "whole.h"

namespace tenon {
namespace {

using namespace whole;

// The else_branch asks for 3 and -1 of 2 elements, and adds what has not one type.
const char* const kImpossible = R"(graph "g" (%x: f32[2], %c: bool[]) -> (%y) {
  %y = If(%c, %x) {captures=1,
    then_branch=graph "t" (%p: f32[2]) -> (%q) { %i = Identity(%p) %e = Exp(%i) %q = Neg(%e) },
    else_branch=graph "e" (%p: f32[2]) -> (%q) {
      const %s: i64[2] = [3, -1]
      %a: f32[*], %b: f32[*] = Split(%p, %s) "halves"
      %m: f32[*] = MatMul(%a, %b) "product"
      %k: i64[*] = Cast(%m) {to=7}
      %u: i64[*] = Add(%k, %s)
      %q: f32[*] = Cast(%u) {to=1}
    }} "choice"
})";

TEST(ControlFlow, ABranchThatCannotWorkFailsOnlyWhenItIsTaken) {
  for (const char* device : kDevices) {
    auto built = build(kImpossible, device);
    ASSERT_TRUE(built.ok()) << built.status().to_string();
    auto c = open(*built);
    ASSERT_TRUE(c);
    std::vector<Tensor> y;
    for (int round = 0; round < 2; ++round) {
      const Status s = c->run({ramp({2}), truth(true)}, y);
      ASSERT_TRUE(s.ok()) << s.to_string();
      EXPECT_NEAR(y[0].at(0), -std::exp(-3), 1e-6);
      const std::string says = error(*c, {ramp({2}), truth(false)});
      EXPECT_NE(says.find("If 'choice': Split 'halves': "), std::string::npos) << says;
      EXPECT_NE(says.find("negative"), std::string::npos) << says;
      y.clear();
    }
    // The branch that works is optimised, and the report names what cannot.
    const GraphPtr good = built->content.graph.nodes[0].attrs.graph("then_branch");
    EXPECT_EQ(good->nodes.size(), 1u);
    std::string fallbacks;
    for (const std::string& f : list_fallbacks(built->content)) fallbacks += f + "\n";
    EXPECT_NE(fallbacks.find("Split 'halves': cannot work if it is ever reached"), std::string::npos) << fallbacks;
  }
}

TEST(ControlFlow, ABranchThatCannotWorkInsideOfALoop) {
  const char* text = R"(graph "g" (%x: f32[n, 2], %m: i64[]) -> (%y, %s) {
    %y, %s = Loop(%m, _, %x) {captures=0,
      body=graph "b" (%i: i64[], %go: bool[], %v: f32[n, 2]) -> (%on, %w, %t) {
        %on = Identity(%go)
        const %three: i64[] = 3
        %early = Less(%i, %three)
        %w = If(%early, %v) {captures=1,
          then_branch=graph "t" (%p: f32[n, 2]) -> (%q) { %q = Neg(%p) },
          else_branch=graph "e" (%p: f32[n, 2]) -> (%q) {
            const %z: i64[1] = [5]
            %q: f32[*] = Squeeze(%p, %z) "squeeze"
          }} "inner"
        %t = ReduceSum(%w) {keepdims=0}
      }} "rounds"
  })";
  for (const char* device : kDevices) {
    auto c = open(text, device);
    ASSERT_TRUE(c);
    expect_right(*c, text, {ramp({3, 2}), Tensor::scalar_int(3)});
    const std::string says = error(*c, {ramp({3, 2}), Tensor::scalar_int(4)});
    EXPECT_NE(says.find("Loop 'rounds': If 'inner': Squeeze 'squeeze': "), std::string::npos) << says;
  }
}

TEST(ControlFlow, ABranchThatIsAlwaysTakenAndCannotWorkStopsTheBuild) {
  std::string text = kImpossible;
  text.replace(text.find(", %c: bool[]"), 12, "");
  text.insert(text.find("%y = If"), "const %c: bool[] = 0\n  ");
  auto g = parse(text);
  ASSERT_FALSE(g.ok());
  EXPECT_NE(g.status().message().find("Split 'halves': "), std::string::npos) << g.status().message();
}

TEST(ControlFlow, LoopsOfNoRounds) {
  // What is carried stays; scan outputs are empty, of the body's shape where inference tells it.
  const char* text = R"(graph "g" (%x: f32[n], %m: i64[], %c: bool[]) -> (%y, %z, %s, %t, %u) {
    %r = Relu(%x)
    %y, %s, %t, %u = Loop(%m, %c, %r, %x) {captures=1,
      body=graph "b" (%i: i64[], %go: bool[], %v: f32[n], %x: f32[n]) -> (%on, %w, %a, %b, %d) {
        %on = Identity(%go)
        %w = Neg(%v)
        const %shape: i64[2] = [1, -1]
        %a = Reshape(%w, %shape)
        %b: i64[1, k] = NonZero(%x)
        %some: bool[n] = Greater(%x, %w)
        %d: f32[*] = If(%go, %x) {captures=1,
          then_branch=graph "t" (%p: f32[n]) -> (%q) { %q = Identity(%p) },
          else_branch=graph "e" (%p: f32[n]) -> (%q) { const %o: i64[1] = [0] %q = Unsqueeze(%p, %o) }}
      }}
    %z0 = Exp(%x)
    %z1 = Neg(%z0)
    %z = Exp(%z1)
  })";
  for (const char* device : kDevices) {
    auto c = open(text, device);
    ASSERT_TRUE(c);
    for (auto [m, go] : {std::pair(0, true), {3, false}, {-1, true}, {2, true}, {0, false}}) {
      std::vector<Tensor> y;
      const Tensor x = ramp({5});
      const Status s = c->run({x, Tensor::scalar_int(m), truth(go)}, y);
      ASSERT_TRUE(s.ok()) << s.to_string();
      const bool rounds = m > 0 && go;
      EXPECT_EQ(y[0].to_doubles(), (std::vector<double>{0, 0, 0, 0, 1}));
      EXPECT_NE(y[0].data(), x.data());
      EXPECT_EQ(y[2].shape(), rounds ? (Shape{2, 1, 5}) : (Shape{0, 1, 5}));
      EXPECT_EQ(y[3].shape(), rounds ? (Shape{2, 1, 4}) : (Shape{0, 1, 0}));
      EXPECT_EQ(y[3].dtype(), DType::i64);
      EXPECT_EQ(y[4].shape().size(), rounds ? 2u : y[4].shape().size());
      EXPECT_EQ(y[4].shape()[0], rounds ? 2 : 0);
      expect_right(*c, text, {x, Tensor::scalar_int(m), truth(go)});
    }
  }
}

TEST(ControlFlow, LoopsOfNoRoundsWhoseResultMayHaveAnyRank) {
  const char* text = R"(graph "g" (%x: f32[n], %k: i64[r], %m: i64[]) -> (%y, %s) {
    %y, %s = Loop(%m, _, %x, %k) {captures=1,
      body=graph "b" (%i: i64[], %go: bool[], %v: f32[n], %k: i64[r]) -> (%on, %w, %a) {
        %on = Identity(%go)
        %w = Neg(%v)
        %a: f32[*] = Reshape(%w, %k)
      }}
  })";
  for (const char* device : kDevices) {
    auto c = open(text, device);
    ASSERT_TRUE(c);
    std::vector<Tensor> y;
    Status s = c->run({ramp({6}), Tensor::of_ints({2, 3}), Tensor::scalar_int(0)}, y);
    ASSERT_TRUE(s.ok()) << s.to_string();
    EXPECT_EQ(y[0].identical(ramp({6})), true);
    EXPECT_EQ(y[1].shape(), (Shape{0, 2, 3}));
    y.clear();
    s = c->run({ramp({6}), Tensor::of_ints({2, 3}), Tensor::scalar_int(4)}, y);
    ASSERT_TRUE(s.ok()) << s.to_string();
    EXPECT_EQ(y[1].shape(), (Shape{4, 2, 3}));
    // Each round's view shows what the round before gave on, which is gone by the time that the rounds are put together.
    for (int64_t i = 0; i < y[1].size(); ++i) EXPECT_EQ(y[1].at(i), (i / 6 % 2 ? 1 : -1) * ramp({6}).at(i % 6)) << i;
  }
}

TEST(ControlFlow, WhatALoopCarriesMayGrowInShapeArithmeticToo) {
  // The body's sizes are its own; they must stay true through every pass and every later inference.
  const char* text = R"(graph "g" (%x: f32[n, 2], %m: i64[]) -> (%y, %s) {
    %y, %s = Loop(%m, _, %x, %x) {captures=1,
      body=graph "b" (%i: i64[], %go: bool[], %v: f32[k, 2], %x: f32[n, 2]) -> (%on, %w, %t) {
        %on = Identity(%go)
        %c = Concat(%v, %x) {axis=0}
        %shape = Shape(%c)
        %flat0 = Shape(%v) {start=0, end=1}
        const %neg: i64[1] = [-1]
        %to = Concat(%neg, %flat0) {axis=0}
        const %one: f32[] = 1.0
        %ones = Expand(%one, %shape)
        %w = Add(%c, %ones)
        %r = Reshape(%v, %to)
        %t = ReduceSum(%r) {keepdims=0}
      }}
  })";
  for (const char* device : kDevices) {
    auto c = open(text, device);
    ASSERT_TRUE(c);
    for (int64_t n : {1, 3, 2})
      for (int64_t m : {1, 4, 2}) expect_right(*c, text, {ramp({n, 2}), Tensor::scalar_int(m)});
  }
}

TEST(ControlFlow, NestedLoopsWhoseSizesTheDataDecides) {
  const char* text = R"(graph "g" (%x: f32[n], %m: i64[]) -> (%y, %s, %z) {
    %z = NonZero(%x)
    %y, %s = Loop(%m, _, %x, %m, %z) {captures=2,
      body=graph "outer" (%i: i64[], %go: bool[], %v: f32[k], %m: i64[], %z: i64[1, q]) -> (%on, %w, %t) {
        %on = Identity(%go)
        const %minus: i64[1] = [-1]
        %nz: i64[1, h] = NonZero(%v)
        %found: f32[1, h] = Cast(%nz) {to=1}
        %flat: f32[h] = Reshape(%found, %minus)
        %u, %sums = Loop(%m, _, %v, %flat, %z) {captures=2,
          body=graph "inner" (%j: i64[], %go2: bool[], %a: f32[l], %flat: f32[h], %z: i64[1, q]) -> (%on2, %b, %sum) {
            %on2 = Identity(%go2)
            %joined = Concat(%a, %flat) {axis=0}
            %nz2: i64[1, h2] = NonZero(%joined)
            %f2: f32[1, h2] = Cast(%nz2) {to=1}
            const %minus: i64[1] = [-1]
            %f3: f32[h2] = Reshape(%f2, %minus)
            const %zero: i64[1] = [0]
            const %few: i64[1] = [5]
            %b: f32[e] = Slice(%f3, %zero, %few)
            %zs = Cast(%z) {to=1}
            %zsum = ReduceSum(%zs) {keepdims=0}
            %part = ReduceSum(%b) {keepdims=0}
            %sum = Add(%part, %zsum)
          }}
        %w = Concat(%u, %flat) {axis=0}
        %t = ReduceSum(%sums) {keepdims=0}
      }}
  })";
  for (const char* device : kDevices) {
    auto c = open(text, device);
    ASSERT_TRUE(c);
    for (int64_t n : {6, 1, 9})
      for (int64_t m : {1, 3, 2}) expect_right(*c, text, {ramp({n}), Tensor::scalar_int(m)});
  }
}

}  // namespace
}  // namespace tenon
