// Scalar programs: what an elementwise operator does to one element, as straight-line code over a few primitives.
// An operator writes its formula once, as ordinary arithmetic on S; the reference kernel interprets the program, the
// backends turn it into vector code or device source, and fusing operators means joining their programs.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/attr.h"

namespace tenon {

// In one list: name, number of operands. Float semantics are IEEE 754's; min and max give NaN if either side is NaN.
// `div` of integers truncates; division of integers by zero gives 0. `mod` takes the sign of the divisor (Python),
// `fmod` that of the dividend (C), both also for a zero remainder of floats; integers modulo zero give 0. `round` goes
// to nearest even. Integers wrap. Comparisons and is_* give bool; `select` takes (bool, a, b). `cast` converts to the
// instruction's type as ONNX's Cast does (int_imm holds its options); a float outside an integer type's range gives
// some value of that type. A shift by a negative amount or by the type's width or more shifts every bit out; to the
// right, signed integers bring in copies of their sign.
#define TENON_PRIMS(X)                                                                                            \
  X(input, 0) X(constant, 0)                                                                                      \
  X(neg, 1) X(abs, 1) X(sign, 1) X(floor, 1) X(ceil, 1) X(round, 1) X(trunc, 1) X(sqrt, 1) X(exp, 1) X(log, 1)    \
  X(sin, 1) X(cos, 1) X(tan, 1) X(asin, 1) X(acos, 1) X(atan, 1) X(sinh, 1) X(cosh, 1) X(asinh, 1) X(acosh, 1)    \
  X(atanh, 1) X(tanh, 1) X(erf, 1) X(sigmoid, 1) X(log1p, 1) X(expm1, 1) X(is_nan, 1) X(is_inf, 1)                \
  X(logical_not, 1) X(bit_not, 1) X(cast, 1)                                                                      \
  X(add, 2) X(sub, 2) X(mul, 2) X(div, 2) X(mod, 2) X(fmod, 2) X(pow, 2) X(min, 2) X(max, 2)                      \
  X(bit_and, 2) X(bit_or, 2) X(bit_xor, 2) X(shift_left, 2) X(shift_right, 2)                                     \
  X(logical_and, 2) X(logical_or, 2) X(logical_xor, 2) X(eq, 2) X(lt, 2) X(le, 2)                                 \
  X(select, 3)

enum class Prim : uint8_t {
#define X(name, operands) name,
  TENON_PRIMS(X)
#undef X
};
// An integer as the type keeps it: its low bits, with the type's sign.
int64_t wrap_int(DType t, int64_t v);
const char* prim_name(Prim p);
int prim_operands(Prim p);

// One instruction; its result is numbered by its place. Operands are earlier results.
struct ScalarInst {
  Prim prim;
  DType type;           // of the result
  int args[3] = {0, 0, 0};
  int input = 0;        // prim == input: which operand of the operator
  double imm = 0;       // prim == constant, floats
  int64_t int_imm = 0;  // prim == constant, integers and bool; prim == cast: 1 to saturate (float8) + 2 * PowerRound
};
inline bool cast_saturates(const ScalarInst& inst) { return inst.int_imm & 1; }
inline PowerRound cast_round(const ScalarInst& inst) { return PowerRound(inst.int_imm >> 1); }

struct ScalarProgram {
  std::vector<ScalarInst> code;
  std::vector<int> outputs;  // results that leave the program
};

// A value inside a program being written. Copies refer to the same result.
class S {
 public:
  S(ScalarProgram* program, int id) : program_(program), id_(id) {}
  DType type() const { return program_->code[size_t(id_)].type; }
  int id() const { return id_; }
  ScalarProgram* program() const { return program_; }
  // A constant of this value's type.
  S same(double v) const;

 private:
  ScalarProgram* program_;
  int id_;
};

S emit(Prim prim, DType type, std::initializer_list<S> args);
S constant(ScalarProgram* program, DType type, double v);
S constant_int(ScalarProgram* program, DType type, int64_t v);

S operator+(S a, S b);
S operator-(S a, S b);
S operator*(S a, S b);
S operator/(S a, S b);
S operator-(S a);
// Mixed with plain numbers, which take the other side's type.
S operator+(S a, double b);
S operator+(double a, S b);
S operator-(S a, double b);
S operator-(double a, S b);
S operator*(S a, double b);
S operator*(double a, S b);
S operator/(S a, double b);
S operator/(double a, S b);
S operator<(S a, S b);
S operator<(S a, double b);
S operator<=(S a, S b);
S operator<=(S a, double b);
S operator>(S a, S b);
S operator>=(S a, S b);
S operator>(S a, double b);
S operator>=(S a, double b);
S equal(S a, S b);
S equal(S a, double b);
S min(S a, S b);
S min(S a, double b);
S max(S a, S b);
S max(S a, double b);
S pow(S a, S b);
S select(S condition, S a, S b);
S unary(Prim prim, S a);               // result has a's type
S binary(Prim prim, S a, S b);         // result has a's type
S predicate(Prim prim, S a);           // result is bool
S predicate(Prim prim, S a, S b);      // result is bool
S cast(S a, DType to, bool saturate = true, PowerRound round = PowerRound::up);

// What an operator sees when it writes its program.
struct ScalarArgs {
  const Attrs& attrs;
  ScalarProgram* program;
  std::vector<DType> types;  // of the inputs; none for one that is absent
  size_t size() const { return types.size(); }
  bool has(size_t i) const { return i < types.size() && types[i] != DType::none; }
  S x(size_t i) const;  // input i
};

// Runs the program over `n` elements. inputs[i] and outputs[j] point to n doubles where the type is floating, to n
// int64 otherwise. The plain reference: floats in double, rounded to `type` only by cast; integers wrap to their type.
void run_scalar(const ScalarProgram& program, int64_t n, const void* const* inputs, void* const* outputs);

}  // namespace tenon
