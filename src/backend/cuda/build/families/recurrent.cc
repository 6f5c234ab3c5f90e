// LSTM, GRU and RNN in two kernels. The first multiplies all inputs with W; in the second a block has one
// sequence in one direction and walks over time with its state in shared memory, a warp for each row of R.
// All in float, of f64 in double.
#include "ops/common/recurrent.h"

#include <cmath>

#include "backend/cuda/build/families/common.h"
#include "ops/common/activation.h"

namespace tenon::cuda {

static bool concerns(const KernelRequest& r) {
  return op_is(r.node, "LSTM") || op_is(r.node, "GRU") || op_is(r.node, "RNN");
}

// x W^T + Wb for all steps: [directions, steps * batch in X's order, rows].
static const char kInputs[] = R"(
__shared__ $A xs[32][33], ws[32][33];
const unsigned tx = threadIdx.x % 32u, ty = threadIdx.x / 32u;
const unsigned tile_g = blockIdx.x % $TILESG, rest = blockIdx.x / $TILESG, tile_m = rest % $TILESM, d = rest / $TILESM;
$A acc[4] = {0, 0, 0, 0};
for (unsigned start = 0; start < $WIDTH; start += 32u) {
  const unsigned k = start + tx;
  UNROLL
  for (unsigned j = 0; j < 4u; ++j) {
    const unsigned r = ty + 8u * j, m = tile_m * 32u + r, g = tile_g * 32u + r;
    xs[r][tx] = m < $M && k < $WIDTH ? $LOADX : $A(0);
    ws[r][tx] = g < $ROWS && k < $WIDTH ? $LOADW : $A(0);
  }
  __syncthreads();
  UNROLL
  for (int i = 0; i < 32; ++i) {
    UNROLL
    for (int j = 0; j < 4; ++j) acc[j] += xs[ty + 8 * j][i] * ws[tx][i];
  }
  __syncthreads();
}
const unsigned g = tile_g * 32u + tx;
UNROLL
for (unsigned j = 0; j < 4u; ++j) {
  const unsigned m = tile_m * 32u + ty + 8u * j;
  if (m < $M && g < $ROWS) $GATES[(d * $M + m) * $ROWS + g] = acc[j]$BIAS;
}
)";

static const char kSteps[] = R"(
$A* const h = reinterpret_cast<$A*>(dynamic_shared());
$A* const extra = h + $H;
$A* const gates = extra + $H;
const unsigned lane = threadIdx.x % 32u, warp = threadIdx.x / 32u;
const unsigned d = blockIdx.x / $BATCH, b = blockIdx.x - d * $BATCH;
const bool reverse = $REVERSE;
const unsigned state = $STATE * $H;
long long given = $LENGTH;
const unsigned length = given < 0 ? 0u : given > $STEPS ? unsigned($STEPS) : unsigned(given);
for (unsigned i = threadIdx.x; i < $H; i += $THREADSu) {
  h[i] = $FIRSTH;
  extra[i] = $FIRSTC;
  $CLEAR
}
__syncthreads();
// Rb + R v for rows [from, to), into gates.
auto multiply = [&](const $A* v, unsigned from, unsigned to) {
  for (unsigned row = from + warp; row < to; row += $WARPSu) {
    const $T* r = $R + (d * $ROWS + row) * $H;
    $A sum = 0;
    for (unsigned k = lane; k < $H; k += 32u) sum += $LOADR * v[k];
    sum = reduce_warp(sum, Sum());
    if (lane == 0) gates[row] = sum$BIAS;
  }
};
for (unsigned s = 0; s < length; ++s) {
  const unsigned t = reverse ? length - 1u - s : s;
  const $A* x = $GATES + (d * $STEPS * $BATCH + $MOMENT) * $ROWS;
  $STEP
  __syncthreads();
  $KEEP
}
$FINISH)";

static const char kLstm[] = R"(multiply(h, 0u, $ROWS);
  __syncthreads();
  for (unsigned i = threadIdx.x; i < $H; i += $THREADSu) {
    const $A before = extra[i];
    const $A in = act0(d, clipped(x[i] + gates[i]$PEEPI));
    const $A forget = $FORGET;
    const $A c = forget * before + in * act1(d, clipped(x[3u * $H + i] + gates[3u * $H + i]));
    extra[i] = c;
    h[i] = act0(d, clipped(x[$H + i] + gates[$H + i]$PEEPO)) * act2(d, c);
  })";

// Gates in the order z, r, h.
static const char kGru[] = R"(multiply(h, 0u, $FIRSTROWS);
  __syncthreads();
  $SCALE
  for (unsigned i = threadIdx.x; i < $H; i += $THREADSu) {
    const $A z = act0(d, clipped(x[i] + gates[i]));
    const $A g = act1(d, clipped(x[2u * $H + i] + $RECURRENT));
    h[i] = (1 - z) * g + z * h[i];
  })";

static const char kGruScale[] =
    R"(for (unsigned i = threadIdx.x; i < $H; i += $THREADSu) extra[i] = act0(d, clipped(x[$H + i] + gates[$H + i])) * h[i];
  __syncthreads();
  multiply(extra, 2u * $H, $ROWS);
  __syncthreads();)";

static const char kRnn[] = R"(multiply(h, 0u, $ROWS);
  __syncthreads();
  for (unsigned i = threadIdx.x; i < $H; i += $THREADSu) h[i] = act0(d, clipped(x[i] + gates[i]));)";

// An activation function of v.
static std::string formula(const Activation& f, bool wide) {
  const auto number = [&](double v) { return wide ? double_literal(v) : float_literal(v); };
  const Holes h{{"S", wide ? "" : "f"},
                {"ONE", wide ? "1.0" : "1.f"},
                {"ZERO", wide ? "0.0" : "0.f"},
                {"A", number(f.alpha)},
                {"B", number(f.beta)}};
  switch (f.kind) {
    case Activation::relu:
      return fill("v > 0 || v != v ? v : $ZERO", h);
    case Activation::tanh:
      return fill("tanh$S(v)", {{"S", wide ? "" : "f"}});
    case Activation::sigmoid:
      return "sigmoid_of(v)";
    case Activation::affine:
      return fill("$A * v + $B", h);
    case Activation::leaky_relu:
      return fill("v < 0 ? $A * v : v", h);
    case Activation::thresholded_relu:
      return fill("v > $A ? v : $ZERO", h);
    case Activation::scaled_tanh:
      return fill("$A * tanh$S($B * v)", h);
    case Activation::hard_sigmoid:
      return fill("min_nan(max_nan($A * v + $B, $ZERO), $ONE)", h);
    case Activation::elu:
      return fill("v < 0 ? $A * expm1$S(v) : v", h);
    case Activation::softsign:
      return fill("v / (1 + fabs$S(v))", h);
    case Activation::softplus:
      return fill("max_nan(v, $ZERO) + log1p$S(exp$S(-fabs$S(v)))", h);
    case Activation::clip:
      return fill("min_nan(max_nan(v, $A), $B)", h);
  }
  return "v";
}

static Result<Program> generate(const KernelRequest& r, const Chip& chip) {
  const Node& node = r.node;
  const DType t = type_of(r, 0);
  if (!kFloats.contains(t)) return unsupported("no kernel for ", name(t));
  const OperandDims dims = TRY(OperandDims::of(r));
  const bool lstm = op_is(node, "LSTM"), gru = op_is(node, "GRU"), wide = t == DType::f64,
             by_batch = node.attrs.i("layout") != 0;
  const CellKind& kind = cell_kind(node.op->name);
  const int64_t directions = TRY(recurrent_directions(node.attrs));
  const std::vector<Activation> act = TRY(recurrent_activations(node.attrs, kind, directions));
  const SymShape& x = dims.in(0);
  const Dim hidden = dims.in(2)[2], rows = Dim(kind.gates) * hidden, width = x[2],
            steps = x[by_batch ? 1 : 0], batch = x[by_batch ? 0 : 1];
  const Dim bytes = wide ? 8 : 4, shared = (rows + Dim(2) * hidden) * bytes;
  if (!shared.is_const()) return unsupported("its hidden size is not known");
  if (shared.constant() > chip.shared_per_block)
    return unsupported("a hidden size of ", hidden.constant(), " does not fit into shared memory");
  Program program;
  TRY(index_with_32_bits(program.recipe, dims, r));
  const Dim m = steps * batch, all = Dim(directions) * m * rows;
  TRY(index_with_32_bits(program.recipe, {{all}}));
  program.recipe.scratch = all * bytes;

  const std::string type = device_type(t), a = wide ? "double" : "float", pointer = cat("const ", type, "*");
  const auto load = [&](const std::string& element) { return loaded(t, a, element); };
  Holes h{{"A", a}, {"T", type}};
  {
    KernelWriter k("recurrent_inputs", 256);
    h["WIDTH"] = unsigned_size(k, width), h["M"] = unsigned_size(k, m), h["ROWS"] = unsigned_size(k, rows);
    h["TILESG"] = unsigned_size(k, ceil_div(rows, 32)), h["TILESM"] = unsigned_size(k, ceil_div(m, 32));
    h["LOADX"] = load(fill(k.input(0, pointer) + "[m * $WIDTH + k]", h));
    h["LOADW"] = load(fill(k.input(1, pointer) + "[(d * $ROWS + g) * $WIDTH + k]", h));
    h["BIAS"] = present(r, 3) ? " + " + load(fill(k.input(3, pointer) + "[d * 2u * $ROWS + g]", h)) : "";
    h["GATES"] = k.scratch(0, a + "*");
    k.body = fill(kInputs, h);
    program.source += k.text();
    program.recipe.launches.push_back(
        k.launch({ceil_div(rows, 32) * ceil_div(m, 32) * Dim(directions)}, {256}));
  }

  // The functions act0(d, v)...
  const double most = node.attrs.has("clip") ? double(node.attrs.f("clip")) : INFINITY;
  const std::string limit = wide ? double_literal(most) : float_literal(most);
  program.source +=
      cat("DEVICE ", a, " clipped(", a, " v) { return ",
          std::isinf(most) ? "v" : cat("v > ", limit, " ? ", limit, " : v < -", limit, " ? -", limit, " : v"),
          "; }\n");
  const size_t functions = kind.activations.size();
  for (size_t i = 0; i < functions; ++i) {
    program.source += cat("DEVICE ", a, " act", i, "(unsigned d, ", a, " v) { ");
    if (directions == 2) program.source += cat("if (d) return ", formula(act[functions + i], wide), "; ");
    program.source += cat("return ", formula(act[i], wide), "; }\n");
  }

  const int threads = hidden.constant() <= 64 ? 256 : hidden.constant() <= 256 ? 512 : 1024;
  KernelWriter k("recurrent_steps", threads);
  h["THREADS"] = cat(threads), h["WARPS"] = cat(threads / 32);
  h["H"] = unsigned_size(k, hidden), h["ROWS"] = unsigned_size(k, rows), h["BATCH"] = unsigned_size(k, batch),
  h["STEPS"] = k.size(steps);
  h["GATES"] = k.scratch(0, cat("const ", a, "*"));
  h["R"] = k.input(2, pointer);
  h["LOADR"] = load("r[k]");
  h["BIAS"] =
      present(r, 3) ? " + " + load(fill(k.input(3, pointer) + "[(d * 2u + 1u) * $ROWS + row]", h)) : "";
  h["REVERSE"] = directions == 2 ? "d == 1u" : node.attrs.s("direction") == "reverse" ? "true" : "false";
  h["STATE"] = by_batch ? cat("(b * ", directions, "u + d)") : fill("(d * $BATCH + b)", h);
  h["MOMENT"] = by_batch ? fill("b * $STEPS + t", h) : fill("t * $BATCH + b", h);
  h["LENGTH"] = present(r, 4) ? k.input(4, "const int*") + "[b]" : h["STEPS"];
  h["FIRSTH"] = present(r, 5) ? load(k.input(5, pointer) + "[state + i]") : "0";
  h["FIRSTC"] = lstm && present(r, 6) ? load(k.input(6, pointer) + "[state + i]") : "0";
  h["CLEAR"] = h["KEEP"] = h["FINISH"] = "";
  if (wanted(r, 0)) {
    h["Y"] = k.output(0, type + "*");
    h["PLACE"] = by_batch ? fill("((b * $STEPS + t) * ", h) + cat(directions, "u + d)")
                          : cat("((t * ", directions, fill("u + d) * $BATCH + b)", h));
    // Steps behind a sequence's end are zeros.
    h["CLEAR"] =
        fill("for (unsigned t = length; t < $STEPS; ++t) $Y[$PLACE * $H + i] = narrow<$T>($A(0));", h);
    h["KEEP"] = fill(
        "for (unsigned i = threadIdx.x; i < $H; i += $THREADSu) $Y[$PLACE * $H + i] = narrow<$T>(h[i]);", h);
  }
  for (auto [output, from] : {std::pair(1, "h"), std::pair(2, "extra")})
    if (wanted(r, size_t(output)))
      h["FINISH"] += cat(fill("for (unsigned i = threadIdx.x; i < $H; i += $THREADSu) ", h),
                         k.output(output, type + "*"), fill("[state + i] = narrow<$T>(", h), from, "[i]);\n");
  if (lstm) {
    // Peepholes in the order i, o, f.
    std::string peep[3];
    if (present(r, 7)) {
      const std::string p = k.input(7, pointer);
      for (int i = 0; i < 3; ++i)
        peep[i] = cat(" + ", load(cat(p, "[d * 3u * ", h["H"], " + ", i, "u * ", h["H"], " + i]")),
                      i == 1 ? " * c" : " * before");
    }
    h["PEEPI"] = peep[0], h["PEEPO"] = peep[1], h["PEEPF"] = peep[2];
    h["FORGET"] = node.attrs.i("input_forget")
                      ? "1 - in"
                      : fill("act0(d, clipped(x[2u * $H + i] + gates[2u * $H + i]$PEEPF))", h);
    h["STEP"] = fill(kLstm, h);
  } else if (gru) {
    const bool linear = node.attrs.i("linear_before_reset") != 0;
    h["FIRSTROWS"] = linear ? h["ROWS"] : "2u * " + h["H"];
    h["SCALE"] = linear ? "" : fill(kGruScale, h);
    h["RECURRENT"] = linear ? fill("act0(d, clipped(x[$H + i] + gates[$H + i])) * gates[2u * $H + i]", h)
                            : fill("gates[2u * $H + i]", h);
    h["STEP"] = fill(kGru, h);
  } else {
    h["STEP"] = fill(kRnn, h);
  }
  k.body = fill(kSteps, h);
  program.source += k.text();
  program.recipe.launches.push_back(k.launch({batch * Dim(directions)}, {threads}, shared));
  program.variant = lstm ? "recurrent.lstm" : gru ? "recurrent.gru" : "recurrent.rnn";
  return program;
}

extern const Family kRecurrent{"recurrent", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
