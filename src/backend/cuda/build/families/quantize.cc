// QuantizeLinear and DequantizeLinear with a scale for the tensor, for each index of an axis, or for each
// block.
#include "ops/common/quantize.h"

#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

static bool is_quantize(const Node& n) {
  return op_is(n, "QuantizeLinear") || ms_op_is(n, "QuantizeLinear");
}
static bool concerns(const KernelRequest& r) {
  return is_quantize(r.node) || op_is(r.node, "DequantizeLinear") || ms_op_is(r.node, "DequantizeLinear");
}

// The number of an element's scale: [outer, axis, inner] for elements from `i` on, of which a vector shares
// one.
struct Scales {
  SymShape dims;   // how i is taken apart
  SymShape steps;  // what each coordinate adds to the scale's number
  int64_t block = 0;
  Dim run = 1;  // neighbours that share a scale
};

static Scales scales_of(const KernelRequest& r, const OperandDims& dims) {
  const SymShape &x = dims.in(0), &scale = dims.in(1);
  const int64_t block = r.node.attrs.i("block_size");
  const Dim total = product(x);
  if (scale.empty() || (block == 0 && scale[0].is(1))) return {{total}, {0}, 0, total};
  const AxisView v = view_around(x, x.size() == 1 ? 0 : axis_of(r.node.attrs.i("axis", 1), x.size()));
  if (block == 0) return {{v.outer, v.n, v.inner}, {0, 1, 0}, 0, v.inner};
  return {{v.outer, v.n, v.inner}, {ceil_div(v.n, block) * v.inner, v.inner, 1}, block, 1};
}

static const char kBody[] = R"(const unsigned i = (blockIdx.x * 256u + threadIdx.x) * $VECu;
if (i >= $TOTAL) return;
$SPLIT
const unsigned place = $PLACE;
$CONSTANTS
const Vec<$T, $VEC> w = load_vec<$VEC>($X + i);
Vec<$TY, $VEC> out;
UNROLL
for (int k = 0; k < $VEC; ++k) {
  $STEP
}
store_vec<$VEC>($Y + i, out);
)";

// The element's value in `q`, as the type in memory.
static std::string stored(DType t, bool saturate, const std::string& zero) {
  const char* flag = saturate ? "true" : "false";
  switch (t) {
    case DType::f8e4m3fn:
      return cat("out.v[k].bits = (unsigned char)encode_e4m3fn(q + ", zero, ", ", flag, ");");
    case DType::f8e5m2:
      return cat("out.v[k].bits = (unsigned char)encode_e5m2(q + ", zero, ", ", flag, ");");
    case DType::f8e4m3fnuz:
      return cat("out.v[k].bits = (unsigned char)E4M3fnuz::encode(q + ", zero, ", ", flag, ");");
    case DType::f8e5m2fnuz:
      return cat("out.v[k].bits = (unsigned char)E5M2fnuz::encode(q + ", zero, ", ", flag, ");");
    default:
      break;
  }
  const std::string low = float_literal(lowest_of(t)), high = float_literal(highest_of(t));
  // What is not a number gives the lowest value.
  return cat("const float s = rintf(q) + ", zero, ";\n  out.v[k] = (", device_type(t), ")int(s > ", low,
             " ? s < ", high, " ? s : ", high, " : ", low, ");");
}

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const bool quantizes = is_quantize(r.node);
  const DType t = type_of(r, 0), ty = out_type_of(r, 0), ts = type_of(r, 1), tz = type_of(r, 2),
              whole = quantizes ? ty : t;
  const auto is_plain_float = [](DType f) { return f == DType::f32 || f == DType::f16 || f == DType::bf16; };
  if (!is_plain_float(ts)) return unsupported("no kernel for scales of ", name(ts));
  if (!is_plain_float(quantizes ? t : ty)) return unsupported("no kernel for ", name(quantizes ? t : ty));
  const bool small = (is_int(whole) && (bits(whole) == 8 || bits(whole) == 16)) || kFloat8s.contains(whole);
  if (!small && !(whole == DType::i32 && !quantizes)) return unsupported("no kernel for ", name(whole));
  const OperandDims dims = TRY(OperandDims::of(r));
  Program program;
  TRY(index_with_32_bits(program.recipe, {dims.in(0)}));
  const Scales scales = scales_of(r, dims);
  const Dim total = product(dims.in(0));
  const int vec = vector_width(bits(t) > bits(ty) ? t : ty, scales.run);
  KernelWriter k("quantize", 256);
  Holes h{{"T", device_type(t)}, {"TY", device_type(ty)}, {"VEC", cat(vec)}};
  h["X"] = k.input(0, cat("const ", h["T"], "*"));
  const std::string scale = loaded(ts, "float", k.input(1, cat("const ", device_type(ts), "*")) + "[place]");
  h["Y"] = k.output(0, h["TY"] + "*");
  h["TOTAL"] = unsigned_size(k, total);
  h["SPLIT"] = "";
  auto at = unravel(k, scales.dims, "i", "c", h["SPLIT"]);
  if (scales.block) at[1] = cat("(", at[1], " / ", scales.block, "u)");
  h["PLACE"] = offset_of(k, at, scales.steps);
  const bool wide = t == DType::i32;  // as double: floats do not hold every difference
  const std::string number = wide ? "double" : "float";
  h["CONSTANTS"] = cat("const float scale = ", scale, ";\n");
  if (present(r, 2))
    h["CONSTANTS"] += cat(
        "const ", number,
        " zero = ", loaded(tz, number, k.input(2, cat("const ", device_type(tz), "*")) + "[place]"), ";\n");
  const std::string zero = present(r, 2) ? "zero" : "0";
  if (quantizes) {
    // The quotient is rounded to the precision before it is rounded to a whole number: that decides ties.
    DType precision = DType(r.node.attrs.i("precision"));
    if (precision == DType::none) precision = ts;
    if (!is_plain_float(precision)) return unsupported("no kernel for the precision ", name(precision));
    const auto rounded = [&](const std::string& v, DType from) {
      return precision == DType::f32 || precision == from
                 ? v
                 : cat("to_float(narrow<", device_type(precision), ">(", v, "))");
    };
    h["STEP"] =
        cat("const float q = ",
            rounded(cat(rounded(loaded(t, "float", "w.v[k]"), t), " / ", rounded("scale", ts)), DType::none),
            ";\n  ", stored(ty, r.node.attrs.i("saturate", 1) != 0, zero));
  } else {
    h["STEP"] = cat("out.v[k] = narrow<", h["TY"], ">(float((", loaded(t, number, "w.v[k]"), " - ", zero,
                    ") * ", number, "(scale)));");
  }
  k.body = fill(kBody, h);
  program.variant = quantizes ? "quantize" : "dequantize";
  program.source = k.text();
  program.recipe.launches = {k.launch({blocks_for(total, 256 * vec)}, {256})};
  return program;
}

extern const Family kQuantize{"quantize", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
