#include "backend/cuda/build/families/ordering.h"

namespace tenon::cuda {

const char kKeyHelpers[] = R"(
DEVICE int float_key(float v) {
  if (v != v) return 0x7fffffff;
  const int all = int(float_bits(v == 0.f ? 0.f : v));
  return all < 0 ? all ^ 0x7fffffff : all;
}
DEVICE long long double_key(double v) {
  if (v != v) return (long long)(~0ull >> 1);
  const long long all = (long long)double_bits(v == 0 ? 0.0 : v);
  return all < 0 ? all ^ (long long)(~0ull >> 1) : all;
}
)";

std::string key_type(DType t) {
  if (device_type(t).empty() || compute_type(t).empty()) return "";
  return t == DType::f64 || t == DType::i64 || t == DType::u64 || t == DType::u32 ? "long long" : "int";
}

std::string key_of(DType t, const std::string& element) {
  if (t == DType::f64) return cat("double_key(", element, ")");
  if (is_float(t)) return cat("float_key(to_float(", element, "))");
  if (t == DType::u64) return cat("(long long)(", element, " ^ (1ull << 63))");
  if (t == DType::boolean) return cat("int(", element, " != 0)");
  return cat("(", key_type(t), ")", element);
}

}  // namespace tenon::cuda
