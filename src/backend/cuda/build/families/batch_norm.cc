// BatchNormalization outside of training: y = x * scale[c] + bias[c], both computed at build time where the
// statistics are constants.
#include <cmath>

#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

static bool concerns(const KernelRequest& r) {
  return op_is(r.node, "BatchNormalization");
}

static const char kBody[] = R"(
const unsigned i = (blockIdx.x * 256u + threadIdx.x) * $VECu;
if (i >= $TOTAL) return;
const unsigned c = i / $PLANE % $CHANNELS;
$FACTORS
const Vec<$T, $VEC> w = load_vec<$VEC>($X + i);
Vec<$T, $VEC> out;
UNROLL
for (int k = 0; k < $VEC; ++k) out.v[k] = narrow<$T>($WK * scale + bias);
store_vec<$VEC>($Y + i, out);
)";

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const DType t = type_of(r, 0);
  if (!kFloats.contains(t)) return unsupported("no kernel for ", name(t));
  if (r.node.attrs.i("training_mode") || r.node.outputs.size() > 1) return unsupported("training mode");
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape& x = dims.in(0);
  Program program;
  TRY(index_with_32_bits(program.recipe, {x}));
  const Dim plane = product(x, std::min<size_t>(2, x.size())), total = product(x);
  const int vec = vector_width(t, plane);
  const bool wide = t == DType::f64;
  KernelWriter k("batch_norm", 256);
  Holes h;
  const std::string a = wide ? "double" : "float";
  h["T"] = device_type(t);
  h["VEC"] = cat(vec);
  h["X"] = k.input(0, cat("const ", h["T"], "*"));
  h["Y"] = k.output(0, h["T"] + "*");
  h["TOTAL"] = unsigned_size(k, total);
  h["PLANE"] = unsigned_size(k, plane);
  h["CHANNELS"] = x.size() > 1 ? unsigned_size(k, x[1]) : "1u";
  h["WK"] = loaded(t, a, "w.v[k]");
  const double epsilon = double(r.node.attrs.f("epsilon"));
  bool constant = true;
  for (size_t i = 1; i < 5; ++i) constant = constant && r.graph.is_constant(r.node.inputs[i]);
  if (constant) {
    const auto in = [&](size_t i) -> const Tensor& { return r.graph.constant(r.node.inputs[i]); };
    const DType type = wide ? DType::f64 : DType::f32;
    const int64_t c = in(1).size();
    Tensor scale = TRY(Tensor::allocate(type, {c})), bias = TRY(Tensor::allocate(type, {c}));
    for (int64_t i = 0; i < c; ++i) {
      const double s = in(1).at(i) / std::sqrt(in(4).at(i) + epsilon);
      scale.set(i, s);
      bias.set(i, in(2).at(i) - in(3).at(i) * s);
    }
    program.data = {scale, bias};
    program.absorbed_inputs = {1, 2, 3, 4};
    h["FACTORS"] = cat("const ", a, " scale = ", k.data(0, cat("const ", a, "*")),
                       "[c], bias = ", k.data(1, cat("const ", a, "*")), "[c];");
  } else {
    const auto in = [&](int i) {
      const DType type = type_of(r, size_t(i));
      return loaded(type, a, k.input(i, cat("const ", device_type(type), "*")) + "[c]");
    };
    h["FACTORS"] = cat("const ", a, " scale = ", in(1), " / ", wide ? "sqrt(" : "sqrtf(", in(4), " + ",
                       wide ? double_literal(epsilon) : float_literal(epsilon), "), bias = ", in(2), " - ",
                       in(3), " * scale;");
  }
  k.body = fill(kBody, h);
  program.variant = "batch_norm";
  program.source = k.text();
  program.recipe.launches = {k.launch({blocks_for(total, 256 * vec)}, {256})};
  return program;
}

extern const Family kBatchNorm{"batch_norm", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
