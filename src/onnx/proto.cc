#include "onnx/proto.h"

#include "onnx/wire.h"

namespace tenon::onnx {

namespace {

// Decoders of each message. A nested failure is reported on the outer cursor with the path to it.
template <class T, class F>
void nested(Wire& w, T& out, F decode, const char* what, size_t index = size_t(-1)) {
  Wire inner = w.message();
  if (!w.status().ok()) return;
  decode(inner, out);
  if (!inner.status().ok())
    w.fail(inner.status().with_prefix(index == size_t(-1) ? cat(what, ": ") : cat(what, "[", index, "]: ")));
}

template <class T, class F>
void append(Wire& w, std::vector<T>& list, F decode, const char* what) {
  list.emplace_back();
  nested(w, list.back(), decode, what, list.size() - 1);
}

void decode(Wire& w, std::pair<std::string_view, std::string_view>& out) {
  while (w.next()) {
    if (w.field() == 1) out.first = w.text();
    else if (w.field() == 2) out.second = w.text();
  }
}
constexpr auto decode_entry = [](Wire& w, std::pair<std::string_view, std::string_view>& e) { decode(w, e); };

void decode_tensor_proto(Wire& w, TensorProto& t) {
  while (w.next()) switch (w.field()) {
      case 1: w.integers(t.dims); break;
      case 2: t.dtype = w.integer(); break;
      case 3: t.has_segment = true; break;
      case 4: w.floats(t.floats); break;
      case 5: w.integers(t.int32s); break;
      case 6: t.strings.push_back(w.text()); break;
      case 7: w.integers(t.int64s); break;
      case 8: t.name = w.text(); break;
      case 9: t.raw = w.text(), t.has_raw = true; break;
      case 10: w.doubles(t.doubles); break;
      case 11: w.integers(t.uint64s); break;
      case 13: append(w, t.external_data, decode_entry, "external_data"); break;
      case 14: t.external = w.integer() == 1; break;
    }
}

void decode_sparse(Wire& w, SparseTensorProto& t) {
  while (w.next()) switch (w.field()) {
      case 1: nested(w, t.values, decode_tensor_proto, "values"); break;
      case 2: nested(w, t.indices, decode_tensor_proto, "indices"); break;
      case 3: w.integers(t.dims); break;
    }
}

void decode_dim(Wire& w, DimProto& d) {
  while (w.next()) {
    if (w.field() == 1) d.value = w.integer();
    else if (w.field() == 2) d.param = w.text();
  }
}

void decode_shape(Wire& w, std::vector<DimProto>& dims) {
  while (w.next())
    if (w.field() == 1) append(w, dims, decode_dim, "dim");
}

void decode_tensor_type(Wire& w, ValueInfoProto& v) {
  v.is_tensor = true;
  while (w.next()) {
    if (w.field() == 1) v.dtype = w.integer();
    else if (w.field() == 2) v.has_shape = true, nested(w, v.dims, decode_shape, "shape");
  }
}

void decode_type(Wire& w, ValueInfoProto& v) {
  while (w.next()) switch (w.field()) {
      case 1: nested(w, v, decode_tensor_type, "tensor_type"); break;
      case 4: v.kind = "sequence"; break;
      case 5: v.kind = "map"; break;
      case 8: v.kind = "sparse tensor"; break;
      case 9: v.kind = "optional"; break;
    }
}

void decode_value_info(Wire& w, ValueInfoProto& v) {
  while (w.next()) {
    if (w.field() == 1) v.name = w.text();
    else if (w.field() == 2) nested(w, v, decode_type, "type");
  }
}

// Graphs nest in attributes of nodes; a hostile file could nest without end.
constexpr int kMaxDepth = 32;
thread_local int depth = 0;

void decode_graph(Wire& w, GraphProto& g);

void decode_attribute(Wire& w, AttributeProto& a) {
  while (w.next()) switch (w.field()) {
      case 1: a.name = w.text(); break;
      case 2: a.f = w.f32(); break;
      case 3: a.i = w.integer(); break;
      case 4: a.s = w.text(); break;
      case 5: a.t.resize(1), nested(w, a.t[0], decode_tensor_proto, "t"); break;
      case 6: a.g.resize(1), nested(w, a.g[0], decode_graph, "g"); break;
      case 7: w.floats(a.floats); break;
      case 8: w.integers(a.ints); break;
      case 9: a.strings.push_back(w.text()); break;
      case 10:
      case 11:
      case 14:
      case 15:
      case 22:
      case 23: a.other = true; break;
      case 20: a.type = w.integer(); break;
      case 21: a.ref = w.text(); break;
    }
}

void decode_node(Wire& w, NodeProto& n) {
  while (w.next()) switch (w.field()) {
      case 1: n.inputs.push_back(w.text()); break;
      case 2: n.outputs.push_back(w.text()); break;
      case 3: n.name = w.text(); break;
      case 4: n.op_type = w.text(); break;
      case 5: append(w, n.attributes, decode_attribute, "attribute"); break;
      case 7: n.domain = w.text(); break;
      case 8: n.overload = w.text(); break;
    }
}

void decode_graph(Wire& w, GraphProto& g) {
  if (++depth > kMaxDepth) {
    w.fail(invalid_model("graphs are nested more than ", kMaxDepth, " deep, at byte ", w.offset()));
  } else {
    while (w.next()) switch (w.field()) {
        case 1: append(w, g.nodes, decode_node, "node"); break;
        case 2: g.name = w.text(); break;
        case 5: append(w, g.initializers, decode_tensor_proto, "initializer"); break;
        case 11: append(w, g.inputs, decode_value_info, "input"); break;
        case 12: append(w, g.outputs, decode_value_info, "output"); break;
        case 15: append(w, g.sparse_initializers, decode_sparse, "sparse_initializer"); break;
      }
  }
  --depth;
}

void decode_opset(Wire& w, OpsetProto& o) {
  while (w.next()) {
    if (w.field() == 1) o.domain = w.text();
    else if (w.field() == 2) o.version = w.integer();
  }
}

void decode_function(Wire& w, FunctionProto& f) {
  while (w.next()) switch (w.field()) {
      case 1: f.name = w.text(); break;
      case 4: f.inputs.push_back(w.text()); break;
      case 5: f.outputs.push_back(w.text()); break;
      case 6: f.attributes.push_back(w.text()); break;
      case 7: append(w, f.nodes, decode_node, "node"); break;
      case 9: append(w, f.opsets, decode_opset, "opset_import"); break;
      case 10: f.domain = w.text(); break;
      case 11: append(w, f.defaults, decode_attribute, "attribute_proto"); break;
      case 13: f.overload = w.text(); break;
    }
}

void decode_model_proto(Wire& w, ModelProto& m) {
  while (w.next()) switch (w.field()) {
      case 1: m.ir_version = w.integer(); break;
      case 2: m.producer = w.text(); break;
      case 3: m.producer_version = w.text(); break;
      case 7:
        if (!m.graph) m.graph.emplace();
        nested(w, *m.graph, decode_graph, "graph");
        break;
      case 8: append(w, m.opsets, decode_opset, "opset_import"); break;
      case 14: append(w, m.metadata, decode_entry, "metadata_props"); break;
      case 25: append(w, m.functions, decode_function, "function"); break;
    }
}

}  // namespace

Result<ModelProto> decode_model(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return invalid_model("the file is empty");
  Wire w(bytes, 0);
  ModelProto m;
  depth = 0;
  decode_model_proto(w, m);
  TRY(w.status());
  if (!m.graph) return invalid_model("the file holds no graph: not an ONNX model, or a truncated one");
  if (m.opsets.empty()) return invalid_model("the file names no opset: not an ONNX model, or a truncated one");
  return m;
}

Result<TensorProto> decode_tensor(std::span<const uint8_t> bytes) {
  Wire w(bytes, 0);
  TensorProto t;
  decode_tensor_proto(w, t);
  TRY(w.status());
  return t;
}

}  // namespace tenon::onnx
