// MaxPool, AveragePool and LpPool over one to three dimensions. Channels-last data moves up to 16 bytes of
// channels at a time; channels-first, a thread has one output.
#include "ops/common/window.h"

#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

static bool concerns(const KernelRequest& r) {
  return op_is(r.node, "MaxPool") || op_is(r.node, "AveragePool") || op_is(r.node, "LpPool");
}

namespace {
struct Axis {
  Dim in, out, kernel, pad_begin, pad_end;
  int64_t stride, dilation;
};

// The sizes of a window, with padding that SAME makes depend on the input.
Axis axis_for(const WindowSpec& s, size_t d, const Dim& in, const Dim& out) {
  Axis a{in, out, s.kernel[d], s.pads[d], s.pads[s.rank() + d], s.strides[d], s.dilations[d]};
  if (s.auto_pad == WindowSpec::same_upper || s.auto_pad == WindowSpec::same_lower) {
    const Dim total = max(Dim(0), (out - Dim(1)) * Dim(a.stride) + s.extent(d) - in),
              half = floor_div(total, Dim(2));
    a.pad_begin = s.auto_pad == WindowSpec::same_upper ? half : total - half;
    a.pad_end = total - a.pad_begin;
  }
  return a;
}

enum class Kind { max, average, lp };
}  // namespace

// Loops over the window's taps; `inner` stands inside of them all, for those that lie in the input.
static std::string loops(KernelWriter& k, const std::vector<Axis>& axes, const std::vector<std::string>& out,
                         bool count_padding, const std::string& inner, const SymShape& strides) {
  std::string open, close, place = "0u", inside, counted;
  for (size_t d = 0; d < axes.size(); ++d) {
    const Axis& a = axes[d];
    const std::string p = cat("p", d), size = k.size(a.in);
    open += cat("for (int k", d, " = 0; k", d, " < ", k.size(a.kernel), "; ++k", d, ") {\nconst int ", p,
                " = int(", out[d], ") * ", a.stride, " - ", k.size(a.pad_begin), " + k", d, " * ", a.dilation,
                ";\n");
    close += "}\n";
    inside += cat(d ? " && " : "", "unsigned(", p, ") < unsigned(", size, ")");
    counted += cat(d ? " && " : "", p, " < ", size, " + ", k.size(a.pad_end));
    place += cat(" + unsigned(", p, ") * ", unsigned_size(k, strides[d]));
  }
  if (count_padding) open += cat("if (", counted, ") ++count;\n");
  return cat(open, "if (", inside, ") {\nconst unsigned at = ", place, ";\n", inner, "}\n", close);
}

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const Node& node = r.node;
  const DType t = type_of(r, 0);
  const Kind kind = op_is(node, "MaxPool")       ? Kind::max
                    : op_is(node, "AveragePool") ? Kind::average
                                                 : Kind::lp;
  const bool integers = kind == Kind::max && (t == DType::i8 || t == DType::u8);
  if (!kFloats.contains(t) && !integers) return unsupported("no kernel for ", name(t));
  const OperandDims dims = TRY(OperandDims::of(r));
  const bool last = node.attrs.i("channels_last") != 0, with_index = wanted(r, 1);
  if (last && with_index) return unsupported("indices have no meaning with channels_last");
  const SymShape x = channels_first(dims.in(0), last), y = channels_first(dims.out(0), last);
  const WindowSpec spec = TRY(window_spec(node.attrs, to_sym(node.attrs.ints("kernel_shape"))));
  if (spec.rank() > 3) return unsupported("more than three spatial dimensions");
  Program program;
  TRY(index_with_32_bits(program.recipe, {x, y}));
  std::vector<Axis> axes;
  for (size_t d = 0; d < spec.rank(); ++d) axes.push_back(axis_for(spec, d, x[d + 2], y[d + 2]));

  const int vec = last ? vector_width(t, x[1]) : 1;
  const std::string type = device_type(t), acc = integers ? "int" : t == DType::f64 ? "double" : "float";
  KernelWriter k("pool", 256);
  Holes h{{"T", type}, {"A", acc}, {"VEC", cat(vec)}};
  h["X"] = k.input(0, cat("const ", type, "*"));
  h["Y"] = k.output(0, type + "*");
  const Dim units = floor_div(x[1], Dim(vec)), total = x[0] * units * product(y, 2);
  h["TOTAL"] = unsigned_size(k, total);
  // Coordinates: batch, channel (in vectors), output places.
  SymShape loop = last ? SymShape{x[0]} : SymShape{x[0] * x[1]};
  loop.insert(loop.end(), y.begin() + 2, y.end());
  if (last) loop.push_back(units);
  h["SPLIT"] = "";
  const auto at = unravel(k, loop, "i", "c", h["SPLIT"]);
  const std::vector<std::string> out(at.begin() + 1, at.begin() + 1 + long(axes.size()));
  SymShape spatial(x.begin() + 2, x.end());
  if (last) spatial.push_back(x[1]);
  SymShape strides = sym_row_major_strides(spatial);
  h["BASE"] = offset_of(k, {at[0]}, {product(spatial)});
  if (last) h["BASE"] += cat(" + ", at.back(), " * ", vec, "u");

  const bool include = node.attrs.i("count_include_pad") != 0;
  const int64_t p = node.attrs.i("p", 2);
  h["FIRST"] = kind != Kind::max ? "0" : integers ? (t == DType::i8 ? "-128" : "0") : acc + "(-INFINITE)";
  h["W"] = loaded(t, acc, "w.v[j]");
  const std::string power = acc == "double" ? "pow" : "powf", root = acc == "double" ? "sqrt" : "sqrtf",
                    positive = acc == "double" ? "fabs" : "fabsf";
  h["STEP"] = kind == Kind::average ? "acc[j] += v;"
              : kind == Kind::max   ? "acc[j] = Max()(acc[j], v);"
              : p == 1              ? "acc[j] += " + positive + "(v);"
              : p == 2              ? "acc[j] += v * v;"
                                    : cat("acc[j] += ", power, "(", positive, "(v), ", acc, "(", p, "));");
  h["COUNT"] = kind == Kind::average && !include ? "++count;\n" : "";
  h["DECLARE"] = kind == Kind::average ? "int count = 0;\n" : with_index ? "int best = -1;\n" : "";
  h["RESULT"] = kind == Kind::average         ? "(count ? acc[j] / " + acc + "(count) : " + acc + "(0))"
                : kind == Kind::max || p == 1 ? "acc[j]"
                : p == 2                      ? root + "(acc[j])"
                                              : cat(power, "(acc[j], ", acc, "(1) / ", acc, "(", p, "))");
  if (with_index)
    h["STEP"] = "if (best < 0 || v > acc[j] || (v != v && acc[j] == acc[j])) acc[j] = v, best = int(at);";
  const std::string inner = fill(R"($COUNTconst Vec<$T, $VEC> w = load_vec<$VEC>($X + base + at);
UNROLL
for (int j = 0; j < $VEC; ++j) {
  const $A v = $W;
  $STEP
}
)",
                                 h);
  h["LOOPS"] = loops(k, axes, out, kind == Kind::average && include, inner, strides);
  h["INDEX"] = "";
  if (with_index) {
    std::string text = "if (best >= 0) {\nconst unsigned found = unsigned(best);\n", number = "found";
    if (node.attrs.i("storage_order")) {
      const SymShape plane(x.begin() + 2, x.end());
      const auto place = unravel(k, plane, "found", "q", text);
      SymShape columns(plane.size(), Dim(1));
      for (size_t d = 1; d < plane.size(); ++d) columns[d] = columns[d - 1] * plane[d - 1];
      number = offset_of(k, place, columns);
    }
    const std::string indices = k.output(1, "long long*");
    h["INDEX"] = cat(text, indices, "[i] = base + ", number, ";\n} else {\n", indices, "[i] = -1;\n}\n");
  }
  k.body = fill(R"(const unsigned i = blockIdx.x * 256u + threadIdx.x;
if (i >= $TOTAL) return;
$SPLIT
const unsigned base = $BASE;
$A acc[$VEC];
UNROLL
for (int j = 0; j < $VEC; ++j) acc[j] = $FIRST;
$DECLARE$LOOPS
Vec<$T, $VEC> out;
UNROLL
for (int j = 0; j < $VEC; ++j) out.v[j] = narrow<$T>($RESULT);
store_vec<$VEC>($Y + i * $VECu, out);
$INDEX)",
                h);
  program.variant = cat("pool.", last ? "nhwc" : "nchw", vec);
  program.source = k.text();
  program.recipe.launches = {k.launch({blocks_for(total)}, {256})};
  return program;
}

extern const Family kPool{"pool", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
