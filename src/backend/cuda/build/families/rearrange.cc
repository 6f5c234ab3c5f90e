// Small kernels that make or move elements by their coordinates: OneHot, Range, Trilu, EyeLike,
// ReverseSequence, ConstantOfShape.
#include <cstring>
#include <functional>

#include "backend/cuda/build/families/indices.h"

namespace tenon::cuda {

static bool concerns(const KernelRequest& r) {
  for (const char* name : {"OneHot", "Range", "Trilu", "EyeLike", "ReverseSequence", "ConstantOfShape"})
    if (op_is(r.node, name)) return true;
  return false;
}

static const char kEach[] = R"(const unsigned i = blockIdx.x * 256u + threadIdx.x;
if (i >= $TOTAL) return;
$SPLIT$BODY)";

// One thread for each element of `dims`; `body` uses i and its coordinates `at`.
static void write_each(Program& program, KernelWriter& k, const SymShape& dims, Holes h,
                       const std::function<std::string(const std::vector<std::string>& at)>& body) {
  h["TOTAL"] = unsigned_size(k, product(dims));
  h["SPLIT"] = "";
  const auto at = unravel(k, dims, "i", "c", h["SPLIT"]);
  h["BODY"] = body(at);
  k.body = fill(kEach, h);
  program.source = kIndexHelpers + k.text();
  program.recipe.launches = {k.launch({blocks_for(product(dims))}, {256})};
}

static Status one_hot(Program& program, KernelWriter& k, const KernelRequest& r, const OperandDims& dims) {
  const DType t = type_of(r, 0);
  if (device_type(t).empty() || (is_float(t) && bits(t) < 16))
    return unsupported("no kernel for indices of ", name(t));
  const SymShape& y = dims.out(0);
  const AxisView v = view_around(y, axis_of(r.node.attrs.i("axis"), y.size()));
  const std::string type = unit_type(unit_bytes(type_of(r, 2)));
  Holes h{{"X", k.input(0, cat("const ", device_type(t), "*"))},
          {"V", k.input(2, cat("const ", type, "*"))},
          {"Y", k.output(0, type + "*")}};
  h["N"] = k.size(v.n);
  write_each(program, k, {v.outer, v.n, v.inner}, h, [&](const std::vector<std::string>& at) {
    h["AT"] = offset_of(k, {at[0], at[2]}, {v.inner, 1}), h["PLACE"] = at[1];
    // Floats are cut toward zero; what is out of range is off everywhere.
    h["INDEX"] =
        is_float(t) ? cat("to_i64(", loaded(t, t == DType::f64 ? "double" : "float", fill("$X[$AT]", h)), ")")
                    : fill("(long long)$X[$AT]", h);
    h["VALID"] = is_float(t) ? cat("(double)", loaded(t, "float", fill("$X[$AT]", h)),
                                   " == ", loaded(t, "float", fill("$X[$AT]", h)), " && ")
                             : "";
    return fill(R"(long long index = $INDEX;
if (index < 0) index += $N;
$Y[i] = $V[$VALIDindex == (long long)($PLACE) ? 1 : 0];
)",
                h);
  });
  return {};
}

static Status range(Program& program, KernelWriter& k, const KernelRequest& r, const OperandDims& dims) {
  const DType t = type_of(r, 0);
  const std::string type = device_type(t), a = is_float(t) ? "double" : "unsigned long long";
  Holes h{{"T", type}, {"A", a}, {"START", loaded(t, a, k.input(0, cat("const ", type, "*")) + "[0]")}};
  h["DELTA"] = loaded(t, a, k.input(2, cat("const ", type, "*")) + "[0]");
  h["Y"] = k.output(0, type + "*");
  h["ROUND"] = is_float(t) && t != DType::f64 && t != DType::f32 ? "to_odd" : "";
  write_each(program, k, dims.out(0), h, [&](const std::vector<std::string>&) {
    return fill("$Y[i] = narrow<$T>($ROUND($START + ($A)i * $DELTA));\n", h);
  });
  return {};
}

static Status trilu(Program& program, KernelWriter& k, const KernelRequest& r, const OperandDims& dims) {
  const SymShape& x = dims.in(0);
  const std::string type = unit_type(unit_bytes(type_of(r, 0)));
  const size_t rank = x.size();
  Holes h{{"T", type}, {"X", k.input(0, cat("const ", type, "*"))}, {"Y", k.output(0, type + "*")}};
  h["K"] = present(r, 1) ? k.input(1, "const long long*") + "[0]" : "0ll";
  h["COMPARE"] = r.node.attrs.i("upper") ? ">=" : "<=";
  write_each(program, k, {product(x, 0, rank - 2), x[rank - 2], x[rank - 1]}, h,
             [&](const std::vector<std::string>& at) {
               h["ROW"] = at[1], h["COLUMN"] = at[2];
               // k may be anything; only its part within the matrix matters.
               return fill(R"(const long long shift = (long long)($COLUMN) - (long long)($ROW);
$T v{};
if (shift $COMPARE $K) v = $X[i];
$Y[i] = v;
)",
                           h);
             });
  return {};
}

static Status eye_like(Program& program, KernelWriter& k, const KernelRequest& r, const OperandDims& dims) {
  const DType t = out_type_of(r, 0);
  const std::string type = device_type(t);
  Holes h{{"T", type}, {"Y", k.output(0, type + "*")}, {"K", k.size(Dim(r.node.attrs.i("k")), true)}};
  write_each(program, k, dims.out(0), h, [&](const std::vector<std::string>& at) {
    h["ROW"] = at[0], h["COLUMN"] = at[1];
    return fill("$Y[i] = narrow<$T>((long long)($COLUMN) - (long long)($ROW) == $K ? 1 : 0);\n", h);
  });
  return {};
}

static Status reverse(Program& program, KernelWriter& k, const KernelRequest& r, const OperandDims& dims) {
  const SymShape& x = dims.in(0);
  const std::string type = unit_type(unit_bytes(type_of(r, 0)));
  const bool batch_first = r.node.attrs.i("batch_axis") == 0;
  Holes h{{"X", k.input(0, cat("const ", type, "*"))},
          {"Y", k.output(0, type + "*")},
          {"LENGTHS", k.input(1, "const long long*")}};
  const Dim inner = product(x, 2);
  h["STEPS"] = k.size(x[batch_first ? 1 : 0]);
  write_each(program, k, {x[0], x[1], inner}, h, [&](const std::vector<std::string>& at) {
    h["BATCH"] = at[batch_first ? 0 : 1], h["STEP"] = at[batch_first ? 1 : 0];
    h["FROM"] = offset_of(k, {batch_first ? at[0] : "from", batch_first ? "from" : at[1], at[2]},
                          {x[1] * inner, inner, 1});
    return fill(
        R"(const long long given = $LENGTHS[$BATCH], length = given < 0 ? 0 : given > $STEPS ? $STEPS : given;
const unsigned from = (long long)($STEP) < length ? unsigned(length) - 1u - $STEP : $STEP;
$Y[i] = $X[$FROM];
)",
        h);
  });
  return {};
}

static Status constant_of_shape(Program& program, KernelWriter& k, const KernelRequest& r,
                                const OperandDims& dims) {
  // The bits of the attribute's one element; zeros without it.
  const int bytes = unit_bytes(out_type_of(r, 0));
  if (bytes > 8) return unsupported("no kernel for elements of ", 8 * bytes, " bits");
  uint64_t value = 0;
  if (const Tensor* t = r.node.attrs.tensor("value")) {
    if (t->size() != 1) return unsupported("its value has ", t->size(), " elements");
    std::memcpy(&value, t->data(), size_t(bytes));
  }
  const std::string type = unit_type(bytes);
  Holes h{{"Y", k.output(0, type + "*")}, {"T", type}, {"VALUE", cat(value, "ull")}};
  write_each(program, k, {product(dims.out(0))}, h,
             [&](const std::vector<std::string>&) { return fill("$Y[i] = ($T)$VALUE;\n", h); });
  return {};
}

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const size_t moved = op_is(r.node, "OneHot") ? 2 : 0;
  const DType t = out_type_of(r, 0);
  if (unit_bytes(t) == 0 || (present(r, moved) && unit_bytes(type_of(r, moved)) == 0) ||
      (op_is(r.node, "EyeLike") && compute_type(t).empty()))
    return unsupported("no kernel for ", name(t));
  const OperandDims dims = TRY(OperandDims::of(r));
  Program program;
  TRY(index_with_32_bits(program.recipe, dims, r));
  const std::string& op = r.node.op->name;
  program.variant = op == "OneHot"            ? "one_hot"
                    : op == "Range"           ? "range"
                    : op == "Trilu"           ? "trilu"
                    : op == "EyeLike"         ? "eye_like"
                    : op == "ReverseSequence" ? "reverse_sequence"
                                              : "constant_of_shape";
  KernelWriter k(program.variant, 256);
  if (op == "OneHot")
    TRY(one_hot(program, k, r, dims));
  else if (op == "Range")
    TRY(range(program, k, r, dims));
  else if (op == "Trilu")
    TRY(trilu(program, k, r, dims));
  else if (op == "EyeLike")
    TRY(eye_like(program, k, r, dims));
  else if (op == "ReverseSequence")
    TRY(reverse(program, k, r, dims));
  else
    TRY(constant_of_shape(program, k, r, dims));
  return program;
}

extern const Family kRearrange{"rearrange", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
