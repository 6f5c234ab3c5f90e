// The messages of an ONNX file as plain structs; strings and raw data point into the file's bytes.
// Source: onnx.proto of the ONNX specification.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace tenon::onnx {

struct TensorProto {
  std::string_view name, raw;
  std::vector<int64_t> dims;
  int64_t dtype = 0;
  bool has_raw = false, external = false, has_segment = false;
  std::vector<float> floats;
  std::vector<double> doubles;
  std::vector<int64_t> int32s, int64s, uint64s;  // as stored in int32_data, int64_data, uint64_data
  std::vector<std::string_view> strings;
  std::vector<std::pair<std::string_view, std::string_view>> external_data;
};

struct SparseTensorProto {
  TensorProto values, indices;
  std::vector<int64_t> dims;
};

struct DimProto {
  std::optional<int64_t> value;
  std::string_view param;
};

struct ValueInfoProto {
  std::string_view name;
  int64_t dtype = 0;
  bool is_tensor = false, has_shape = false;
  std::string_view kind;  // "sequence", "map", ... when not a tensor
  std::vector<DimProto> dims;
};

struct GraphProto;

struct AttributeProto {
  std::string_view name, ref, s;
  int64_t type = 0, i = 0;
  float f = 0;
  std::vector<TensorProto> t;  // at most one
  std::vector<GraphProto> g;   // at most one
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<std::string_view> strings;
  bool other = false;          // something no operator of ours takes: lists of tensors or graphs, types, sparse tensors
};

struct NodeProto {
  std::string_view name, op_type, domain, overload;
  std::vector<std::string_view> inputs, outputs;
  std::vector<AttributeProto> attributes;
};

struct GraphProto {
  std::string_view name;
  std::vector<NodeProto> nodes;
  std::vector<TensorProto> initializers;
  std::vector<SparseTensorProto> sparse_initializers;
  std::vector<ValueInfoProto> inputs, outputs;
};

struct OpsetProto {
  std::string_view domain;
  int64_t version = 0;
};

struct FunctionProto {
  std::string_view name, domain, overload;
  std::vector<std::string_view> inputs, outputs, attributes;
  std::vector<AttributeProto> defaults;
  std::vector<NodeProto> nodes;
  std::vector<OpsetProto> opsets;
};

struct ModelProto {
  int64_t ir_version = 0;
  std::string_view producer, producer_version;
  std::vector<OpsetProto> opsets;
  std::vector<std::pair<std::string_view, std::string_view>> metadata;
  std::optional<GraphProto> graph;
  std::vector<FunctionProto> functions;
};

// Decodes the bytes of a .onnx file. Errors: invalid_model, saying where. The bytes must outlive the result.
Result<ModelProto> decode_model(std::span<const uint8_t> bytes);
// A lone TensorProto, as in the .pb files of ONNX's test data.
Result<TensorProto> decode_tensor(std::span<const uint8_t> bytes);

}  // namespace tenon::onnx
