// Types of inputs and outputs that a user asks for: their form, the Casts they bring, and what is refused.
#include "compiler/io_types.h"

#include <gtest/gtest.h>

#include "ir/interpreter.h"
#include "ir/text.h"
#include "passes/known.h"

namespace tenon {
namespace {

Graph graph() {
  auto g = parse(R"(graph "g" (%x: f32[2, 3], %ids: i64[2]) -> (%y, %n, %x) {
    %y = Exp(%x)
    %n = Neg(%ids)
  })");
  EXPECT_TRUE(g.ok()) << g.status().message();
  return *g;
}

std::vector<IoType> types(const std::vector<const char*>& texts) {
  std::vector<IoType> out;
  for (const char* text : texts) {
    auto t = parse_io_type(text);
    EXPECT_TRUE(t.ok()) << text;
    if (t.ok()) out.push_back(*t);
  }
  return out;
}

std::string interface_of(const std::vector<const char*>& texts) {
  Graph g = graph();
  const Status applied = apply_io_types(g, types(texts));
  if (!applied.ok()) return applied.message();
  std::string out;
  for (ValueId v : g.inputs) out += cat(g.value(v).name, ":", name(g.info(v).dtype), " ");
  out += "->";
  for (size_t i = 0; i < g.outputs.size(); ++i) out += cat(" ", g.output_names[i], ":", name(g.info(g.outputs[i]).dtype));
  return out;
}

TEST(IoTypes, FormsParse) {
  const auto t = parse_io_type("a=b*=bf16");
  ASSERT_TRUE(t.ok());
  EXPECT_EQ(t->pattern, "a=b*");
  EXPECT_EQ(t->type, DType::bf16);
}

TEST(IoTypes, BrokenFormsShowTheForm) {
  for (const char* text : {"", "x", "x=", "=fp16", "x=f16", "x=float16", "x=int8", "x=fp16 "}) {
    const auto t = parse_io_type(text);
    ASSERT_FALSE(t.ok()) << text;
    EXPECT_EQ(t.status().code(), Code::invalid_argument);
    EXPECT_NE(t.status().message().find("NAME=TYPE"), std::string::npos);
  }
}

TEST(IoTypes, NamedTensorsAlone) {
  EXPECT_EQ(interface_of({}), "x:f32 ids:i64 -> y:f32 n:i64 x:f32");
  EXPECT_EQ(interface_of({"y=fp16"}), "x:f32 ids:i64 -> y:f16 n:i64 x:f32");
  EXPECT_EQ(interface_of({"ids=int32"}), "x:f32 ids:i32 -> y:f32 n:i64 x:f32");
  EXPECT_EQ(interface_of({"x=bf16"}), "x:bf16 ids:i64 -> y:f32 n:i64 x:bf16");  // an output is called that, too
}

TEST(IoTypes, PatternsLeaveTheOtherKindAlone) {
  EXPECT_EQ(interface_of({"*=fp16"}), "x:f16 ids:i64 -> y:f16 n:i64 x:f16");
  EXPECT_EQ(interface_of({"*=int32", "?=bf16"}), "x:bf16 ids:i32 -> y:bf16 n:i32 x:bf16");
}

TEST(IoTypes, TheLastPatternCounts) {
  EXPECT_EQ(interface_of({"*=fp16", "y=fp32"}), "x:f16 ids:i64 -> y:f32 n:i64 x:f16");
  EXPECT_EQ(interface_of({"y=fp32", "*=fp16"}), "x:f16 ids:i64 -> y:f16 n:i64 x:f16");
}

TEST(IoTypes, WhatNamesNothingIsRefused) {
  EXPECT_EQ(interface_of({"idz=int32"}), "no input or output is called 'idz'; there are: x, ids, y, n, x (did you mean 'ids'?)");
  EXPECT_EQ(interface_of({"ids=fp16"}), "nothing that 'ids' names can be fp16: 'ids' is int64");
  EXPECT_EQ(interface_of({"?=fp16", "y=int64"}), "nothing that 'y' names can be int64: 'y' is fp32");
}

TEST(IoTypes, TheNumbersAreThoseOfTheModel) {
  Graph narrow = graph();
  ASSERT_TRUE(apply_io_types(narrow, types({"*=fp16", "*=int32"})).ok());
  Tensor x = Tensor::make(DType::f32, {2, 3}), half = Tensor::make(DType::f16, {2, 3});
  Tensor ids = Tensor::make(DType::i64, {2}), short_ids = Tensor::make(DType::i32, {2});
  for (int64_t i = 0; i < 6; ++i) x.set(i, 0.5 * double(i)), half.set(i, 0.5 * double(i));
  for (int64_t i = 0; i < 2; ++i) ids.set(i, double(i - 7)), short_ids.set(i, double(i - 7));
  const std::vector<Tensor> given{x, ids}, narrow_given{half, short_ids};
  const auto expected = interpret(graph(), given), got = interpret(narrow, narrow_given);
  ASSERT_TRUE(expected.ok() && got.ok()) << got.status().message();
  const std::vector<DType> wanted{DType::f16, DType::i32, DType::f16};
  for (size_t o = 0; o < 3; ++o) {
    ASSERT_EQ((*got)[o].dtype(), wanted[o]);
    for (int64_t i = 0; i < (*got)[o].size(); ++i) EXPECT_NEAR((*got)[o].at(i), (*expected)[o].at(i), std::abs((*expected)[o].at(i)) * 0x1p-11) << o << " " << i;
  }
}

TEST(IoTypes, AnswersBeforeTheirCasts) {
  Graph g = graph();
  ASSERT_TRUE(apply_io_types(g, types({"y=fp16"})).ok());
  const Graph before = without_output_casts(g);
  EXPECT_EQ(before.info(before.outputs[0]).dtype, DType::f32);
  EXPECT_EQ(before.outputs[1], g.outputs[1]);
  EXPECT_EQ(before.outputs[2], g.outputs[2]);
  // The model's own Cast to an integer is an answer.
  const Graph whole = *parse(R"(graph "g" (%x: f32[2]) -> (%y) { %y: i64[2] = Cast(%x) {to=7} })");
  EXPECT_EQ(without_output_casts(whole).outputs, whole.outputs);
}

}  // namespace
}  // namespace tenon
