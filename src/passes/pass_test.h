// Helpers of the passes' tests: text in, text out, and the same numbers before and after.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "ir/infer.h"
#include "ir/interpreter.h"
#include "ir/random_input.h"
#include "ir/text.h"
#include "passes/pipeline.h"

namespace tenon {

inline Graph parse_or_die(std::string_view text) {
  auto g = parse(text);
  EXPECT_TRUE(g.ok()) << g.status().to_string() << "\n" << text;
  return g.ok() ? std::move(g).value() : Graph();
}

// Random inputs; the k-th symbol of the inputs' shapes is k + 2.
inline std::vector<Tensor> random_inputs(const Graph& g, int64_t first_symbol = 2) {
  std::map<std::string, int64_t> symbols;
  std::vector<Tensor> out;
  for (ValueId v : g.inputs) {
    Shape shape;
    for (const Dim& d : g.info(v).shape) {
      std::set<std::string> names;
      d.collect_symbols(names);
      for (const std::string& s : names) symbols.try_emplace(s, int64_t(symbols.size()) + first_symbol);
      shape.push_back(*d.eval([&](const std::string& s) { return std::optional<int64_t>(symbols[s]); }));
    }
    auto t = random_input(g.info(v).dtype, shape, out.size() + 1);
    EXPECT_TRUE(t.ok());
    out.push_back(std::move(t).value());
  }
  return out;
}

inline void expect_same_results(const Graph& before, const Graph& after, double tolerance = 1e-5) {
  const std::vector<Tensor> inputs = random_inputs(before);
  auto want = interpret(before, inputs), got = interpret(after, inputs);
  ASSERT_TRUE(want.ok()) << want.status().to_string() << "\n" << print(before);
  ASSERT_TRUE(got.ok()) << got.status().to_string() << "\n" << print(after);
  ASSERT_EQ(want->size(), got->size());
  for (size_t i = 0; i < want->size(); ++i) {
    const Tensor &a = (*want)[i], &b = (*got)[i];
    ASSERT_EQ(a.dtype(), b.dtype());
    ASSERT_EQ(a.shape(), b.shape());
    double largest = 0;
    for (int64_t k = 0; k < a.size(); ++k)
      if (std::isfinite(a.at(k))) largest = std::max(largest, std::abs(a.at(k)));
    for (int64_t k = 0; k < a.size(); ++k) {
      const double x = a.at(k), y = b.at(k);
      if (x == y || (std::isnan(x) && std::isnan(y))) continue;
      ASSERT_NEAR(x, y, tolerance * largest) << "output " << i << " element " << k << "\n" << print(after);
    }
  }
}

inline Graph run_named(const char* pass, Graph g) {
  const Pass* p = find_pass(pass);
  EXPECT_NE(p, nullptr) << pass;
  auto out = run_pass(*p, std::move(g), {});
  EXPECT_TRUE(out.ok()) << out.status().to_string();
  return out.ok() ? std::move(out).value() : Graph();
}

// The pass turns `before` into `after` (white space at the ends does not count), changes no number, and does nothing
// more when it runs again.
inline void expect_pass(const char* pass, std::string_view before, std::string_view after) {
  const Graph g = parse_or_die(before), h = run_named(pass, g);
  EXPECT_EQ(print(h), cat(trim(after), "\n"));
  EXPECT_EQ(print(run_named(pass, h)), print(h)) << "not idempotent";
  expect_same_results(g, h);
}

// As expect_pass, where only the numbers matter; returns what the pass made.
inline Graph expect_same_results(const char* pass, std::string_view text) {
  const Graph g = parse_or_die(text), h = run_named(pass, g);
  EXPECT_EQ(print(run_named(pass, h)), print(h)) << "not idempotent";
  expect_same_results(g, h);
  return h;
}

// The operators of a graph in order, fused ones with their body: "Conv Fused(Add Relu)".
inline std::string ops_of(const Graph& g) {
  std::string out;
  for (const Node& n : g.nodes) {
    if (!out.empty()) out += ' ';
    out += n.op->name;
    if (GraphPtr body = n.attrs.graph("body")) out += cat("(", ops_of(*body), ")");
  }
  return out;
}

}  // namespace tenon
