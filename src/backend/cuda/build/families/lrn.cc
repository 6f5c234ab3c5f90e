// LRN and LpNormalization: each element divided by what its neighbours along one axis give.
#include <algorithm>

#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

static bool concerns(const KernelRequest& r) {
  return op_is(r.node, "LRN") || op_is(r.node, "LpNormalization");
}

static const char kLrnBody[] = R"(const unsigned i = blockIdx.x * 256u + threadIdx.x;
if (i >= $TOTAL) return;
$SPLIT
const int c = int($CHANNEL), first = c - $BEFORE < 0 ? 0 : c - $BEFORE, last = c + $AFTER < $N ? c + $AFTER : $N - 1;
$A squares = 0;
for (int k = first; k <= last; ++k) {
  const $A v = $NEIGHBOUR;
  squares += v * v;
}
$Y[i] = narrow<$T>($OWN / $POW($BIAS + $FACTOR * squares, $BETA));
)";

// A warp for each line: neighbouring lanes along it.
static const char kLpBody[] =
    R"(const unsigned line = blockIdx.x * 8u + threadIdx.x / 32u, lane = threadIdx.x % 32u;
const bool live = line < $LINES;
const unsigned outer = line / $INNER, start = outer * $N * $INNER + (line - outer * $INNER), count = live ? $N : 0u;
$A sum = 0;
for (unsigned k = lane; k < count; k += 32u) {
  const $A v = $ELEMENT;
  sum += $TERM;
}
sum = reduce_warp(sum, Sum());
const $A norm = $NORM;
for (unsigned k = lane; k < count; k += 32u) {
  const $A v = $ELEMENT;
  $Y[start + k * $INNER] = narrow<$T>(norm == 0 ? $A(0) : v / norm);
}
)";

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const DType t = type_of(r, 0);
  if (!kFloats.contains(t)) return unsupported("no kernel for ", name(t));
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape& x = dims.in(0);
  Program program;
  TRY(index_with_32_bits(program.recipe, {x}));
  const Attrs& attrs = r.node.attrs;
  const bool lrn = op_is(r.node, "LRN"), wide = t == DType::f64;
  const AxisView v = view_around(x, lrn ? 1 : axis_of(attrs.i("axis"), x.size()));
  KernelWriter k(lrn ? "lrn" : "lp_normalize", 256);
  const auto number = [&](double n) { return wide ? double_literal(n) : float_literal(n); };
  Holes h{{"T", device_type(t)}, {"A", wide ? "double" : "float"}};
  const std::string in = k.input(0, cat("const ", h["T"], "*"));
  h["Y"] = k.output(0, h["T"] + "*");
  h["INNER"] = unsigned_size(k, v.inner);
  Dim blocks;
  if (lrn) {
    const int64_t size = attrs.i("size"), far = (int64_t(1) << 30);
    h["TOTAL"] = unsigned_size(k, product(x)), h["N"] = k.size(v.n);
    h["SPLIT"] = "";
    h["CHANNEL"] = unravel(k, {v.outer, v.n, v.inner}, "i", "c", h["SPLIT"])[1];
    h["BEFORE"] = cat(std::min((size - 1) / 2, far)), h["AFTER"] = cat(std::min(size / 2, far));
    h["NEIGHBOUR"] = loaded(t, h["A"], in + fill("[i + unsigned(k - c) * $INNER]", h)),
    h["OWN"] = loaded(t, h["A"], in + "[i]");
    h["POW"] = wide ? "pow" : "powf", h["BIAS"] = number(double(attrs.f("bias"))),
    h["BETA"] = number(double(attrs.f("beta")));
    h["FACTOR"] = number(double(attrs.f("alpha")) / double(size));
    blocks = blocks_for(product(x));
  } else {
    h["LINES"] = unsigned_size(k, v.outer * v.inner), h["N"] = unsigned_size(k, v.n);
    h["ELEMENT"] = loaded(t, h["A"], in + fill("[start + k * $INNER]", h));
    const bool one = attrs.i("p") == 1;
    h["TERM"] = one ? "v < 0 ? -v : v" : "v * v", h["NORM"] = one ? "sum" : wide ? "sqrt(sum)" : "sqrtf(sum)";
    blocks = blocks_for(v.outer * v.inner, 8);
  }
  k.body = fill(lrn ? kLrnBody : kLpBody, h);
  program.variant = lrn ? "lrn" : "lp_normalize";
  program.source = k.text();
  program.recipe.launches = {k.launch({blocks}, {256})};
  return program;
}

extern const Family kLrn{"lrn", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
