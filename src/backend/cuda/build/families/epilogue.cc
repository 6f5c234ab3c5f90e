#include "backend/cuda/build/families/epilogue.h"

#include <algorithm>

#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

// Where an operand of this shape finds its element for one of the result.
static Result<EpilogueOperand> place(int input, DType type, const SymShape& shape, const SymShape& out, size_t column) {
  if (device_type(type).empty()) return unsupported("an epilogue operand is ", name(type));
  EpilogueOperand p{input, type, false, 0, 0};
  if (shape == out) {
    p.full = true;
    return p;
  }
  if (product(shape).is(1)) return p;
  if (shape.size() > out.size()) return unsupported("an operand of shape ", to_string(shape), " does not fit an epilogue");
  // One number a column.
  const size_t at = column + shape.size() - out.size();  // wraps to a large number where the operand lacks the dimension
  if (at < shape.size() && shape[at] == out[column] && product(shape) == out[column]) {
    p.col = 1;
    return p;
  }
  // A matrix broadcast to the result's two dimensions, whose sizes of one may only show at run time.
  if (out.size() == 2) {
    const SymShape strides = broadcast_strides(shape, out);
    p.row = strides[0];
    p.col = strides[1];
    return p;
  }
  return unsupported("an operand of shape ", to_string(shape), " does not fit an epilogue over ", to_string(out));
}

std::optional<Dim> joined_rows(const KernelRequest& r, const Epilogue& e, int64_t columns) {
  if (e.bias.full || std::any_of(e.operands.begin(), e.operands.end(), [](const EpilogueOperand& p) { return p.full; })) return std::nullopt;
  const ValueId v = r.node.outputs[0];
  const Node* reader = nullptr;
  for (const Node& n : r.graph.nodes)
    for (ValueId w : n.inputs) {
      if (w != v) continue;
      if (reader) return std::nullopt;
      reader = &n;
    }
  if (!reader || !op_is(*reader, "Concat") || std::find(r.graph.outputs.begin(), r.graph.outputs.end(), v) != r.graph.outputs.end()) return std::nullopt;
  const int unit = 128 / std::max(bits(e.out), 1);
  for (ValueId w : reader->inputs) {
    const ValueInfo& info = r.graph.info(w);
    const int64_t rank = int64_t(info.shape.size()), axis = reader->attrs.i("axis");
    if (!info.ranked || rank == 0 || (axis != rank - 1 && axis != -1) || !info.shape.back().is_const() || info.shape.back().constant() % unit) return std::nullopt;
  }
  if (columns % unit || !r.graph.info(v).shape.back().is(columns)) return std::nullopt;
  return Dim(unit) * Dim::symbol("p0_16");
}

Result<Epilogue> make_epilogue(const KernelRequest& r, const Anchor& anchor, const OperandDims& dims, size_t column) {
  Epilogue e;
  const SymShape& out = dims.out(0);
  e.out = out_type_of(r, 0);
  const DType anchor_type = anchor.graph->info(anchor.node->outputs[0]).dtype;
  if (device_type(e.out).empty() || device_type(anchor_type).empty()) return unsupported("no kernel for ", name(e.out));
  e.sum = is_float(anchor_type) ? (anchor_type == DType::f64 ? DType::f64 : DType::f32) : anchor_type;
  const bool gemm = op_is(*anchor.node, "Gemm");
  if (gemm) {
    e.alpha = anchor.node->attrs.f("alpha");
    e.beta = anchor.node->attrs.f("beta");
    if (!is_float(anchor_type) && (e.alpha != 1 || e.beta != 1)) return unsupported("alpha or beta of integers is not 1");
  }
  // The anchor's own third operand: Gemm's C, a convolution's bias.
  const bool three = !op_is(*anchor.node, "MatMul");
  if (three && anchor.node->inputs.size() > 2 && anchor.node->inputs[2] != kNoValue && e.beta != 0) {
    const int input = anchor.input(2);
    if (input < 0) return unsupported("its bias is a constant inside the body");
    if (gemm) {
      e.bias = TRY(place(input, type_of(r, size_t(input)), dims.in(size_t(input)), out, column));
    } else {
      e.bias = {input, type_of(r, size_t(input)), false, 0, 1};
    }
  }
  if (!anchor.body) return e;
  const ScalarRegion region = TRY(scalar_region_of_body(*anchor.body, 1, anchor.body->nodes[0].outputs[0]));
  if (region.program.outputs.size() != 1) return unsupported("its body has ", region.program.outputs.size(), " results");
  e.has_program = true;
  e.program = region.program;
  e.seed = int(region.inputs.size()) - 1;
  e.operands.resize(region.inputs.size());
  for (const ScalarInst& inst : e.program.code) {
    if (inst.prim != Prim::input || inst.input == e.seed || e.operands[size_t(inst.input)].input >= 0) continue;
    e.operands[size_t(inst.input)] =
        TRY(place(inst.input, type_of(r, size_t(inst.input)), dims.in(size_t(inst.input)), out, column));
  }
  return e;
}

namespace {

// Reads operands ahead of the loop over the run, and names the elements that the loop reads.
class OperandReader {
 public:
  OperandReader(KernelWriter& k, const EpilogueText& names) : k_(k), names_(names) {}

  std::string read(const EpilogueOperand& p, const std::string& name, EpilogueSteps& steps) {
    const std::string type = device_type(p.type);
    const std::string base = address(p.input, type);
    const auto vector = [&](const std::string& from) {
      steps.fields += cat("Vec<", type, ", ", names_.vec, "> ", name, ";\n");
      steps.read += cat("ahead.", name, " = load_vec<", names_.vec, ">(", base, " + ", from, ");\n");
      return cat("ahead.", name, ".v[j]");
    };
    const bool fits = names_.vec * bits(p.type) <= 128;  // in one load
    if (p.full) return fits ? vector(names_.at) : cat(base, "[", names_.at, " + j]");
    const std::string row = p.row.is(0) ? "" : cat("(", names_.index, ")", names_.row, " * ", k_.size(p.row));
    if (p.col.is(0)) {
      steps.fields += cat(type, " ", name, ";\n");
      steps.read += cat("ahead.", name, " = ", base, "[", row.empty() ? "0" : row, "];\n");
      return "ahead." + name;
    }
    // Rows of a matrix may start anywhere, vectors of columns start at multiples of their length.
    const bool even = mod(p.row, Dim(names_.vec)).is(0);
    if (p.col.is(1) && even && fits) return vector(row.empty() ? names_.column : cat(row, " + ", names_.column));
    return cat(base, "[", row.empty() ? "" : row + " + ", "(", names_.column, " + j) * ", k_.size(p.col), "]");
  }

 private:
  std::string address(int input, const std::string& type) {
    std::string& name = addresses_[input];
    if (name.empty()) name = k_.input(input, cat("const ", type, "*"));
    return name;
  }

  KernelWriter& k_;
  const EpilogueText& names_;
  std::map<int, std::string> addresses_;
};

}  // namespace

Result<EpilogueSteps> epilogue_steps(KernelWriter& k, const Epilogue& e, const EpilogueText& names, const std::string& out) {
  OperandReader reader(k, names);
  EpilogueSteps steps;
  std::string each;
  const std::string sum = compute_type(e.sum);
  const auto value = [&](const EpilogueOperand& p, const std::string& element) { return loaded(p.type, sum, element); };
  each += cat("const ", sum, " sum = (", sum, ")", names.sums, "[j];\n");
  std::string v = "sum";
  const auto literal = [&](double d) { return e.sum == DType::f64 ? double_literal(d) : float_literal(d); };
  if (e.alpha != 1) v = cat(literal(e.alpha), " * ", v);
  if (e.bias.input >= 0) {
    const std::string b = value(e.bias, reader.read(e.bias, "bias", steps));
    const bool whole = !is_float(e.sum);
    if (whole) v = cat("(", sum, ")((unsigned long long)", v, " + (unsigned long long)", b, ")");
    else v = cat(v, " + ", e.beta == 1 ? b : cat(literal(e.beta), " * ", b));
  }
  each += cat("const ", sum, " result = ", v, ";\n");
  std::string result = "result";
  if (e.has_program) {
    std::vector<std::string> inputs(e.operands.size());
    for (size_t i = 0; i < e.operands.size(); ++i)
      if (e.operands[i].input >= 0) inputs[i] = reader.read(e.operands[i], cat("e", i), steps);
    inputs[size_t(e.seed)] = "result";
    result = TRY(write_scalar(e.program, inputs, "t", each))[0];
  }
  const std::string type = device_type(e.out);
  steps.rest = cat("Vec<", type, ", ", names.vec, "> stored;\nUNROLL\nfor (int j = 0; j < ", names.vec, "; ++j) {\n", each,
             "stored.v[j] = narrow<", type, ">(", result, ");\n}\nstore_vec<", names.vec, ">(", out, " + ", names.at, ", stored);\n");
  return steps;
}

}  // namespace tenon::cuda
