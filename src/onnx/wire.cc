#include "onnx/wire.h"

namespace tenon::onnx {

enum WireType { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

uint64_t Wire::varint() {
  uint64_t v = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (p_ == end_) {
      fail(invalid_model("the file ends inside a number, at byte ", offset()));
      return 0;
    }
    uint8_t byte = *p_++;
    v |= uint64_t(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return v;
  }
  fail(invalid_model("a number has more than 10 bytes, at byte ", offset()));
  return 0;
}

bool Wire::next() {
  if (pending_ && status_.ok()) skip();
  if (!status_.ok() || p_ == end_) return false;
  uint64_t key = varint();
  if (!status_.ok()) return false;
  field_ = int(key >> 3 & 0x1fffffff);
  type_ = int(key & 7);
  if (type_ == kBytes) {
    uint64_t n = varint();
    if (status_.ok() && n > uint64_t(end_ - p_))
      fail(invalid_model("field ", field_, " claims ", n, " bytes where ", uint64_t(end_ - p_), " are left, at byte ", offset()));
    if (!status_.ok()) return false;
    bytes_ = {reinterpret_cast<const char*>(p_), size_t(n)};
    p_ += n;
    pending_ = false;
  } else if (type_ == kVarint || type_ == kFixed32 || type_ == kFixed64) {
    pending_ = true;
  } else {
    fail(invalid_model("unknown wire type ", type_, " at byte ", offset(), ": not an ONNX file, or a damaged one"));
  }
  return status_.ok();
}

void Wire::skip() {
  pending_ = false;
  size_t n = type_ == kFixed32 ? 4 : type_ == kFixed64 ? 8 : 0;
  if (type_ == kVarint) {
    varint();
  } else if (size_t(end_ - p_) < n) {
    fail(invalid_model("the file ends inside a number, at byte ", offset()));
  } else {
    p_ += n;
  }
}

bool Wire::expect(int type) {
  if (type_ == type) return true;
  fail(invalid_model("field ", field_, " has wire type ", type_, " instead of ", type, ", at byte ", offset()));
  pending_ = false;
  return false;
}

int64_t Wire::integer() {
  if (!expect(kVarint)) return 0;
  pending_ = false;
  return int64_t(varint());
}

float Wire::f32() {
  float v = 0;
  if (!expect(kFixed32)) return v;
  const uint8_t* at = p_;
  skip();
  if (status_.ok()) std::memcpy(&v, at, 4);
  return v;
}

std::string_view Wire::text() { return expect(kBytes) ? bytes_ : std::string_view(); }

Wire Wire::message() {
  std::string_view b = text();
  size_t at = b.data() ? base_ + size_t(reinterpret_cast<const uint8_t*>(b.data()) - begin_) : 0;
  return Wire({reinterpret_cast<const uint8_t*>(b.data()), b.size()}, at);
}

void Wire::integers(std::vector<int64_t>& out) {
  if (type_ == kVarint) {
    out.push_back(integer());
    return;
  }
  if (!expect(kBytes)) return;
  Wire packed = message();
  while (packed.p_ != packed.end_ && packed.status_.ok()) out.push_back(int64_t(packed.varint()));
  fail(packed.status_);
}

template <class T>
void Wire::fixed(std::vector<T>& out, int single_type) {
  if (type_ == single_type) {
    const uint8_t* at = p_;
    skip();
    if (!status_.ok()) return;
    T v;
    std::memcpy(&v, at, sizeof v);
    out.push_back(v);
    return;
  }
  if (!expect(kBytes)) return;
  if (bytes_.size() % sizeof(T)) {
    fail(invalid_model("field ", field_, " holds ", bytes_.size(), " bytes, no multiple of ", sizeof(T), ", at byte ", offset()));
    return;
  }
  if (bytes_.empty()) return;
  size_t old = out.size();
  out.resize(old + bytes_.size() / sizeof(T));
  std::memcpy(&out[old], bytes_.data(), bytes_.size());
}

void Wire::floats(std::vector<float>& out) { fixed(out, kFixed32); }
void Wire::doubles(std::vector<double>& out) { fixed(out, kFixed64); }

}  // namespace tenon::onnx
