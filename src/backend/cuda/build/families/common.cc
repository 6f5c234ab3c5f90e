#include "backend/cuda/build/families/common.h"

#include <algorithm>

namespace tenon::cuda {

std::optional<Ints> constant_ints(const KernelRequest& r, size_t input) {
  if (!present(r, input) || !r.graph.is_constant(r.node.inputs[input])) return std::nullopt;
  return r.graph.constant(r.node.inputs[input]).to_ints();
}

// ---- sizes ----------------------------------------------------------------------------------------------

AxisView view_around(const SymShape& shape, size_t axis) {
  if (shape.empty()) return {};
  return {product(shape, 0, axis), shape[axis], product(shape, axis + 1)};
}

Status index_with_32_bits(Recipe& recipe, const std::vector<SymShape>& operands) {
  for (const SymShape& shape : operands) {
    const Dim size = product(shape);
    if (!size.is_const()) {
      bool known = false;
      for (const Dim& d : recipe.below_2g) known = known || d == size;
      if (!known) recipe.below_2g.push_back(size);
    } else if (size.constant() >= int64_t(1) << 31) {
      return unsupported("an operand has ", size.constant(), " elements, kernels index up to 2^31");
    }
  }
  return {};
}

Status index_with_32_bits(Recipe& recipe, const OperandDims& dims, const KernelRequest& r) {
  std::vector<SymShape> all;
  for (size_t i = 0; i < r.node.inputs.size(); ++i) all.push_back(dims.in(i));
  for (size_t i = 0; i < r.node.outputs.size(); ++i) all.push_back(dims.out(i));
  return index_with_32_bits(recipe, all);
}

int64_t smallest(const Dim& d) {
  const auto value = d.eval([](const std::string&) { return std::optional<int64_t>(1); });
  return std::max<int64_t>(1, value.value_or(1));
}

int power_of_two_in(const Dim& d, int most) {
  int p = 1;
  while (2 * p <= most && mod(d, Dim(2 * p)).is(0)) p *= 2;
  return p;
}

// ---- text -----------------------------------------------------------------------------------------------

std::string fill(std::string_view text, const Holes& holes) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (text[i] != '$') {
      out += text[i++];
      continue;
    }
    size_t end = i + 1;
    while (end < text.size() && text[end] >= 'A' && text[end] <= 'Z') ++end;
    const auto hole = holes.find(std::string(text.substr(i + 1, end - i - 1)));
    CHECK(hole != holes.end());
    out += hole->second;
    i = end;
  }
  return out;
}

std::string loaded(DType t, const std::string& compute, const std::string& element) {
  if (t == DType::f32 || t == DType::f64 || !is_float(t)) {
    const std::string cast = cat("(", compute, ")");
    return t == DType::boolean ? cat(cast, "(", element, " != 0)") : cat(cast, element);
  }
  return cat(compute == "float" ? "" : cat("(", compute, ")"), "to_float(", element, ")");
}

std::string unsigned_size(KernelWriter& k, const Dim& d) {
  return d.is_const() && d.constant() >= 0 ? cat(d.constant(), "u") : cat("unsigned(", k.size(d), ")");
}

std::vector<std::string> unravel(KernelWriter& k, const SymShape& dims, const std::string& linear,
                                 const std::string& prefix, std::string& statements) {
  std::vector<std::string> at(dims.size());
  std::string rest = linear;
  for (size_t d = dims.size(); d-- > 0;) {
    if (dims[d].is(1)) {
      at[d] = "0u";
      continue;
    }
    at[d] = cat(prefix, d);
    bool first = true;  // nothing is left in front
    for (size_t e = 0; e < d; ++e) first = first && dims[e].is(1);
    if (first) {
      statements += cat("const unsigned ", at[d], " = ", rest, ";\n");
      continue;
    }
    const std::string n = unsigned_size(k, dims[d]), whole = cat(prefix, "_", d);
    statements += cat("const unsigned ", whole, " = ", rest, " / ", n, ", ", at[d], " = ", rest, " - ", whole,
                      " * ", n, ";\n");
    rest = whole;
  }
  return at;
}

std::string offset_of(KernelWriter& k, const std::vector<std::string>& at, const SymShape& strides) {
  std::vector<std::string> terms;
  for (size_t d = 0; d < at.size(); ++d) {
    if (strides[d].is(0) || at[d] == "0u") continue;
    terms.push_back(strides[d].is(1) ? at[d] : cat(at[d], " * ", unsigned_size(k, strides[d])));
  }
  return terms.empty() ? "0u" : terms.size() == 1 ? terms[0] : cat("(", join(terms, " + "), ")");
}

// ---- movement -------------------------------------------------------------------------------------------

std::string unit_type(int bytes) {
  switch (bytes) {
    case 1:
      return "unsigned char";
    case 2:
      return "unsigned short";
    case 4:
      return "unsigned";
    case 8:
      return "unsigned long long";
    default:
      return "Vec<unsigned, 4>";
  }
}

int unit_bytes(DType t) {
  const int b = bits(t);
  return t != DType::str && (b == 8 || b == 16 || b == 32 || b == 64 || b == 128) ? b / 8 : 0;
}

}  // namespace tenon::cuda
