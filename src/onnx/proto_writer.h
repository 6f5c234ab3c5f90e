// For tests: writes ONNX's messages as protobuf bytes, field by field, broken ones too. Field numbers: onnx.proto.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::onnx {

class Proto {
 public:
  Proto& integer(int field, int64_t v) {
    varint(uint64_t(field) << 3);
    varint(uint64_t(v));
    return *this;
  }
  Proto& text(int field, std::string_view v) {
    varint(uint64_t(field) << 3 | 2);
    varint(v.size());
    bytes_ += v;
    return *this;
  }
  Proto& message(int field, const Proto& p) { return text(field, p.bytes_); }
  const std::string& bytes() const { return bytes_; }

 private:
  void varint(uint64_t v) {
    for (; v >= 0x80; v >>= 7) bytes_ += char(v | 0x80);
    bytes_ += char(v);
  }
  std::string bytes_;
};

// ---- the messages that tests need --------------------------------------------------------------------------------

using Names = std::vector<std::string_view>;

inline Proto proto_tensor(std::string_view name, int dtype, const std::vector<int64_t>& dims, std::string_view raw) {
  Proto t;
  for (int64_t d : dims) t.integer(1, d);
  return t.integer(2, dtype).text(8, name).text(9, raw);
}

// A tensor type with dims.
inline Proto proto_value(std::string_view name, int dtype, const std::vector<int64_t>& dims) {
  Proto shape;
  for (int64_t d : dims) shape.message(1, Proto().integer(1, d));
  return Proto().text(1, name).message(2, Proto().message(1, Proto().integer(1, dtype).message(2, shape)));
}

inline Proto proto_node(std::string_view op, const Names& in, const Names& out, std::string_view domain = "") {
  Proto n;
  for (auto s : in) n.text(1, s);
  for (auto s : out) n.text(2, s);
  n.text(4, op);
  if (!domain.empty()) n.text(7, domain);
  return n;
}

inline Proto proto_attr(std::string_view name, int64_t v) { return Proto().text(1, name).integer(20, 2).integer(3, v); }
inline Proto proto_attr(std::string_view name, const Proto& graph) { return Proto().text(1, name).integer(20, 5).message(6, graph); }
inline Proto proto_ref(std::string_view name, int type, std::string_view ref) { return Proto().text(1, name).integer(20, type).text(21, ref); }

inline Proto proto_graph(const std::vector<Proto>& nodes, const std::vector<Proto>& inputs, const Names& outputs,
                         const std::vector<Proto>& weights = {}) {
  Proto g;
  for (auto& n : nodes) g.message(1, n);
  g.text(2, "g");
  for (auto& w : weights) g.message(5, w);
  for (auto& i : inputs) g.message(11, i);
  for (auto o : outputs) g.message(12, Proto().text(1, o));
  return g;
}

inline Proto proto_model(const Proto& graph, int64_t opset = 21, const std::vector<Proto>& functions = {}) {
  Proto m;
  m.integer(1, 10).text(2, "test").message(7, graph).message(8, Proto().integer(2, opset));
  for (auto& f : functions) m.message(25, f);
  return m;
}

inline Proto proto_function(std::string_view domain, std::string_view name, const Names& in, const Names& out,
                            const std::vector<Proto>& nodes, std::string_view overload = "") {
  Proto f;
  f.text(1, name);
  for (auto s : in) f.text(4, s);
  for (auto s : out) f.text(5, s);
  for (auto& n : nodes) f.message(7, n);
  f.message(9, Proto().integer(2, 21)).text(10, domain);
  if (!overload.empty()) f.text(13, overload);
  return f;
}

}  // namespace tenon::onnx
