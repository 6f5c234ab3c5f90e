// Scalar programs as device source: every primitive and every cast of every type, at the edges of the types, against
// run_scalar().
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "backend/cuda/build/prelude.h"
#include "backend/cuda/build/source.h"
#include "base/tensor.h"
#include "cuda_emulator/library.h"

namespace tenon::emulator {
namespace {

using namespace cuda;

constexpr int kValues = 3000;
constexpr DType kTypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16, DType::f8e4m3fn, DType::f8e4m3fnuz, DType::f8e5m2,
                            DType::f8e5m2fnuz, DType::f8e8m0, DType::i8, DType::i16, DType::i32, DType::i64, DType::u8, DType::u16,
                            DType::u32, DType::u64, DType::boolean};

struct Case {
  std::string name;
  DType in, out;
  ScalarProgram program;
  double tolerance = 0;  // relative
};

ScalarProgram three_inputs(DType t) {
  ScalarProgram p;
  for (int i = 0; i < 3; ++i) {
    ScalarInst inst{Prim::input, t};
    inst.input = i;
    p.code.push_back(inst);
  }
  return p;
}

// A float is computed in float and rounded once; the reference computes in double.
double tolerance_of(DType t) { return t == DType::f64 ? 1e-13 : t == DType::f32 ? 3e-6 : t == DType::f16 ? 1e-3 : t == DType::bf16 ? 8e-3 : 0.25; }

std::vector<Case> arithmetic(DType t) {
  std::vector<Case> out;
  for (Prim prim = Prim::neg; prim <= Prim::select; prim = Prim(int(prim) + 1)) {
    if (prim == Prim::cast) continue;
    const bool predicate = prim == Prim::eq || prim == Prim::lt || prim == Prim::le || prim == Prim::is_nan || prim == Prim::is_inf;
    Case c{cat(prim_name(prim), " of ", name(t)), t, predicate ? DType::boolean : t, three_inputs(t), 0};
    if (prim == Prim::select) {
      c.program.code.push_back({Prim::lt, DType::boolean, {0, 1}});
      c.program.code.push_back({prim, t, {3, 1, 2}});
    } else {
      c.program.code.push_back({prim, c.out, {0, 1, 2}});
      if (is_float(c.out)) c.tolerance = tolerance_of(t);
    }
    c.program.outputs = {int(c.program.code.size()) - 1};
    out.push_back(std::move(c));
  }
  return out;
}

std::vector<Case> casts(DType t) {
  std::vector<Case> out;
  for (DType to : kTypes)
    for (int options = 0; options < 6; ++options) {
      const bool asked = to == DType::f8e8m0 || (kFloat8s.contains(to) && options < 2);
      if (!asked && options != 1) continue;
      Case c{cat(name(t), " to ", name(to), " with ", options), t, to, three_inputs(t), 0};
      ScalarInst cast{Prim::cast, to, {0}};
      cast.int_imm = options;
      c.program.code.push_back(cast);
      c.program.outputs = {3};
      out.push_back(std::move(c));
    }
  // Types without a form in memory can stand in between.
  for (DType narrow : {DType::i4, DType::u4, DType::i2, DType::u2, DType::f4e2m1, DType::f6e2m3, DType::f6e3m2}) {
    Case c{cat(name(t), " by way of ", name(narrow)), t, t, three_inputs(t), 0};
    c.program.code.push_back({Prim::cast, narrow, {0}});
    c.program.code.push_back({Prim::cast, t, {3}});
    c.program.outputs = {4};
    out.push_back(std::move(c));
  }
  return out;
}

Tensor values(DType t, uint64_t seed) {
  static const double kSpecial[] = {0, -0.0, 1, -1, 2, -2, 3, 0.5, -0.5, 1.5, 2.5, -2.5, 7, -7, 31, 32, 33, 63, 64, 127, 128, -128,
                                    -129, 255, 256, 32767, 32768, 65535, 65536, 2147483647.0, 2147483648.0, -2147483648.0,
                                    -2147483649.0, 4294967295.0, 4294967296.0, 9.2e18, -9.2e18, 1.8e19, 3e19, 1e30, -1e30,
                                    INFINITY, -INFINITY, NAN, 1e-40, -1e-40, 1e-7, 88, -88, 100, 448, 460, 464, 57344, 61440};
  std::mt19937_64 random(seed);
  Tensor out = Tensor::make(t, {kValues});
  for (int i = 0; i < kValues; ++i) {
    if (is_float(t)) {
      const bool special = random() % 3;
      out.set(i, special ? kSpecial[random() % std::size(kSpecial)] : (double(random() % 2000001) - 1e6) / std::pow(10, double(random() % 8)));
    } else {
      const uint64_t power = uint64_t(1) << random() % 64, kind = random() % 4;
      const uint64_t v = kind == 0 ? random() : kind == 1 ? random() % 9 - 4 : kind == 2 ? power : power - 1;
      out.set_int(i, int64_t(random() % 5 ? v : -v));
    }
  }
  return out;
}

// Registers of run_scalar(): doubles or 64-bit integers.
std::vector<int64_t> words_of(const Tensor& t) {
  std::vector<int64_t> out(kValues);
  if (is_float(t.dtype())) load_doubles(t.dtype(), t.data(), 0, kValues, reinterpret_cast<double*>(out.data()));
  else load_ints(t.dtype(), t.data(), 0, kValues, out.data());
  return out;
}

void expect_like_reference(const Case& c, const Tensor (&in)[3], const Tensor& got) {
  std::vector<int64_t> words[3], result(kValues);
  for (int i = 0; i < 3; ++i) words[i] = words_of(in[i]);
  const void* inputs[3] = {words[0].data(), words[1].data(), words[2].data()};
  void* output = result.data();
  run_scalar(c.program, kValues, inputs, &output);
  int shown = 0;
  for (int i = 0; i < kValues && shown < 3; ++i) {
    double is, must;
    bool good;
    if (is_float(c.out)) {
      std::memcpy(&must, &result[size_t(i)], 8);
      is = got.at(i);
      if (bits(c.out) <= 8) must = decode_float(c.out, encode_float(c.out, must, c.out == DType::f8e8m0));
      else if (bits(c.out) == 16) must = decode_float(c.out, encode_float(c.out, must));
      else if (c.out == DType::f32) must = float(must);
      const double allowed = c.out == DType::f32 && c.tolerance > 0 ? std::max(c.tolerance * std::fabs(must), 1e-38) : c.tolerance * std::fabs(must);
      good = is == must || (std::isnan(is) && std::isnan(must)) || std::fabs(is - must) <= allowed;
    } else {
      Tensor stored = Tensor::make(c.out, {1});
      stored.set_int(0, result[size_t(i)]);
      good = got.int_at(i) == stored.int_at(0);
      is = double(got.int_at(i)), must = double(stored.int_at(0));
    }
    if (good) continue;
    ++shown;
    ADD_FAILURE() << c.name << ": " << in[0].at(i) << ", " << in[1].at(i) << ", " << in[2].at(i) << " gives " << is << ", not " << must;
  }
}

class ScalarPrograms : public ::testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Types, ScalarPrograms, ::testing::ValuesIn(kTypes), [](auto& p) { return std::string(name(p.param)); });

TEST_P(ScalarPrograms, GiveWhatTheReferenceGives) {
  const DType t = GetParam();
  std::vector<Case> all;
  // No operator computes in types of 8 bits.
  if (!is_float(t) || bits(t) > 8) all = arithmetic(t);
  for (Case& c : casts(t)) all.push_back(std::move(c));

  std::string source, prelude;
  std::vector<Case> written;
  for (Case& c : all) {
    KernelWriter k(cat("case", written.size()));
    std::vector<std::string> in;
    for (int i = 0; i < 3; ++i) in.push_back(k.input(i, cat("const ", device_type(t), "*")) + "[i]");
    const std::string out = k.output(0, cat(device_type(c.out), "*"));
    std::string statements;
    auto result = write_scalar(c.program, in, "t", statements);
    if (!result.ok()) continue;
    k.body = cat("PDL_WAIT;\nfor (int i = 0; i < ", kValues, "; ++i) {\n", statements, out, "[i] = narrow<", device_type(c.out), ">(",
                 (*result)[0], ");\n}\n");
    source += k.text();
    written.push_back(std::move(c));
  }
  EXPECT_GE(written.size(), 34u);  // the casts alone
  for (const PreludeFile& f : prelude_files())
    if (std::string(f.name) == "base.cuh") prelude = f.text;
  auto library = load_library(prelude, source);
  ASSERT_TRUE(library.ok()) << library.status().to_string();

  const Tensor in[3] = {values(t, 1), values(t, 2), values(t, 3)};
  for (size_t k = 0; k < written.size(); ++k) {
    const HostKernel* kernel = (*library)->find(cat("tenon_case", k));
    ASSERT_NE(kernel, nullptr);
    Tensor got = Tensor::make(written[k].out, {kValues});
    const void* addresses[4] = {in[0].data(), in[1].data(), in[2].data(), got.data()};
    void* args[] = {&addresses[0], &addresses[1], &addresses[2], &addresses[3], nullptr};
    GridShape shape;
    shape.programmatic = true;
    const Status s = run_grid(*kernel, shape, args, Order::forwards);
    ASSERT_TRUE(s.ok()) << s.to_string();
    expect_like_reference(written[k], in, got);
  }
}

}  // namespace
}  // namespace tenon::emulator
