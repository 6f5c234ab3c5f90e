#include "passes/precision/bounds.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace tenon {

static constexpr double kInf = std::numeric_limits<double>::infinity();

Bounds hull(const Bounds& a, const Bounds& b) {
  return {std::min(a.low, b.low), std::max(a.high, b.high), a.reached && b.reached};
}

namespace {

using Unary = double (*)(double);

// 0 * infinity is 0 here: an open end stands for numbers as large as one likes, not for infinity.
double times(double a, double b) { return a == 0 || b == 0 ? 0 : a * b; }
double lower(double v) { return std::isnan(v) ? -kInf : v; }
double upper(double v) { return std::isnan(v) ? kInf : v; }

Bounds rising(const Bounds& x, Unary f) { return {lower(f(x.low)), upper(f(x.high)), x.reached}; }
// Of a function that is only defined from `least` to `most`.
Bounds rising_within(const Bounds& x, double least, double most, Unary f) {
  return rising({std::clamp(x.low, least, most), std::clamp(x.high, least, most), x.reached}, f);
}
Bounds within(double low, double high, const Bounds& x) { return {low, high, x.reached}; }

Bounds product(const Bounds& a, const Bounds& b) {
  const double p[] = {times(a.low, b.low), times(a.low, b.high), times(a.high, b.low), times(a.high, b.high)};
  return {*std::min_element(p, p + 4), *std::max_element(p, p + 4), a.reached && b.reached};
}

Bounds magnitude(const Bounds& x) {
  if (x.low >= 0) return x;
  if (x.high <= 0) return {-x.high, -x.low, x.reached};
  return {0, std::max(-x.low, x.high), x.reached};
}

Bounds square(const Bounds& x) {
  const Bounds m = magnitude(x);
  return {m.low * m.low, m.high * m.high, x.reached};
}

// 1 / x. Where x may come near 0 nothing is known.
Bounds reciprocal(const Bounds& x) {
  if (x.low > 0 || x.high < 0) return {1 / x.high, 1 / x.low, x.reached};
  if (x.low == 0 && x.high > 0) return {1 / x.high, kInf, x.reached};
  return {-kInf, kInf, x.reached};
}

Bounds power(const Bounds& x, const Bounds& exponent) {
  if (exponent.low != exponent.high) {
    if (x.low >= 1 && exponent.low >= 0) return {std::pow(x.low, exponent.low), upper(std::pow(x.high, exponent.high)), x.reached && exponent.reached};
    return x.low >= 0 ? Bounds{0, kInf} : Bounds();
  }
  const double e = exponent.low;
  const bool whole = e == std::trunc(e) && std::fabs(e) < 1e6;
  if (!whole && x.low < 0) return {0, e > 0 ? upper(std::pow(std::max(x.high, 0.0), e)) : kInf, x.reached};  // NaN below zero
  if (e < 0) return reciprocal(power(x, {-e, -e}));
  if (whole && std::fmod(e, 2) != 0 && x.low < 0) return {std::pow(x.low, e), std::pow(x.high, e), x.reached};
  const Bounds m = magnitude(x);
  return {std::pow(m.low, e), std::pow(m.high, e), x.reached};
}

Bounds of_type(DType t) {
  if (t == DType::boolean) return {0, 1};
  if (is_unsigned_int(t) && bits(t) <= 16) return {0, std::ldexp(1, bits(t)) - 1};
  if (is_signed_int(t) && bits(t) <= 16) return {-std::ldexp(1, bits(t) - 1), std::ldexp(1, bits(t) - 1) - 1};
  return {};
}

}  // namespace

Bounds scalar_bounds(const ScalarProgram& program, std::span<const Bounds> inputs, std::span<const int> same) {
  std::vector<Bounds> r(program.code.size());
  const auto is_same = [&](int a, int b) {
    const ScalarInst &p = program.code[size_t(a)], &q = program.code[size_t(b)];
    return a == b || (p.prim == Prim::input && q.prim == Prim::input && same[size_t(p.input)] == same[size_t(q.input)]);
  };
  for (size_t i = 0; i < r.size(); ++i) {
    const ScalarInst& inst = program.code[i];
    const Bounds a = prim_operands(inst.prim) > 0 ? r[size_t(inst.args[0])] : Bounds();
    const Bounds b = prim_operands(inst.prim) > 1 ? r[size_t(inst.args[1])] : Bounds();
    const bool both = a.reached && b.reached;
    switch (inst.prim) {
      case Prim::input: r[i] = inputs[size_t(inst.input)]; break;
      case Prim::constant: {
        const double c = is_float(inst.type) ? inst.imm : double(inst.int_imm);
        r[i] = std::isnan(c) ? Bounds() : Bounds{c, c};
        break;
      }
      case Prim::neg: r[i] = {-a.high, -a.low, a.reached}; break;
      case Prim::abs: r[i] = magnitude(a); break;
      case Prim::sign: r[i] = within(a.low >= 0 ? 0 : -1, a.high <= 0 ? 0 : 1, a); break;
      case Prim::floor: r[i] = rising(a, std::floor); break;
      case Prim::ceil: r[i] = rising(a, std::ceil); break;
      case Prim::round: r[i] = rising(a, std::nearbyint); break;
      case Prim::trunc: r[i] = rising(a, std::trunc); break;
      case Prim::sqrt: r[i] = rising_within(a, 0, kInf, std::sqrt); break;
      case Prim::exp: r[i] = rising(a, std::exp); break;
      case Prim::expm1: r[i] = rising(a, std::expm1); break;
      case Prim::log: r[i] = rising_within(a, 0, kInf, std::log); break;
      case Prim::log1p: r[i] = rising_within(a, -1, kInf, std::log1p); break;
      case Prim::sin:
      case Prim::cos: r[i] = within(-1, 1, a); break;
      case Prim::asin: r[i] = rising_within(a, -1, 1, std::asin); break;
      case Prim::acos: r[i] = within(0, 3.15, a); break;
      case Prim::atan: r[i] = rising(a, std::atan); break;
      case Prim::sinh: r[i] = rising(a, std::sinh); break;
      case Prim::cosh: r[i] = rising(magnitude(a), std::cosh); break;
      case Prim::asinh: r[i] = rising(a, std::asinh); break;
      case Prim::acosh: r[i] = rising_within(a, 1, kInf, std::acosh); break;
      case Prim::atanh: r[i] = rising_within(a, -1, 1, std::atanh); break;
      case Prim::tanh: r[i] = rising(a, std::tanh); break;
      case Prim::erf: r[i] = rising(a, std::erf); break;
      case Prim::sigmoid: r[i] = rising(a, [](double x) { return 1 / (1 + std::exp(-x)); }); break;
      case Prim::cast:
        r[i] = is_float(inst.type) || inst.type == DType::i32 || inst.type == DType::i64 ? a : of_type(inst.type);
        break;
      case Prim::add: r[i] = {lower(a.low + b.low), upper(a.high + b.high), both}; break;
      case Prim::sub: r[i] = is_same(inst.args[0], inst.args[1]) ? Bounds{0, 0} : Bounds{lower(a.low - b.high), upper(a.high - b.low), both}; break;
      case Prim::mul: r[i] = is_same(inst.args[0], inst.args[1]) ? square(a) : product(a, b); break;
      case Prim::div: r[i] = product(a, reciprocal(b)); break;
      case Prim::pow: r[i] = power(a, b); break;
      case Prim::min: r[i] = {std::min(a.low, b.low), std::min(a.high, b.high), both}; break;
      case Prim::max: r[i] = {std::max(a.low, b.low), std::max(a.high, b.high), both}; break;
      case Prim::mod:
      case Prim::fmod: {
        const Bounds m = magnitude(b);
        r[i] = {-m.high, m.high, both};
        break;
      }
      case Prim::select: r[i] = hull(b, r[size_t(inst.args[2])]); break;
      case Prim::is_nan:
      case Prim::is_inf:
      case Prim::logical_not:
      case Prim::logical_and:
      case Prim::logical_or:
      case Prim::logical_xor:
      case Prim::eq:
      case Prim::lt:
      case Prim::le: r[i] = {0, 1}; break;
      case Prim::tan:
      case Prim::bit_not:
      case Prim::bit_and:
      case Prim::bit_or:
      case Prim::bit_xor:
      case Prim::shift_left:
      case Prim::shift_right: r[i] = of_type(inst.type); break;
    }
  }
  return r[size_t(program.outputs[0])];
}

}  // namespace tenon
