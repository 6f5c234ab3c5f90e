#include "ir/scalar_region.h"

#include <map>

#include "ops/common/pointwise.h"

namespace tenon {

bool is_scalar_node(const Node& node) { return node.op->scalar != nullptr && node.outputs.size() == 1; }

// Appends `part` to `to`; results[k] is where the value of the part's input k lies in `to`. Gives the place of its output.
static int append(ScalarProgram& to, const ScalarProgram& part, const std::vector<int>& results) {
  std::vector<int> place(part.code.size());
  for (size_t k = 0; k < part.code.size(); ++k) {
    ScalarInst inst = part.code[k];
    if (inst.prim == Prim::input) {
      place[k] = results[size_t(inst.input)];
      continue;
    }
    for (int a = 0; a < prim_operands(inst.prim); ++a) inst.args[a] = place[size_t(inst.args[a])];
    to.code.push_back(inst);
    place[k] = int(to.code.size()) - 1;
  }
  return place[size_t(part.outputs[0])];
}

static int add_input(ScalarProgram& program, int input, DType t) {
  ScalarInst inst{Prim::input, t};
  inst.input = input;
  program.code.push_back(inst);
  return int(program.code.size()) - 1;
}

static int add_constant(ScalarProgram& program, const Tensor& t) {
  ScalarInst inst{Prim::constant, t.dtype()};
  if (is_float(t.dtype())) inst.imm = t.at(0);
  else inst.int_imm = t.int_at(0);
  program.code.push_back(inst);
  return int(program.code.size()) - 1;
}

Result<ScalarRegion> scalar_region_of_body(const Graph& body, size_t first, ValueId seed) {
  ScalarRegion region;
  std::map<ValueId, int> place;
  for (size_t i = 0; i < body.inputs.size(); ++i) {
    const DType t = body.info(body.inputs[i]).dtype;
    region.inputs.push_back(t);
    place[body.inputs[i]] = -1 - int(i);  // made an input when first used
  }
  if (seed != kNoValue) {
    place[seed] = -1 - int(body.inputs.size());
    region.inputs.push_back(body.info(seed).dtype);
  }
  for (size_t n = first; n < body.nodes.size(); ++n) {
    const Node& node = body.nodes[n];
    if (!is_scalar_node(node)) return internal_error(describe(node), " is not elementwise");
    std::vector<DType> types;
    std::vector<int> results;
    for (ValueId v : node.inputs) {
      types.push_back(v == kNoValue ? DType::none : body.info(v).dtype);
      if (v == kNoValue) {
        results.push_back(0);
        continue;
      }
      if (body.is_constant(v)) {
        if (body.constant(v).size() != 1) return internal_error("constant '", body.value(v).name, "' in a fused body has ", body.constant(v).size(), " elements");
        results.push_back(add_constant(region.program, body.constant(v)));
        continue;
      }
      auto it = place.find(v);
      if (it == place.end()) return internal_error("'", body.value(v).name, "' is not computed by the body's elementwise part");
      if (it->second < 0) it->second = add_input(region.program, -1 - it->second, body.info(v).dtype);
      results.push_back(it->second);
    }
    const ScalarProgram part = scalar_program(*node.op, node.attrs, types);
    place[node.outputs[0]] = append(region.program, part, results);
  }
  for (ValueId v : body.outputs) {
    auto it = place.find(v);
    if (it == place.end()) return internal_error("an output is not computed by the body's elementwise part");
    if (it->second < 0) it->second = add_input(region.program, -1 - it->second, body.info(v).dtype);
    region.program.outputs.push_back(it->second);
    region.outputs.push_back(body.info(v).dtype);
  }
  return region;
}

Result<ScalarRegion> scalar_region(const Graph& g, const Node& node) {
  if (GraphPtr body = node.attrs.graph("body")) return scalar_region_of_body(*body, 0, kNoValue);
  if (!is_scalar_node(node)) return internal_error(describe(node), " is not elementwise");
  ScalarRegion region;
  for (ValueId v : node.inputs) region.inputs.push_back(v == kNoValue ? DType::none : g.info(v).dtype);
  region.program = scalar_program(*node.op, node.attrs, region.inputs);
  region.outputs = {g.info(node.outputs[0]).dtype};
  return region;
}

}  // namespace tenon
