#include "backend/cuda/build/source.h"

#include <gtest/gtest.h>

#include <cmath>

#include "backend/cuda/build/nvrtc.h"
#include "ir/text.h"

namespace tenon::cuda {
namespace {

Graph graph(std::string_view text) {
  auto g = parse(text);
  EXPECT_TRUE(g.ok()) << g.status().to_string();
  return g.ok() ? std::move(g).value() : Graph();
}

TEST(OperandDims, EqualSizesAreOneSymbol) {
  const Graph g = graph(R"(graph "m" (%x: f32[batch, 2*seq+1, 8], %y: f32[2*seq+1, 8]) -> (%z) {
    %z: f32[batch, 2*seq+1, 8] = Add(%x, %y) "add"
  })");
  auto dims = OperandDims::of({g, g.nodes[0]});
  ASSERT_TRUE(dims.ok());
  EXPECT_EQ(to_string(dims->in(0)), "[i0_0, i0_1, 8]");
  EXPECT_EQ(to_string(dims->in(1)), "[i0_1, 8]");
  EXPECT_EQ(to_string(dims->out(0)), "[i0_0, i0_1, 8]");
}

TEST(OperandDims, AnUnknownRankIsUnsupported) {
  const Graph g = graph(R"(graph "m" (%x: f32[*]) -> (%z) {
    %z: f32[*] = Relu(%x) "r"
  })");
  auto dims = OperandDims::of({g, g.nodes[0]});
  ASSERT_FALSE(dims.ok());
  EXPECT_EQ(dims.status().code(), Code::unsupported);
}

TEST(KernelWriter, ParametersAreArguments) {
  KernelWriter k("f", 256);
  const Dim n = Dim::symbol("i0_0");
  EXPECT_EQ(k.input(0, "const float*"), "in0");
  EXPECT_EQ(k.size(n * 4), "n0");
  EXPECT_EQ(k.size(Dim(768)), "768");
  EXPECT_EQ(k.size(Dim(-1)), "(-1)");
  EXPECT_EQ(k.size(Dim(int64_t(1) << 40)), "1099511627776ll");
  EXPECT_EQ(k.size(n * 4), "n0");  // shared
  EXPECT_EQ(k.size(n * 4, true), "n1");
  EXPECT_EQ(k.output(0, "float*"), "out0");
  k.body = "out0[0] = in0[n0];\n";
  EXPECT_EQ(k.text(),
            "extern \"C\" __global__ void __launch_bounds__(256) tenon_f(const float* in0, int n0, long long n1, float* out0) {\n"
            "PDL_WAIT;\nPDL_LAUNCH;\nout0[0] = in0[n0];\n}\n");
  const KernelLaunch l = k.launch({ceil_div(n, 256)}, {256});
  EXPECT_EQ(l.kernel, "tenon_f");
  ASSERT_EQ(l.args.size(), 4u);
  EXPECT_EQ(l.args[1].kind, Arg::i32);
  EXPECT_EQ(l.args[1].value, n * 4);
  EXPECT_EQ(l.args[2].kind, Arg::i64);
  EXPECT_EQ(l.args[3].kind, Arg::output);
  EXPECT_TRUE(l.programmatic);
}

TEST(KernelWriter, AKernelMayWaitLater) {
  KernelWriter k("f");
  k.body = "prologue();\nPDL_WAIT;\n";
  EXPECT_EQ(k.text(), "extern \"C\" __global__ void tenon_f() {\nprologue();\nPDL_WAIT;\n}\n");
}

TEST(Literals, GiveBackTheValue) {
  EXPECT_EQ(float_literal(0.1), "0.1f");
  EXPECT_EQ(float_literal(3), "3.0f");
  EXPECT_EQ(float_literal(-0.0), "(-0.0f)");
  EXPECT_EQ(float_literal(INFINITY), "float_from_bits(0x7f800000u)");
  EXPECT_EQ(float_literal(1e300), "float_from_bits(0x7f800000u)");
  EXPECT_EQ(double_literal(0.1), "0.1");
  EXPECT_EQ(double_literal(-INFINITY), "double_from_bits(0xfff0000000000000ull)");
  for (double v : {1e-45, 3.4028234663852886e38, 1.17549435e-38, 16777217.0})
    EXPECT_EQ(std::strtof(float_literal(v).c_str(), nullptr), float(v)) << v;
}

TEST(Collapse, NeighboursThatAreContiguousEverywhereBecomeOne) {
  const Dim n = Dim::symbol("i0_0");
  const SymShape out = {n, 3, 5, 1, 7};
  const std::vector<SymShape> strides = {sym_row_major_strides(out), broadcast_strides({5, 1, 7}, out),
                                         broadcast_strides({3, 1, 1, 1}, out)};
  const CollapsedLoop loop = collapse(out, strides);
  EXPECT_EQ(to_string(loop.dims), "[i0_0, 3, 35]");
  EXPECT_EQ(to_string(loop.strides[0]), "[105, 35, 1]");
  EXPECT_EQ(to_string(loop.strides[1]), "[0, 0, 1]");
  EXPECT_EQ(to_string(loop.strides[2]), "[0, 1, 0]");
  const CollapsedLoop whole = collapse(out, {sym_row_major_strides(out)});
  EXPECT_EQ(to_string(whole.dims), "[105*i0_0]");
  EXPECT_EQ(to_string(collapse({1, 1}, {{1, 1}}).dims), "[1]");
  EXPECT_EQ(to_string(collapse({}, {{}}).dims), "[1]");
}

TEST(Broadcast, ASizeThatMayTurnOutToBeOneIsRepeatedThen) {
  const Dim a = Dim::symbol("i0_0"), o = Dim::symbol("o0_0");
  const SymShape strides = broadcast_strides({a, 4}, {o, 4});
  auto at = [&](int64_t size) { return *strides[0].eval([&](const std::string&) { return std::optional<int64_t>(size); }); };
  EXPECT_EQ(at(1), 0);
  EXPECT_EQ(at(9), 4);
}

// ---- scalar programs -----------------------------------------------------------------------------------------------

// A program of one instruction over inputs a, b and c.
ScalarProgram program_of(Prim prim, DType type, DType result) {
  ScalarProgram p;
  for (int i = 0; i < prim_operands(prim); ++i) {
    ScalarInst inst{Prim::input, type};
    inst.input = i;
    p.code.push_back(inst);
  }
  p.code.push_back({prim, result, {0, 1, 2}});
  p.outputs = {prim_operands(prim)};
  return p;
}

std::string text_of(const ScalarProgram& p) {
  std::string statements;
  auto out = write_scalar(p, {"a", "b", "c"}, "t", statements);
  if (!out.ok()) return out.status().message();
  return statements + join(*out, ", ");
}

TEST(WriteScalar, HalfIsComputedInFloat) {
  EXPECT_EQ(text_of(program_of(Prim::add, DType::f16, DType::f16)),
            "const float t0 = to_float(a);\nconst float t1 = to_float(b);\nconst float t2 = t0 + t1;\nt2");
}

TEST(WriteScalar, IntegersWrap) {
  EXPECT_EQ(text_of(program_of(Prim::mul, DType::i8, DType::i8)),
            "const int t0 = (int)(a);\nconst int t1 = (int)(b);\n"
            "const int t2 = int((signed char)((unsigned)t0 * (unsigned)t1));\nt2");
}

TEST(WriteScalar, WhatNoOutputNeedsIsLeftOut) {
  ScalarProgram p = program_of(Prim::add, DType::f32, DType::f32);
  p.outputs = {1};
  EXPECT_EQ(text_of(p), "const float t1 = b;\nt1");
}

TEST(WriteScalar, AnyByteButZeroIsTrue) {
  EXPECT_EQ(text_of(program_of(Prim::logical_not, DType::boolean, DType::boolean)),
            "const bool t0 = (a) != 0;\nconst bool t1 = ((!t0) != 0);\nt1");
}

TEST(WriteScalar, WhatHasNoFormInMemoryIsUnsupported) {
  EXPECT_EQ(text_of(program_of(Prim::cast, DType::i4, DType::f32)), "i4 has no form in device memory");
}

// Every primitive on types of every kind, and casts to all: the compiler must take the text.
TEST(WriteScalar, TheCompilerTakesAllOfIt) {
  if (!nvrtc_description().ok()) GTEST_SKIP() << nvrtc_description().status().to_string();
  const DType types[] = {DType::f32, DType::f64, DType::f16, DType::bf16, DType::f8e4m3fn, DType::f8e4m3fnuz, DType::f8e5m2,
                         DType::f8e5m2fnuz, DType::f8e8m0, DType::i8, DType::i16, DType::i32, DType::i64, DType::u8, DType::u16,
                         DType::u32, DType::u64, DType::boolean};
  std::string source;
  int kernels = 0;
  for (DType t : {DType::f32, DType::f64, DType::bf16, DType::i8, DType::i64, DType::u32, DType::u64, DType::boolean}) {
    KernelWriter k(cat("k", kernels++));
    std::vector<std::string> in;
    for (int i = 0; i < 3; ++i) in.push_back(k.input(i, cat("const ", device_type(t), "*")) + "[threadIdx.x]");
    int outputs = 0;
    auto check = [&](ScalarProgram p, DType result) {
      std::string statements;
      p.outputs = {int(p.code.size()) - 1};
      auto out = write_scalar(p, in, "t", statements);
      if (!out.ok()) return false;
      const std::string to = k.output(outputs++, cat(device_type(result), "*"));
      k.body += cat("{\n", statements, to, "[threadIdx.x] = narrow<", device_type(result), ">(", (*out)[0], ");\n}\n");
      return true;
    };
    auto inputs = [&] {
      ScalarProgram p;
      for (int i = 0; i < 3; ++i) {
        ScalarInst inst{Prim::input, t};
        inst.input = i;
        p.code.push_back(inst);
      }
      return p;
    };
    int done = 0;
    for (Prim prim = Prim::neg; prim < Prim::select; prim = Prim(int(prim) + 1)) {
      if (prim == Prim::cast) continue;
      ScalarProgram p = inputs();
      const bool predicate = prim == Prim::eq || prim == Prim::lt || prim == Prim::le || prim == Prim::is_nan || prim == Prim::is_inf;
      const DType result = predicate ? DType::boolean : t;
      ScalarInst inst{prim, result, {0, 1, 2}};
      p.code.push_back(inst);
      done += check(std::move(p), result);
    }
    EXPECT_GE(done, is_float(t) ? 35 : 20) << name(t);
    for (DType to : types) {
      ScalarProgram p = inputs();
      ScalarInst inst{Prim::cast, to, {0}};
      p.code.push_back(inst);
      EXPECT_TRUE(check(std::move(p), to)) << name(t) << " to " << name(to);
    }
    for (DType narrow : {DType::i4, DType::u4, DType::i2, DType::u2, DType::f4e2m1, DType::f6e2m3, DType::f6e3m2}) {
      ScalarProgram p = inputs();
      p.code.push_back({Prim::cast, narrow, {0}});
      p.code.push_back({Prim::cast, t, {3}});
      EXPECT_TRUE(check(std::move(p), t)) << name(t) << " by way of " << name(narrow);
    }
    source += k.text();
  }
  // Without optimisation: only whether it is legal is asked.
  auto r = compile_cuda(source, *chip_of_target("cuda:sm_90a"), {{"--device-debug"}, false, false});
  EXPECT_TRUE(r.ok()) << r.status().to_string();
}

}  // namespace
}  // namespace tenon::cuda
