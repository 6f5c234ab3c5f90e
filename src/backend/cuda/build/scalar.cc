// Scalar programs as CUDA C++. The rules are those of ops/scalar.h; what one expression cannot say is in base.cuh.
#include <cmath>

#include "backend/cuda/build/source.h"

namespace tenon::cuda {

namespace {

std::string int_literal(DType t, int64_t v) {
  if (t == DType::boolean) return v ? "true" : "false";
  v = wrap_int(t, v);
  if (t == DType::u64) return cat(uint64_t(v), "ull");
  if (is_unsigned_int(t)) return cat(v, "u");
  // The smallest numbers have no literal of their own.
  const char* suffix = t == DType::i64 ? "ll" : "";
  if (v == INT64_MIN || (t == DType::i32 && v == INT32_MIN)) return cat("(", v + 1, suffix, " - 1)");
  return v < 0 ? cat("(", v, suffix, ")") : cat(v, suffix);
}

// An integer expression of any type, wrapped to `t` and in the type that `t` is computed in.
std::string wrap(DType t, const std::string& e) {
  switch (t) {
    case DType::i8: return cat("int((signed char)(", e, "))");
    case DType::i16: return cat("int((short)(", e, "))");
    case DType::i32: return cat("int(", e, ")");
    case DType::u8: return cat("unsigned((unsigned char)(", e, "))");
    case DType::u16: return cat("unsigned((unsigned short)(", e, "))");
    case DType::u32: return cat("unsigned(", e, ")");
    case DType::i4: return cat("((int((", e, ") & 15) ^ 8) - 8)");
    case DType::u4: return cat("unsigned((", e, ") & 15)");
    case DType::i2: return cat("((int((", e, ") & 3) ^ 2) - 2)");
    case DType::u2: return cat("unsigned((", e, ") & 3)");
    case DType::i64: return cat("(long long)(", e, ")");
    case DType::u64: return cat("(unsigned long long)(", e, ")");
    default: return cat("((", e, ") != 0)");
  }
}

// A float expression, rounded to the values that `t` has.
std::string round_to(DType t, const std::string& e, bool saturate, PowerRound round) {
  auto small = [&](const char* type) { return cat(type, "::decode(", type, "::encode(", e, ", ", saturate, "))"); };
  switch (t) {
    case DType::f16: return cat("f16_to_float(float_to_f16(", e, "))");
    case DType::bf16: return cat("bf16_to_float(float_to_bf16(", e, "))");
    case DType::f8e4m3fn: return cat("decode_e4m3fn(encode_e4m3fn(", e, ", ", saturate, "))");
    case DType::f8e5m2: return cat("decode_e5m2(encode_e5m2(", e, ", ", saturate, "))");
    case DType::f8e4m3fnuz: return small("E4M3fnuz");
    case DType::f8e5m2fnuz: return small("E5M2fnuz");
    case DType::f4e2m1: return small("E2M1");
    case DType::f6e2m3: return small("E2M3");
    case DType::f6e3m2: return small("E3M2");
    case DType::f8e8m0: return cat("decode_power(encode_power(double(", e, "), ", saturate, ", ", int(round), "))");
    default: return e;
  }
}

std::string cast_text(const ScalarInst& inst, DType from, const std::string& e) {
  const DType to = inst.type;
  if (is_float(to)) {
    if (to == DType::f64) return cat("double(", e, ")");
    if (to == DType::f32) return cat("float(", e, ")");
    // Only what a float does not hold exactly takes the way over double.
    const bool exact = is_float(from) ? from != DType::f64 : bits(from) < 32;
    std::string v = exact ? cat("float(", e, ")") : to == DType::f8e8m0 ? e : cat("to_odd(double(", e, "))");
    return round_to(to, v, cast_saturates(inst), cast_round(inst));
  }
  if (!is_float(from) || to == DType::boolean) return wrap(to, e);
  if (to == DType::i64) return cat("to_i64(", e, ")");
  if (to == DType::u64) return cat("to_u64(", e, ")");
  return wrap(to, cat("to_i32(", e, ")"));
}

// What C's mathematics calls it, without the "f" for float; null where it is no plain function.
const char* function_name(Prim p) {
  switch (p) {
    case Prim::floor: return "floor";
    case Prim::ceil: return "ceil";
    case Prim::round: return "rint";
    case Prim::trunc: return "trunc";
    case Prim::sqrt: return "sqrt";
    case Prim::exp: return "exp";
    case Prim::log: return "log";
    case Prim::sin: return "sin";
    case Prim::cos: return "cos";
    case Prim::tan: return "tan";
    case Prim::asin: return "asin";
    case Prim::acos: return "acos";
    case Prim::atan: return "atan";
    case Prim::sinh: return "sinh";
    case Prim::cosh: return "cosh";
    case Prim::asinh: return "asinh";
    case Prim::acosh: return "acosh";
    case Prim::atanh: return "atanh";
    case Prim::tanh: return "tanh";
    case Prim::erf: return "erf";
    case Prim::log1p: return "log1p";
    case Prim::expm1: return "expm1";
    case Prim::abs: return "fabs";
    case Prim::fmod: return "fmod";
    case Prim::pow: return "pow";
    default: return nullptr;
  }
}

bool is_narrow(DType t) { return t == DType::f16 || t == DType::bf16; }

// Empty where floats have no such operation.
std::string float_text(Prim p, DType t, const std::string& a, const std::string& b) {
  // bf16 has the small numbers that the narrow forms of exp and sigmoid do not give.
  const bool narrow = p == Prim::erf || p == Prim::tanh ? is_narrow(t) : (p == Prim::exp || p == Prim::sigmoid) && t == DType::f16;
  if (narrow) return cat(prim_name(p), "_narrow(", a, ")");
  switch (p) {
    case Prim::neg: return "-" + a;
    case Prim::add: return cat(a, " + ", b);
    case Prim::sub: return cat(a, " - ", b);
    case Prim::mul: return cat(a, " * ", b);
    case Prim::div: return cat(a, " / ", b);
    case Prim::sign: return cat("sign_of(", a, ")");
    case Prim::sigmoid: return cat("sigmoid_of(", a, ")");
    case Prim::mod: return cat("float_mod(", a, ", ", b, ")");
    case Prim::min: return cat("min_nan(", a, ", ", b, ")");
    case Prim::max: return cat("max_nan(", a, ", ", b, ")");
    default: break;
  }
  const char* function = function_name(p);
  if (!function) return "";
  return cat(function, t == DType::f64 ? "" : "f", "(", a, prim_operands(p) == 2 ? ", " + b : "", ")");
}

// Before wrapping. Empty where integers have no such operation.
std::string int_text(Prim p, DType t, const std::string& a, const std::string& b) {
  const bool wide = bits(t) == 64, is_signed = is_signed_int(t);
  // Signed arithmetic that overflows is undefined in C++; unsigned wraps.
  const char* u = wide ? "(unsigned long long)" : "(unsigned)";
  const std::string type = compute_type(t == DType::boolean ? DType::i32 : t);
  auto call = [&](const char* f) { return cat(f, "((", type, ")(", a, "), (", type, ")(", b, "))"); };
  switch (p) {
    case Prim::neg: return cat("0u - ", u, a);
    case Prim::abs: return is_signed ? cat("(", a, " < 0 ? 0u - ", u, a, " : ", u, a, ")") : a;
    case Prim::sign: return is_signed ? cat("int(", a, " > 0) - int(", a, " < 0)") : cat("int(", a, " != 0)");
    case Prim::bit_not: return t == DType::boolean ? "true" : "~" + a;
    case Prim::add: return cat(u, a, " + ", u, b);
    case Prim::sub: return cat(u, a, " - ", u, b);
    case Prim::mul: return cat(u, a, " * ", u, b);
    case Prim::div: return call("int_div");
    case Prim::fmod: return call("int_rem");
    case Prim::mod: return call("int_mod");
    case Prim::pow: return cat("int_pow((long long)", a, ", (long long)", b, ")");
    case Prim::min: return cat("(", b, " < ", a, " ? ", b, " : ", a, ")");
    case Prim::max: return cat("(", a, " < ", b, " ? ", b, " : ", a, ")");
    case Prim::bit_and: return cat("(", a, " & ", b, ")");
    case Prim::bit_or: return cat("(", a, " | ", b, ")");
    case Prim::bit_xor: return cat("(", a, " ^ ", b, ")");
    case Prim::shift_left: return cat("shift_left(", u, a, ", ", b, ", ", bits(t), ")");
    case Prim::shift_right:
      return is_signed ? cat("shift_right_signed(", a, ", ", b, ")") : cat("shift_right(", u, a, ", ", b, ", ", bits(t), ")");
    case Prim::logical_and: return cat("(", a, " && ", b, ")");
    case Prim::logical_or: return cat("(", a, " || ", b, ")");
    case Prim::logical_xor: return cat("(bool(", a, ") != bool(", b, "))");
    case Prim::logical_not: return "!" + a;
    case Prim::floor:
    case Prim::ceil:
    case Prim::round:
    case Prim::trunc: return a;
    default: return "";
  }
}

struct Writer {
  const ScalarProgram& program;
  const std::vector<std::string>& inputs;
  const std::string& prefix;
  std::string& statements;
  std::vector<std::string> value;  // expressions without side effects that bind like names

  DType type(int k) const { return program.code[size_t(k)].type; }

  Result<std::string> input(const ScalarInst& inst) const {
    const DType t = inst.type;
    if (inst.input < 0 || size_t(inst.input) >= inputs.size() || inputs[size_t(inst.input)].empty())
      return internal_error("the scalar program reads input ", inst.input, ", which has no expression");
    const std::string& e = inputs[size_t(inst.input)];
    if (device_type(t).empty()) return unsupported(name(t), " has no form in device memory");
    if (t == DType::f32 || t == DType::f64) return e;
    if (is_float(t)) return cat("to_float(", e, ")");
    return t == DType::boolean ? cat("(", e, ") != 0") : cat("(", compute_type(t), ")(", e, ")");
  }

  // The erf or tanh in 1 + erf(v), which is one function where the result has 16 bits; -1 elsewhere.
  int added_to_one(const ScalarInst& inst) const {
    if (inst.prim != Prim::add || !is_narrow(inst.type)) return -1;
    for (int i = 0; i < 2; ++i) {
      const ScalarInst& one = program.code[size_t(inst.args[i])];
      const Prim other = program.code[size_t(inst.args[1 - i])].prim;
      if (one.prim == Prim::constant && one.imm == 1 && (other == Prim::erf || other == Prim::tanh)) return inst.args[1 - i];
    }
    return -1;
  }

  // What the instruction reads.
  std::vector<int> operands_of(const ScalarInst& inst) const {
    if (const int f = added_to_one(inst); f >= 0) return {program.code[size_t(f)].args[0]};
    return std::vector<int>(inst.args, inst.args + prim_operands(inst.prim));
  }

  // A power by a small whole number is a product.
  std::string small_power(const ScalarInst& inst, const std::string& a) const {
    const ScalarInst& e = program.code[size_t(inst.args[1])];
    if (inst.prim != Prim::pow || e.prim != Prim::constant || !is_float(inst.type)) return "";
    return e.imm == 1 ? a : e.imm == 2 ? cat(a, " * ", a) : e.imm == 3 ? cat(a, " * ", a, " * ", a) : "";
  }

  Result<std::string> expression(const ScalarInst& inst) const {
    const int operands = prim_operands(inst.prim);
    std::string v[3];
    for (int i = 0; i < operands; ++i) v[i] = value[size_t(inst.args[i])];
    const std::string &a = v[0], &b = v[1];
    const DType operand = operands ? type(inst.args[0]) : inst.type;
    const DType t = inst.type;
    if (compute_type(t).empty()) return unsupported("kernels do not compute with ", name(t));
    std::string e;
    switch (inst.prim) {
      case Prim::input: return input(inst);
      case Prim::constant:
        if (!is_float(t)) return int_literal(t, inst.int_imm);
        return t == DType::f64 ? double_literal(inst.imm) : float_literal(inst.imm);
      case Prim::select: return cat(a, " ? ", b, " : ", v[2]);
      case Prim::cast: return cast_text(inst, operand, a);
      case Prim::eq: return cat(a, " == ", b);
      case Prim::lt: return cat(a, " < ", b);
      case Prim::le: return cat(a, " <= ", b);
      case Prim::is_nan: return is_float(operand) ? cat(a, " != ", a) : std::string("false");
      case Prim::is_inf:
        if (!is_float(operand)) return std::string("false");
        return operand == DType::f64 ? cat("fabs(", a, ") == ", double_literal(INFINITY)) : cat("fabsf(", a, ") == INFINITE");
      default: break;
    }
    if (const int f = added_to_one(inst); f >= 0) {
      const ScalarInst& function = program.code[size_t(f)];
      e = cat("one_plus_", prim_name(function.prim), "_narrow(", value[size_t(function.args[0])], ")");
    } else if (is_float(t)) {
      e = small_power(inst, a);
      if (e.empty()) e = float_text(inst.prim, t, a, b);
    } else {
      e = int_text(inst.prim, t, a, b);
      if (!e.empty()) e = wrap(t, e);
    }
    if (e.empty()) return unsupported("kernels have no ", prim_name(inst.prim), " of ", name(operand));
    return e;
  }

  Status write() {
    // What no output needs is left out.
    std::vector<bool> needed(program.code.size());
    for (int o : program.outputs) needed[size_t(o)] = true;
    for (size_t k = program.code.size(); k-- > 0;)
      if (needed[k])
        for (int operand : operands_of(program.code[k])) needed[size_t(operand)] = true;
    value.resize(program.code.size());
    for (size_t k = 0; k < program.code.size(); ++k) {
      if (!needed[k]) continue;
      const ScalarInst& inst = program.code[k];
      std::string e = TRY(expression(inst));
      if (inst.prim == Prim::constant) {
        value[k] = e;
        continue;
      }
      value[k] = cat(prefix, k);
      statements += cat("const ", compute_type(inst.type), " ", value[k], " = ", e, ";\n");
    }
    return {};
  }
};

}  // namespace

Result<std::vector<std::string>> write_scalar(const ScalarProgram& program, const std::vector<std::string>& inputs,
                                              const std::string& prefix, std::string& statements) {
  Writer w{program, inputs, prefix, statements, {}};
  TRY(w.write());
  std::vector<std::string> out;
  for (int o : program.outputs) out.push_back(w.value[size_t(o)]);
  return out;
}

}  // namespace tenon::cuda
