// For tests: inference of single operators on symbolic inputs written as text.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ops/op.h"

namespace tenon {

// "batch, 2*seq, 64" as dims; "" is no dims.
inline std::vector<Dim> dims(std::string_view text) {
  std::vector<Dim> out;
  if (trim(text).empty()) return out;
  for (const std::string& part : split(text, ',')) {
    auto d = Dim::parse(trim(part));
    EXPECT_TRUE(d.ok()) << part;
    out.push_back(d.ok() ? *d : Dim(0));
  }
  return out;
}

// A tensor of which only type and shape are known.
inline ValueInfo tensor(std::string_view shape, DType type = DType::f32) {
  return {type, true, dims(shape), Tensor(), std::nullopt};
}
// An integer vector of symbolic elements.
inline ValueInfo vector(std::string_view elements) {
  const std::vector<Dim> v = dims(elements);
  return {DType::i64, true, {Dim(int64_t(v.size()))}, Tensor(), v};
}
inline ValueInfo scalar(std::string_view element) {
  return {DType::i64, true, {}, Tensor(), dims(element)};
}
// A constant, as an initializer of a model is.
inline ValueInfo ints(std::initializer_list<int64_t> elements) {
  std::vector<Dim> v(elements.begin(), elements.end());
  return {DType::i64, true, {Dim(int64_t(v.size()))}, Tensor::of_ints(elements), v};
}
inline ValueInfo constant(int64_t v) {
  return {DType::i64, true, {}, Tensor::scalar_int(v), std::vector<Dim>{Dim(v)}};
}

struct Inferred {
  Status status;
  std::vector<ValueInfo> out;

  std::string shape(size_t i = 0) const {
    if (!status.ok()) return status.to_string();
    return out[i].ranked ? to_string(out[i].shape) : "unranked";
  }
  std::string value(size_t i = 0) const {
    if (!status.ok()) return status.to_string();
    return out[i].value ? to_string(*out[i].value) : "unknown";
  }
  operator ValueInfo() const {
    EXPECT_TRUE(status.ok()) << status.to_string();
    return out[0];
  }
};

// Symbols that inference makes up are named _0, _1, ...
inline Inferred infer(const char* name, std::vector<ValueInfo> in, Attrs attrs = {}, size_t outputs = 1) {
  const Op* op = find_op("", name);
  if (!op) return {internal_error("no operator ", name), {}};
  Status status = normalize_attrs(*op, attrs);
  InferArgs a{*op, attrs, std::move(in), std::vector<ValueInfo>(outputs), nullptr, nullptr};
  int made_up = 0;
  a.fresh = [&made_up](const char*) { return Dim::symbol(cat("_", made_up++)); };
  if (status.ok()) status = infer_op(a);
  return {status, a.out};
}

}  // namespace tenon
