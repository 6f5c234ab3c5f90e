#include "ops/scalar.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tenon {

const char* prim_name(Prim p) {
  static const char* const names[] = {
#define X(name, operands) #name,
      TENON_PRIMS(X)
#undef X
  };
  return names[int(p)];
}

int prim_operands(Prim p) {
  static const int operands[] = {
#define X(name, operands) operands,
      TENON_PRIMS(X)
#undef X
  };
  return operands[int(p)];
}

// ---- writing -----------------------------------------------------------------------------------------------------

S emit(Prim prim, DType type, std::initializer_list<S> args) {
  ScalarInst inst{prim, type};
  ScalarProgram* program = args.begin()->program();
  int n = 0;
  for (const S& a : args) inst.args[n++] = a.id();
  program->code.push_back(inst);
  return S(program, int(program->code.size()) - 1);
}

// A plain number outside the range of an integer type becomes the end of that range: min(x, 1e300) is x.
static int64_t nearest_int(DType t, double v) {
  const double low = is_signed_int(t) ? -std::ldexp(1, bits(t) - 1) : 0;
  const double high = t == DType::boolean ? 1 : std::ldexp(1, bits(t) - is_signed_int(t));
  int64_t out;
  store_double(t == DType::u64 ? DType::u64 : DType::i64, &out, 0, std::clamp(v, low, high));
  if (bits(t) < 64 && t != DType::boolean && out >= int64_t(high)) --out;
  return out;
}

S constant(ScalarProgram* program, DType type, double v) {
  ScalarInst inst{Prim::constant, type};
  if (is_float(type)) inst.imm = v;
  else inst.int_imm = nearest_int(type, v);
  program->code.push_back(inst);
  return S(program, int(program->code.size()) - 1);
}

S constant_int(ScalarProgram* program, DType type, int64_t v) {
  ScalarInst inst{Prim::constant, type};
  if (is_float(type)) inst.imm = double(v);
  else inst.int_imm = v;
  program->code.push_back(inst);
  return S(program, int(program->code.size()) - 1);
}

S S::same(double v) const { return constant(program_, type(), v); }

S ScalarArgs::x(size_t i) const {
  ScalarInst inst{Prim::input, types[i]};
  inst.input = int(i);
  program->code.push_back(inst);
  return S(program, int(program->code.size()) - 1);
}

S unary(Prim prim, S a) { return emit(prim, a.type(), {a}); }
S binary(Prim prim, S a, S b) { return emit(prim, a.type(), {a, b}); }
S predicate(Prim prim, S a) { return emit(prim, DType::boolean, {a}); }
S predicate(Prim prim, S a, S b) { return emit(prim, DType::boolean, {a, b}); }
S cast(S a, DType to, bool saturate, PowerRound round) {
  S r = emit(Prim::cast, to, {a});
  r.program()->code.back().int_imm = int(saturate) + 2 * int(round);
  return r;
}

S operator+(S a, S b) { return binary(Prim::add, a, b); }
S operator-(S a, S b) { return binary(Prim::sub, a, b); }
S operator*(S a, S b) { return binary(Prim::mul, a, b); }
S operator/(S a, S b) { return binary(Prim::div, a, b); }
S operator-(S a) { return unary(Prim::neg, a); }
S operator+(S a, double b) { return a + a.same(b); }
S operator+(double a, S b) { return b.same(a) + b; }
S operator-(S a, double b) { return a - a.same(b); }
S operator-(double a, S b) { return b.same(a) - b; }
S operator*(S a, double b) { return a * a.same(b); }
S operator*(double a, S b) { return b.same(a) * b; }
S operator/(S a, double b) { return a / a.same(b); }
S operator/(double a, S b) { return b.same(a) / b; }
S operator<(S a, S b) { return predicate(Prim::lt, a, b); }
S operator<(S a, double b) { return a < a.same(b); }
S operator<=(S a, S b) { return predicate(Prim::le, a, b); }
S operator<=(S a, double b) { return a <= a.same(b); }
S operator>(S a, S b) { return b < a; }
S operator>=(S a, S b) { return b <= a; }
S operator>(S a, double b) { return a.same(b) < a; }
S operator>=(S a, double b) { return a.same(b) <= a; }
S equal(S a, S b) { return predicate(Prim::eq, a, b); }
S equal(S a, double b) { return equal(a, a.same(b)); }
S min(S a, S b) { return binary(Prim::min, a, b); }
S min(S a, double b) { return min(a, a.same(b)); }
S max(S a, S b) { return binary(Prim::max, a, b); }
S max(S a, double b) { return max(a, a.same(b)); }
S pow(S a, S b) { return binary(Prim::pow, a, b); }
S select(S condition, S a, S b) { return emit(Prim::select, a.type(), {condition, a, b}); }

// ---- running -----------------------------------------------------------------------------------------------------

int64_t wrap_int(DType t, int64_t v) {
  switch (t) {
    case DType::i8: return int8_t(v);
    case DType::i16: return int16_t(v);
    case DType::i32: return int32_t(v);
    case DType::u8: return uint8_t(v);
    case DType::u16: return uint16_t(v);
    case DType::u32: return uint32_t(v);
    case DType::i4: return int64_t((v & 15) ^ 8) - 8;
    case DType::u4: return v & 15;
    case DType::i2: return int64_t((v & 3) ^ 2) - 2;
    case DType::u2: return v & 3;
    case DType::boolean: return v != 0;
    default: return v;
  }
}

static double eval_float(Prim p, double a, double b) {
  switch (p) {
    case Prim::neg: return -a;
    case Prim::abs: return std::fabs(a);
    case Prim::sign: return std::isnan(a) ? a : double((a > 0) - (a < 0));
    case Prim::floor: return std::floor(a);
    case Prim::ceil: return std::ceil(a);
    case Prim::round: return std::nearbyint(a);
    case Prim::trunc: return std::trunc(a);
    case Prim::sqrt: return std::sqrt(a);
    case Prim::exp: return std::exp(a);
    case Prim::log: return std::log(a);
    case Prim::sin: return std::sin(a);
    case Prim::cos: return std::cos(a);
    case Prim::tan: return std::tan(a);
    case Prim::asin: return std::asin(a);
    case Prim::acos: return std::acos(a);
    case Prim::atan: return std::atan(a);
    case Prim::sinh: return std::sinh(a);
    case Prim::cosh: return std::cosh(a);
    case Prim::asinh: return std::asinh(a);
    case Prim::acosh: return std::acosh(a);
    case Prim::atanh: return std::atanh(a);
    case Prim::tanh: return std::tanh(a);
    case Prim::erf: return std::erf(a);
    case Prim::sigmoid: return a >= 0 ? 1 / (1 + std::exp(-a)) : std::exp(a) / (1 + std::exp(a));
    case Prim::log1p: return std::log1p(a);
    case Prim::expm1: return std::expm1(a);
    case Prim::add: return a + b;
    case Prim::sub: return a - b;
    case Prim::mul: return a * b;
    case Prim::div: return a / b;
    case Prim::fmod: return std::fmod(a, b);
    case Prim::mod: {
      double m = std::fmod(a, b);
      if (m == 0) return std::copysign(0.0, b);
      return (m < 0) != (b < 0) ? m + b : m;
    }
    case Prim::pow: return std::pow(a, b);
    case Prim::min: return std::isnan(a) || std::isnan(b) ? std::nan("") : std::min(a, b);
    case Prim::max: return std::isnan(a) || std::isnan(b) ? std::nan("") : std::max(a, b);
    default: return std::nan("");
  }
}

static int64_t int_pow(int64_t base, int64_t exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  uint64_t result = 1, b = uint64_t(base);
  for (uint64_t e = uint64_t(exponent); e; e >>= 1, b *= b)
    if (e & 1) result *= b;
  return int64_t(result);
}

// Integer arithmetic on 64 bits; u64 is held as its bit pattern, so the operations that depend on the sign ask for it.
static int64_t eval_int(Prim p, DType t, int64_t a, int64_t b) {
  const bool u64 = t == DType::u64;
  const auto ua = uint64_t(a), ub = uint64_t(b);
  switch (p) {
    case Prim::neg: return int64_t(-ua);
    case Prim::abs: return a < 0 && !u64 ? int64_t(-ua) : a;
    case Prim::sign: return u64 ? (a != 0) : (a > 0) - (a < 0);
    case Prim::bit_not: return ~a;
    case Prim::add: return int64_t(ua + ub);
    case Prim::sub: return int64_t(ua - ub);
    case Prim::mul: return int64_t(ua * ub);
    case Prim::div: return b == 0 ? 0 : u64 ? int64_t(ua / ub) : b == -1 ? int64_t(-ua) : a / b;
    case Prim::fmod: return b == 0 ? 0 : u64 ? int64_t(ua % ub) : b == -1 ? 0 : a % b;
    case Prim::mod: {
      if (b == 0) return 0;
      if (u64) return int64_t(ua % ub);
      if (b == -1) return 0;
      int64_t m = a % b;
      return m != 0 && (m < 0) != (b < 0) ? m + b : m;
    }
    case Prim::pow: return int_pow(a, b);
    case Prim::min: return u64 ? int64_t(std::min(ua, ub)) : std::min(a, b);
    case Prim::max: return u64 ? int64_t(std::max(ua, ub)) : std::max(a, b);
    case Prim::bit_and: return a & b;
    case Prim::bit_or: return a | b;
    case Prim::bit_xor: return a ^ b;
    case Prim::shift_left: return ub >= uint64_t(bits(t)) ? 0 : int64_t(ua << ub);
    case Prim::shift_right:
      if (is_signed_int(t)) return a >> std::min<uint64_t>(ub, 63);
      return ub >= uint64_t(bits(t)) ? 0 : int64_t(ua >> ub);
    case Prim::logical_and: return a && b;
    case Prim::logical_or: return a || b;
    case Prim::logical_xor: return bool(a) != bool(b);
    case Prim::logical_not: return !a;
    default: return a;  // floor, ceil, round, trunc of an integer
  }
}

namespace {
union Word {
  double f;
  int64_t i;
};
}  // namespace

// A value after conversion from type `from` to `to`, rounded to what `to` can hold.
static Word convert(Word v, DType from, const ScalarInst& cast) {
  const DType to = cast.type;
  Word out;
  if (is_float(to)) {
    const double d = is_float(from) ? v.f : from == DType::u64 ? double(uint64_t(v.i)) : double(v.i);
    // Straight from the integer: by way of a double it would round twice.
    if (to == DType::f32) out.f = is_float(from) ? float(d) : from == DType::u64 ? float(uint64_t(v.i)) : float(v.i);
    else if (to == DType::f64) out.f = d;
    else out.f = decode_float(to, encode_float(to, d, cast_saturates(cast), cast_round(cast)));
  } else if (is_float(from)) {
    int64_t raw[1];
    double d[1] = {v.f};
    if (to == DType::boolean) {
      out.i = v.f != 0;
    } else {
      DType wide = to == DType::u64 ? DType::u64 : DType::i64;
      store_doubles(wide, raw, 0, 1, d);
      out.i = wrap_int(to, raw[0]);
    }
  } else {
    out.i = wrap_int(to, v.i);
  }
  return out;
}

static bool compare(Prim p, DType t, Word a, Word b) {
  auto test = [p](auto x, auto y) { return p == Prim::eq ? x == y : p == Prim::lt ? x < y : x <= y; };
  if (is_float(t)) return test(a.f, b.f);
  if (t == DType::u64) return test(uint64_t(a.i), uint64_t(b.i));
  return test(a.i, b.i);
}

void run_scalar(const ScalarProgram& program, int64_t n, const void* const* inputs, void* const* outputs) {
  constexpr int64_t kBlock = 256;
  std::vector<Word> regs(program.code.size() * kBlock);
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t count = std::min(kBlock, n - begin);
    for (size_t k = 0; k < program.code.size(); ++k) {
      const ScalarInst& inst = program.code[k];
      Word* r = &regs[k * kBlock];
      const Word *a = &regs[size_t(inst.args[0]) * kBlock], *b = &regs[size_t(inst.args[1]) * kBlock],
                 *c = &regs[size_t(inst.args[2]) * kBlock];
      const DType operand = program.code[size_t(inst.args[0])].type;
      const bool floating = is_float(inst.type);
      for (int64_t i = 0; i < count; ++i) switch (inst.prim) {
          case Prim::input: std::memcpy(&r[i], static_cast<const char*>(inputs[inst.input]) + (begin + i) * 8, 8); break;
          case Prim::constant:
            if (floating) r[i].f = inst.imm;
            else r[i].i = inst.int_imm;
            break;
          case Prim::cast: r[i] = convert(a[i], operand, inst); break;
          case Prim::select: r[i] = a[i].i ? b[i] : c[i]; break;
          case Prim::is_nan: r[i].i = is_float(operand) && std::isnan(a[i].f); break;
          case Prim::is_inf: r[i].i = is_float(operand) && std::isinf(a[i].f); break;
          case Prim::eq:
          case Prim::lt:
          case Prim::le: r[i].i = compare(inst.prim, operand, a[i], b[i]); break;
          default:
            if (floating) r[i].f = eval_float(inst.prim, a[i].f, b[i].f);
            else r[i].i = wrap_int(inst.type, eval_int(inst.prim, inst.type, a[i].i, b[i].i));
        }
    }
    for (size_t j = 0; j < program.outputs.size(); ++j)
      std::memcpy(static_cast<char*>(outputs[j]) + begin * 8, &regs[size_t(program.outputs[j]) * kBlock],
                  size_t(count) * 8);
  }
}

}  // namespace tenon
