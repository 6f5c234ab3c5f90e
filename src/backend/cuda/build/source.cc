#include "backend/cuda/build/source.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

namespace tenon::cuda {

// ---- types and numbers -------------------------------------------------------------------------------------------

std::string device_type(DType t) {
  switch (t) {
    case DType::f16: return "half";
    case DType::f32: return "float";
    case DType::f64: return "double";
    case DType::i8: return "signed char";
    case DType::i16: return "short";
    case DType::i32: return "int";
    case DType::i64: return "long long";
    case DType::boolean:
    case DType::u8: return "unsigned char";
    case DType::u16: return "unsigned short";
    case DType::u32: return "unsigned";
    case DType::u64: return "unsigned long long";
    case DType::bf16:
    case DType::f8e4m3fn:
    case DType::f8e4m3fnuz:
    case DType::f8e5m2:
    case DType::f8e5m2fnuz:
    case DType::f8e8m0: return name(t);
    default: return "";
  }
}

std::string compute_type(DType t) {
  switch (kind(t)) {
    case Kind::floating: return t == DType::f64 ? "double" : "float";
    case Kind::signed_int: return t == DType::i64 ? "long long" : "int";
    case Kind::unsigned_int: return t == DType::u64 ? "unsigned long long" : "unsigned";
    case Kind::boolean: return "bool";
    default: return "";
  }
}

static std::string hex(uint64_t v) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(v));
  return text;
}

// A number in decimal that C++ takes for floating; negative ones in parentheses.
static std::string decimal(std::string text, bool negative, const char* suffix) {
  if (text.find_first_of(".e") == text.npos) text += ".0";
  text += suffix;
  return negative ? "(" + text + ")" : text;
}

std::string float_literal(double v) {
  const float f = float(v);
  if (!std::isfinite(f)) {
    uint32_t bits;
    std::memcpy(&bits, &f, 4);
    return cat("float_from_bits(", hex(bits), "u)");
  }
  return decimal(cat(f), std::signbit(f), "f");
}

std::string double_literal(double v) {
  if (!std::isfinite(v)) {
    uint64_t bits;
    std::memcpy(&bits, &v, 8);
    return cat("double_from_bits(", hex(bits), "ull)");
  }
  return decimal(cat(v), std::signbit(v), "");
}

// ---- operands ----------------------------------------------------------------------------------------------------

Result<OperandDims> OperandDims::of(const KernelRequest& r) {
  OperandDims out;
  std::map<std::string, Dim> names;  // by the text of the graph's Dim
  auto rename = [&](const std::vector<ValueId>& values, char side, const char* what) -> Result<std::vector<SymShape>> {
    std::vector<SymShape> shapes;
    for (size_t i = 0; i < values.size(); ++i) {
      shapes.emplace_back();
      if (values[i] == kNoValue) continue;
      const ValueInfo& info = r.graph.info(values[i]);
      if (!info.ranked) return unsupported("the rank of ", what, " ", i, " is not known");
      for (size_t d = 0; d < info.shape.size(); ++d) {
        const Dim& dim = info.shape[d];
        if (dim.is_const()) {
          shapes.back().push_back(dim);
          continue;
        }
        const auto [named, added] = names.try_emplace(dim.to_string(), Dim::symbol(cat(side, i, "_", d)));
        shapes.back().push_back(named->second);
        if (auto size = added ? dim.eval([&](const std::string& s) { return optimum_of(r, s); }) : std::nullopt)
          out.likely_[named->second.to_string()] = *size;
      }
    }
    return shapes;
  };
  out.in_ = TRY(rename(r.node.inputs, 'i', "input"));
  out.out_ = TRY(rename(r.node.outputs, 'o', "output"));
  return out;
}

// ---- kernels -----------------------------------------------------------------------------------------------------

std::string KernelWriter::add(Arg arg, const std::string& type, const std::string& name) {
  params_.push_back(cat(type, " ", name));
  args_.push_back(std::move(arg));
  return name;
}

static Arg address(Arg::Kind kind, int index, const Dim& offset = 0) {
  Arg arg;
  arg.kind = kind;
  arg.index = index;
  arg.value = offset;
  return arg;
}

std::string KernelWriter::input(int index, const std::string& type) {
  return add(address(Arg::input, index), type, cat("in", index));
}
std::string KernelWriter::output(int index, const std::string& type) {
  return add(address(Arg::output, index), type, cat("out", index));
}
std::string KernelWriter::data(int index, const std::string& type) {
  return add(address(Arg::data, index), type, cat("data", index));
}
std::string KernelWriter::scratch(const Dim& offset, const std::string& type) {
  return add(address(Arg::scratch, 0, offset), type, cat("scratch", params_.size()));
}

std::string KernelWriter::count() { return add(address(Arg::count, 0), "long long*", "count"); }

std::string KernelWriter::map(TensorMap map, Arg::Kind base, int index) {
  Arg arg = address(Arg::tensor_map, index);
  arg.base = base;
  arg.map = std::move(map);
  return add(std::move(arg), "const __grid_constant__ TensorMap", cat("map", params_.size()));
}

std::string KernelWriter::size(const Dim& d, bool wide) {
  if (d.is_const()) {
    const int64_t v = d.constant();
    const std::string text = cat(v, wide || v != int32_t(v) ? "ll" : "");
    return v < 0 ? "(" + text + ")" : text;
  }
  std::string& name = sizes_[cat(d.to_string(), wide ? " wide" : "")];
  if (name.empty()) {
    Arg arg = address(wide ? Arg::i64 : Arg::i32, 0, d);
    name = add(std::move(arg), wide ? "long long" : "int", cat("n", sizes_.size() - 1));
  }
  return name;
}

std::string KernelWriter::text() const {
  std::string bounds = max_threads_ ? cat(" __launch_bounds__(", max_threads_, blocks_ ? cat(", ", blocks_) : "", ")") : "";
  const bool waits = body.find("PDL_WAIT") != body.npos;
  return cat("extern \"C\" __global__ void", bounds, " ", name_, "(", join(params_, ", "), ") {\n",
             waits ? "" : "PDL_WAIT;\nPDL_LAUNCH;\n", body, "}\n");
}

KernelLaunch KernelWriter::launch(std::vector<Dim> grid, std::vector<Dim> block, Dim shared) const {
  KernelLaunch l;
  l.kernel = name_;
  for (size_t i = 0; i < 3 && i < grid.size(); ++i) l.grid[i] = grid[i];
  for (size_t i = 0; i < 3 && i < block.size(); ++i) l.block[i] = block[i];
  l.shared = shared;
  l.programmatic = true;
  l.args = args_;
  return l;
}

// ---- loops -------------------------------------------------------------------------------------------------------

CollapsedLoop collapse(const SymShape& dims, const std::vector<SymShape>& strides) {
  CollapsedLoop out;
  out.strides.resize(strides.size());
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d].is(1)) continue;
    bool joins = !out.dims.empty();
    for (size_t k = 0; k < strides.size() && joins; ++k) joins = out.strides[k].back() == strides[k][d] * dims[d];
    if (joins) out.dims.back() = out.dims.back() * dims[d];
    else out.dims.push_back(dims[d]);
    for (size_t k = 0; k < strides.size(); ++k) {
      if (joins) out.strides[k].back() = strides[k][d];
      else out.strides[k].push_back(strides[k][d]);
    }
  }
  if (out.dims.empty()) {
    out.dims.push_back(1);
    for (SymShape& s : out.strides) s.push_back(0);
  }
  return out;
}

SymShape sym_row_major_strides(const SymShape& shape) {
  SymShape out(shape.size(), Dim(1));
  for (size_t i = shape.size(); i-- > 1;) out[i - 1] = out[i] * shape[i];
  return out;
}

SymShape broadcast_strides(const SymShape& in, const SymShape& out) {
  const SymShape strides = sym_row_major_strides(in);
  SymShape result(out.size(), Dim(0));
  for (size_t i = 0; i < in.size() && i < out.size(); ++i) {
    const Dim& d = in[in.size() - 1 - i];
    Dim& stride = result[out.size() - 1 - i];
    if (d.is(1)) continue;
    stride = strides[in.size() - 1 - i];
    // Sizes that are not known to be equal: the operand's may turn out to be one, and then it is repeated.
    if (!(d == out[out.size() - 1 - i])) stride = stride * min(Dim(1), d - Dim(1));
  }
  return result;
}

}  // namespace tenon::cuda
