// Op: all that Tenon knows of one operator. Each file of this folder defines one; none names a backend.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/dim.h"
#include "base/tensor.h"
#include "ops/attr.h"
#include "ops/scalar.h"

namespace tenon {

struct Op;

// What is known of a value before it is computed.
struct ValueInfo {
  DType dtype = DType::none;                // none: an optional input that is absent
  bool ranked = false;                      // the shape is known (its dims may be symbols)
  SymShape shape;
  Tensor constant;                          // the value itself, where it is known; else null
  std::optional<std::vector<Dim>> value;    // the elements of a small integer tensor of rank 0 or 1, as symbols
};

// Runs a subgraph of the node being executed (If, Loop, Scan, fused nodes): its attribute name and inputs in, outputs out.
using RunSubgraph = std::function<Result<std::vector<Tensor>>(const std::string& attr, std::vector<Tensor> inputs)>;
// The value of a symbol of the graph's shapes in this execution, where it is known.
using SymbolValue = std::function<std::optional<int64_t>(const std::string& symbol)>;
using InferSubgraph =
    std::function<Result<std::vector<ValueInfo>>(const std::string& attr, std::vector<ValueInfo> inputs)>;

// Shape and type inference of one node, symbolic or concrete (all dims constants): reads `in`, fills `out`.
struct InferArgs {
  const Op& op;
  const Attrs& attrs;
  std::vector<ValueInfo> in;
  std::vector<ValueInfo> out;                                // one an output of the node
  std::function<Dim(const char* hint)> fresh;                // a new symbol, for what only the data decides
  InferSubgraph infer_subgraph;
  // What input i of a body was when it was last inferred. May be empty.
  std::function<ValueInfo(const std::string& attr, size_t i)> body_input = {};

  bool has(size_t i) const { return i < in.size() && in[i].dtype != DType::none; }
  DType dtype(size_t i) const { return i < in.size() ? in[i].dtype : DType::none; }
  bool ranked(size_t i) const { return has(i) && in[i].ranked; }
  const SymShape& shape(size_t i) const { return in[i].shape; }  // REQUIRES: ranked(i)
  int64_t rank(size_t i) const { return int64_t(in[i].shape.size()); }
  bool has_constant(size_t i) const { return has(i) && bool(in[i].constant); }
  // The elements of an integer input where known, as symbols: constants and shape arithmetic alike; else null.
  const std::vector<Dim>* value(size_t i) const { return has(i) && in[i].value ? &*in[i].value : nullptr; }
  // Elements of an integer input that is a plain constant; else nothing.
  std::optional<Ints> const_ints(size_t i) const;

  void set(size_t i, DType t, SymShape shape);
  void set_unranked(size_t i, DType t);                      // not even the rank is known
  void set_fresh(size_t i, DType t, size_t rank, const char* hint);  // known rank, unknown dims
  void set_value(size_t i, std::vector<Dim> value);          // after set()
  // A negative axis counted from the end. Errors: out of [-rank, rank).
  Result<int64_t> axis(int64_t axis, int64_t rank) const;
};

// One execution of a reference kernel on host tensors. Outputs whose shape inference could tell are allocated already.
struct RefArgs {
  const Op& op;
  const Attrs& attrs;
  std::span<const Tensor> in;                                // a null tensor where absent
  std::vector<Tensor>& out;
  RunSubgraph run_subgraph;
  SymbolValue symbol;                                        // may be empty
  // What inference tells of the outputs; asked by what computes nothing, and so does not see what it would be.
  std::function<Result<std::vector<ValueInfo>>()> infer = {};

  bool has(size_t i) const { return i < in.size() && bool(in[i]); }
  const Tensor& x(size_t i) const { return in[i]; }
  bool wants(size_t i) const { return i < out.size(); }
  Tensor& y(size_t i) { return out[i]; }                     // REQUIRES: inference gave its shape
  // Allocates output i, for shapes that only the data decides.
  Result<Tensor*> allocate(size_t i, DType t, Shape shape);
};

// A concrete operand, without its value.
struct Operand {
  DType dtype = DType::none;  // none: absent
  Shape shape;
  int64_t elements() const { return dtype == DType::none ? 0 : num_elements(shape); }
  int64_t bytes() const { return dtype == DType::none ? 0 : byte_size(dtype, num_elements(shape)); }
  bool operator==(const Operand&) const = default;
};

// The arithmetic of one execution; a multiplication and an addition count one each. Only what the operator's meaning
// asks for: no index arithmetic, no conversions.
struct Flops {
  double products = 0;  // in sums of products, as MatMul's, for which chips have units of their own
  double other = 0;
  double total() const { return products + other; }
};
struct FlopArgs {
  const Attrs& attrs;
  std::span<const Operand> in, out;

  bool has(size_t i) const { return i < in.size() && in[i].dtype != DType::none; }
  double elements(size_t i) const { return has(i) ? double(in[i].elements()) : 0; }
  double results(size_t i = 0) const { return i < out.size() ? double(out[i].elements()) : 0; }
  // Dimension `d` of input i, from the end where negative; 0 where there is none.
  double dim(size_t i, int64_t d) const;
};

// How an operator's loops fuse with others (TVM's words).
enum class Fusion : uint8_t { elementwise, broadcast, injective, reduction, out_elementwise_fusable, opaque };
const char* fusion_name(Fusion f);

// A formal input or output. `type_var` ties types: same letter, same type (0: free).
struct Param {
  std::string name;
  DTypeSet types = kAny;
  char type_var = 'T';
  enum Mode : uint8_t { required, optional, variadic } mode = required;
};

// A formal attribute; the value is its default. Without one, `kind` says what it must be and it may be absent.
struct AttrSpec {
  std::string name;
  AttrValue value;
  AttrKind kind = AttrKind::none;
  bool required = false;
};
inline AttrSpec optional_attr(std::string name, AttrKind kind) { return {std::move(name), {}, kind, false}; }
inline AttrSpec required_attr(std::string name, AttrKind kind) { return {std::move(name), {}, kind, true}; }

// A node as it stands in a model file, before it becomes part of a graph; names are those of the file.
struct NodeDef {
  std::string domain, op_type, name;
  std::vector<std::string> inputs, outputs;  // "" where absent
  Attrs attrs;
};

// What an upgrade may use to rewrite an old node into the newest form: it edits `node` in place, and may put others
// before or after it.
struct Upgrade {
  NodeDef& node;
  int opset;
  std::vector<NodeDef> before, after;
  std::vector<std::pair<std::string, Tensor>> constants;
  std::function<ValueInfo(const std::string& name)> info;    // what is known of an input
  std::function<std::string(const char* hint)> fresh_name;

  std::string constant(Tensor t);                            // makes a constant, returns its name
  // Moves an attribute to input `index` (padding with absent inputs) as an int64 tensor of rank 1.
  void ints_to_input(const char* attr, size_t index);
};

// For models of opset `from` up to the next entry (or the op's own compatible_from), call `apply`.
struct OlderForm {
  int from;
  Status (*apply)(Upgrade&);
};

// An example of the operator's inputs: what fuzzing, benchmarks and "every backend agrees" start from.
struct SampleInput {
  Shape shape;
  DType dtype = DType::f32;
  double low = -2, high = 2;           // random values are drawn from here (integers: inclusive)
  std::vector<double> values;          // or exactly these
  bool absent = false;
};
struct Sample {
  std::vector<SampleInput> inputs;
  Attrs attrs;
  size_t outputs = 1;
};

// Largest difference to the reference that a fast kernel may show, in units of the output's last place for its type
// at the output's largest magnitude.
struct Tolerance {
  double f32 = 4, f16 = 2;
};

struct Op {
  std::string name;                                // by ONNX
  std::string domain = "";                         // "" is ai.onnx
  int version = 1;                                 // the newest definition, the one implemented
  int compatible_from = 1;                         // nodes of definitions since this one need no rewriting
  int removed_in = 0;                              // no longer part of the standard from this opset on; 0: it is
  std::vector<OlderForm> older = {};
  std::vector<Param> inputs = {};
  std::vector<Param> outputs = {{"Y"}};
  std::vector<AttrSpec> attrs = {};
  // Elementwise operators give `scalar` and may leave infer and reference empty (numpy broadcasting is implied).
  S (*scalar)(const ScalarArgs&) = nullptr;
  // Output type of an operator that gives `scalar`, where it is not the type of input 0.
  DType (*scalar_type)(const Attrs&, const std::vector<DType>& inputs) = nullptr;
  Status (*infer)(InferArgs&) = nullptr;
  Status (*reference)(RefArgs&) = nullptr;
  // Null: what flops_of() says of an operator of its kind.
  Flops (*flops)(const FlopArgs&) = nullptr;
  bool view = false;                               // output 0 has the bytes of input 0; only the shape differs
  Fusion fusion = Fusion::opaque;
  bool deterministic = true;                       // false: draws random numbers, so it is never folded or merged
  Tolerance tolerance = {};
  std::vector<Sample> samples = {};
};

// ---- the book ---------------------------------------------------------------------------------------------------

// All operators, sorted by domain and name.
const std::vector<const Op*>& all_ops();
// Null when there is none. "ai.onnx" and "" are one domain.
const Op* find_op(std::string_view domain, std::string_view name);

// Inference and execution as everybody calls them: the operator's own functions, or those that `scalar` implies;
// checks input count and types first. Errors name neither node nor file: the caller adds that.
Status infer_op(InferArgs& args);
// DType::none where an input is absent.
Status check_inputs(const Op& op, const std::vector<DType>& types);
Status check_input_count(const Op& op, const std::vector<DType>& types);  // a part of check_inputs
Status check_output_count(const Op& op, size_t outputs);
// Infers concretely, allocates outputs where that gives shapes, then runs the reference.
Status run_reference(const Op& op, const Attrs& attrs, std::span<const Tensor> inputs, size_t num_outputs,
                     std::vector<Tensor>& outputs, const RunSubgraph& run_subgraph = {},
                     const InferSubgraph& infer_subgraph = {}, const SymbolValue& symbol = {});
// The operator's own count; else its scalar program's for each result, one for each element that a reduction reads or
// any other operator writes, none where elements only move. What bodies compute is not counted.
Flops flops_of(const Op& op, const FlopArgs& args);
// Fills defaults and verifies names and kinds.
Status normalize_attrs(const Op& op, Attrs& attrs);

}  // namespace tenon
