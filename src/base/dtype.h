// The data types of tensors: one table with name, ONNX number, width and kind; conversions to and from double.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace tenon {

// Values are those of onnx.TensorProto.DataType.
enum class DType : uint8_t {
  none = 0,
  f32 = 1, u8 = 2, i8 = 3, u16 = 4, i16 = 5, i32 = 6, i64 = 7, str = 8, boolean = 9, f16 = 10, f64 = 11,
  u32 = 12, u64 = 13, c64 = 14, c128 = 15, bf16 = 16,
  f8e4m3fn = 17, f8e4m3fnuz = 18, f8e5m2 = 19, f8e5m2fnuz = 20,
  u4 = 21, i4 = 22, f4e2m1 = 23, f8e8m0 = 24, u2 = 25, i2 = 26, f6e2m3 = 27, f6e3m2 = 28,
};
constexpr int kNumDTypes = 29;

enum class Kind : uint8_t { none, floating, signed_int, unsigned_int, boolean, complex, string };

struct DTypeInfo {
  const char* name;  // "f32"
  uint8_t bits;      // storage; types under 8 bits are packed, low bits first
  Kind kind;
};
const DTypeInfo& info(DType t);  // any byte is safe: unknown ones answer like DType::none

inline const char* name(DType t) { return info(t).name; }
inline int bits(DType t) { return info(t).bits; }
inline Kind kind(DType t) { return info(t).kind; }
inline bool is_float(DType t) { return kind(t) == Kind::floating; }
inline bool is_signed_int(DType t) { return kind(t) == Kind::signed_int; }
inline bool is_unsigned_int(DType t) { return kind(t) == Kind::unsigned_int; }
inline bool is_int(DType t) { return is_signed_int(t) || is_unsigned_int(t); }
// Bytes that `n` elements take, packed types included.
int64_t byte_size(DType t, int64_t n);
DType dtype_from_name(std::string_view name);  // none when unknown

// A set of data types, for operator schemas.
struct DTypeSet {
  uint32_t mask = 0;
  constexpr DTypeSet() = default;
  constexpr DTypeSet(DType t) : mask(1u << int(t)) {}
  constexpr DTypeSet(std::initializer_list<DType> ts) {
    for (DType t : ts) mask |= 1u << int(t);
  }
  constexpr bool contains(DType t) const { return mask >> int(t) & 1; }
  constexpr DTypeSet operator|(DTypeSet o) const {
    DTypeSet r;
    r.mask = mask | o.mask;
    return r;
  }
};
inline constexpr DTypeSet kFloats{DType::f16, DType::f32, DType::f64, DType::bf16};
inline constexpr DTypeSet kFloat8s{DType::f8e4m3fn, DType::f8e4m3fnuz, DType::f8e5m2, DType::f8e5m2fnuz};
inline constexpr DTypeSet kSigned{DType::i8, DType::i16, DType::i32, DType::i64};
inline constexpr DTypeSet kUnsigned{DType::u8, DType::u16, DType::u32, DType::u64};
inline constexpr DTypeSet kInts = kSigned | kUnsigned;
inline constexpr DTypeSet kBool{DType::boolean};
inline constexpr DTypeSet kNumeric = kFloats | kInts;
inline constexpr DTypeSet kIndex{DType::i32, DType::i64};
inline constexpr DTypeSet kInt4s{DType::i4, DType::u4, DType::i2, DType::u2};
inline constexpr DTypeSet kAny = kNumeric | kBool | kFloat8s | kInt4s |
                                DTypeSet{DType::f4e2m1, DType::f6e2m3, DType::f6e3m2, DType::f8e8m0};

// Narrow floats. Rounding is to nearest even; overflow gives infinity (f16, bf16).
float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float f);
inline float bf16_to_f32(uint16_t b) {
  uint32_t u = uint32_t(b) << 16;
  float f;
  __builtin_memcpy(&f, &u, 4);
  return f;
}
uint16_t f32_to_bf16(float f);
// How f8e8m0, which holds powers of two only, rounds: away from zero, toward zero, to the nearest (ties up).
enum class PowerRound : uint8_t { up, down, nearest };
// Any float type of 16 bits or fewer, raw bits in and out. `saturate` holds for the float8 types and follows ONNX's
// Cast: on, overflow gives the largest value; off, NaN or infinity as the type has it. The types of 4 and 6 bits have
// neither and always saturate; NaN becomes their negative zero. f8e8m0 has neither sign nor zero: the magnitude counts.
double decode_float(DType t, uint32_t raw);
uint32_t encode_float(DType t, double v, bool saturate = true, PowerRound round = PowerRound::up);

// Element i of a packed or plain array, as double or as int64, and back. Integers wrap on store as a C cast does.
// Slow and obvious: for references and tests. Complex types are not handled.
double load_double(DType t, const void* data, int64_t i);
int64_t load_int(DType t, const void* data, int64_t i);  // floats truncate toward zero; u64 wraps
void store_double(DType t, void* data, int64_t i, double v);
void store_int(DType t, void* data, int64_t i, int64_t v);

// Whole runs, with the type dispatched once.
void load_doubles(DType t, const void* data, int64_t begin, int64_t n, double* out);
void load_ints(DType t, const void* data, int64_t begin, int64_t n, int64_t* out);
void store_doubles(DType t, void* data, int64_t begin, int64_t n, const double* in);
void store_ints(DType t, void* data, int64_t begin, int64_t n, const int64_t* in);

}  // namespace tenon
