// Wire: a bounds-checked cursor over protobuf's encoding. Nothing is copied; strings point into the file.
// Source: Protocol Buffers documentation, "Encoding".
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace tenon::onnx {

class Wire {
 public:
  // `base` is where `bytes` begins in the file, for messages.
  Wire(std::span<const uint8_t> bytes, size_t base) : begin_(bytes.data()), p_(begin_), end_(begin_ + bytes.size()), base_(base) {}

  // Moves to the next field. False at the end of the message or after an error; look at status() then.
  bool next();
  int field() const { return field_; }
  const Status& status() const { return status_; }
  size_t offset() const { return base_ + size_t(p_ - begin_); }

  // The current field's value. A value of another wire type is an error.
  int64_t integer();
  float f32();
  std::string_view text();
  Wire message();  // a nested message
  // Repeated numbers, packed or one at a time; appended to `out`.
  void integers(std::vector<int64_t>& out);
  void floats(std::vector<float>& out);
  void doubles(std::vector<double>& out);

  void fail(const Status& why) {
    if (status_.ok()) status_ = why;
  }

 private:
  uint64_t varint();
  bool expect(int type);
  void skip();
  template <class T>
  void fixed(std::vector<T>& out, int single_type);

  const uint8_t *begin_, *p_, *end_;
  size_t base_;
  int field_ = 0, type_ = 0;
  bool pending_ = false;  // the current field's value was not read yet
  std::string_view bytes_;
  Status status_;
};

}  // namespace tenon::onnx
