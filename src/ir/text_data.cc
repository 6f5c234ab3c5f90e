#include "ir/text_data.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/random.h"
#include "base/text.h"

namespace tenon {

static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void append_base64(std::string& out, const void* data, size_t bytes) {
  const auto* p = static_cast<const uint8_t*>(data);
  out.reserve(out.size() + (bytes + 2) / 3 * 4);
  for (size_t i = 0; i < bytes; i += 3) {
    const size_t n = std::min<size_t>(3, bytes - i);
    const uint32_t v = uint32_t(p[i]) << 16 | uint32_t(n > 1 ? p[i + 1] : 0) << 8 | uint32_t(n > 2 ? p[i + 2] : 0);
    for (size_t k = 0; k < 4; ++k) out += k <= n ? kDigits[v >> (18 - 6 * k) & 63] : '=';
  }
}

bool decode_base64(std::string_view text, void* data, size_t bytes) {
  static const std::array<int8_t, 256> kValues = [] {
    std::array<int8_t, 256> v;
    v.fill(-1);
    for (int i = 0; i < 64; ++i) v[uint8_t(kDigits[i])] = int8_t(i);
    return v;
  }();
  if (text.size() % 4 || text.size() / 4 != (bytes + 2) / 3) return false;
  auto* p = static_cast<uint8_t*>(data);
  for (size_t i = 0, at = 0; i < bytes; i += 3, at += 4) {
    const size_t n = std::min<size_t>(3, bytes - i);
    uint32_t v = 0;
    for (size_t k = 0; k < 4; ++k) {
      const int d = k <= n ? kValues[uint8_t(text[at + k])] : text[at + k] == '=' ? 0 : -1;
      if (d < 0) return false;
      v = v << 6 | uint32_t(d);
    }
    for (size_t k = 0; k < n; ++k) p[i + k] = uint8_t(v >> (16 - 8 * k));
  }
  return true;
}

template <class T>
static void append_real(std::string& out, T v) {
  if (std::isnan(v)) {
    out += "nan";
    return;
  }
  const size_t begin = out.size();
  append_text(out, v);
  if (out.find_first_of(".ein", begin) == out.npos) out += ".0";
}

void append_float(std::string& out, float v) { append_real(out, v); }

static void append_element(std::string& out, const Tensor& t, int64_t i) {
  if (t.dtype() == DType::f64) append_real(out, t.at(i));
  else if (is_float(t.dtype())) append_real(out, float(t.at(i)));
  else if (t.dtype() == DType::u64) append_text(out, uint64_t(t.int_at(i)));
  else append_text(out, t.int_at(i));
}

bool append_elements(std::string& out, const Tensor& t) {
  if (kind(t.dtype()) == Kind::complex || kind(t.dtype()) == Kind::string) return false;
  const size_t begin = out.size();
  auto back = Tensor::allocate(t.dtype(), t.shape());
  if (!back.ok()) return false;
  for (int64_t i = 0; i < t.size(); ++i) {
    const size_t from = out.size();
    append_element(out, t, i);
    if (!parse_element(std::string_view(out).substr(from), *back, i)) return out.resize(begin), false;
    if (i + 1 < t.size()) out += ", ";
  }
  if (std::memcmp(back->data(), t.data(), size_t(t.bytes())) == 0) return true;
  out.resize(begin);
  return false;
}

template <class T>
static bool parse_number(std::string_view text, T& v) {
  auto r = std::from_chars(text.data(), text.data() + text.size(), v);
  return r.ec == std::errc() && r.ptr == text.data() + text.size();
}

bool parse_element(std::string_view text, Tensor& t, int64_t i) {
  const DType type = t.dtype();
  if (type == DType::f32) return parse_number(text, t.as<float>()[i]);
  if (is_float(type)) {
    double v;
    if (!parse_number(text, v)) return false;
    t.set(i, v);
    return true;
  }
  if (type == DType::u64) return parse_number(text, t.as<uint64_t>()[i]);
  if (!is_int(type) && type != DType::boolean) return false;
  int64_t v;
  if (!parse_number(text, v)) return false;
  const int b = type == DType::boolean ? 1 : bits(type);
  const int64_t low = is_signed_int(type) ? INT64_MIN >> (64 - b) : 0;
  const int64_t high = is_signed_int(type) ? ~low : b < 63 ? (int64_t(1) << b) - 1 : INT64_MAX;
  if (v < low || v > high) return false;
  t.set_int(i, v);
  return true;
}

void fill_random(Tensor& t, uint64_t seed) {
  Random random(seed);
  for (int64_t i = 0; i < t.size(); ++i) {
    if (is_float(t.dtype())) {
      t.set(i, random.normal());
    } else if (t.dtype() == DType::boolean) {
      t.set_int(i, int64_t(random.next() & 1));
    } else {
      const int64_t span = bits(t.dtype()) < 8 ? 3 : 16;
      t.set_int(i, int64_t(random.next() % uint64_t(span + 1)) - (is_signed_int(t.dtype()) ? span / 2 : 0));
    }
  }
}

}  // namespace tenon
