// A fused node of kind "rotary" (passes/fusion/find_rotary.h): a thread turns some numbers of a head's first half with those of its
// second. Cosines and sines are as wide as a head and broadcast.
#include <algorithm>

#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

namespace {

bool concerns(const KernelRequest& r) { return r.node.attrs.s("kind") == "rotary"; }

// The request's inputs.
struct Roles {
  int x = -1, cos = -1, sin = -1;
};

// REQUIRES: a body that find_rotary has made: Mul(x, cos) first, then what cuts x.
Roles roles_of(const Graph& body) {
  const auto input = [&](ValueId v) {
    const auto at = std::find(body.inputs.begin(), body.inputs.end(), v);
    return at == body.inputs.end() ? -1 : int(at - body.inputs.begin());
  };
  const Node &straight = body.nodes[0], &turned = body.nodes[body.nodes.size() - 2];
  const ValueId x = body.nodes[1].inputs[0], joined = body.nodes[body.nodes.size() - 3].outputs[0];
  return {input(x), input(straight.inputs[straight.inputs[0] == x ? 1 : 0]), input(turned.inputs[turned.inputs[0] == joined ? 1 : 0])};
}

constexpr char kBody[] = R"(const unsigned i = blockIdx.x * 256u + threadIdx.x;
if (i >= $TOTAL) return;
$SPLIT
const unsigned part = $PART * $VECu, from = $FROM + part;
const unsigned angle = $ANGLE + part, other = $OTHER + part;
const Vec<$T, $VEC> a = load_vec<$VEC>($X + from), b = load_vec<$VEC>($X + from + $HALFu);
const Vec<$C, $VEC> c = load_vec<$VEC>($COS + angle), d = load_vec<$VEC>($COS + angle + $HALFu);
const Vec<$S, $VEC> s = load_vec<$VEC>($SIN + other), t = load_vec<$VEC>($SIN + other + $HALFu);
Vec<$T, $VEC> low, high;
UNROLL
for (int j = 0; j < $VEC; ++j) {
  const $A re = $LOADA, im = $LOADB;
  low.v[j] = narrow<$T>(re * $LOADC - im * $LOADS);
  high.v[j] = narrow<$T>(im * $LOADD + re * $LOADQ);
}
store_vec<$VEC>($Y + from, low);
store_vec<$VEC>($Y + from + $HALFu, high);
)";

Result<Program> generate(const KernelRequest& r, const Chip&) {
  const GraphPtr body = r.node.attrs.graph("body");
  if (!body || body->nodes.size() < 6) return unsupported("its body is no rotation");
  const Roles roles = roles_of(*body);
  if (roles.x < 0 || roles.cos < 0 || roles.sin < 0) return unsupported("an operand is a constant inside the body");
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape &x = dims.in(size_t(roles.x)), &cos = dims.in(size_t(roles.cos)), &sin = dims.in(size_t(roles.sin)), &y = dims.out(0);
  const DType type = type_of(r, size_t(roles.x)), types[] = {type, type_of(r, size_t(roles.cos)), type_of(r, size_t(roles.sin))};
  int widest = 0;
  for (DType t : types) {
    if (!kFloats.contains(t)) return unsupported("no kernel for ", name(t));
    widest = std::max(widest, bits(t));
  }
  if (x.empty() || !(x == y) || !x.back().is_const() || cos.empty() || sin.empty() || !(cos.back() == x.back()) || !(sin.back() == x.back()) || cos.size() > x.size() || sin.size() > x.size())
    return unsupported("its angles are of shapes ", to_string(cos), " and ", to_string(sin), ", it is ", to_string(x));
  Program program;
  TRY(index_with_32_bits(program.recipe, dims, r));
  const int64_t size = x.back().constant(), half = size / 2;
  const int vec = power_of_two_in(Dim(half), 128 / widest);

  SymShape rows = x, row_strides = sym_row_major_strides(x), of_cos = broadcast_strides(cos, y), of_sin = broadcast_strides(sin, y);
  for (SymShape* s : {&rows, &row_strides, &of_cos, &of_sin}) s->pop_back();
  const CollapsedLoop loop = collapse(rows, {row_strides, of_cos, of_sin});
  SymShape all = loop.dims;
  all.push_back(Dim(half / vec));

  KernelWriter k("rotation", 256);
  Holes h{{"VEC", cat(vec)}, {"HALF", cat(half)}, {"A", std::any_of(types, types + 3, [](DType t) { return t == DType::f64; }) ? "double" : "float"},
          {"T", device_type(types[0])}, {"C", device_type(types[1])}, {"S", device_type(types[2])}};
  h["X"] = k.input(roles.x, cat("const ", h["T"], "*"));
  h["COS"] = k.input(roles.cos, cat("const ", h["C"], "*"));
  h["SIN"] = k.input(roles.sin, cat("const ", h["S"], "*"));
  h["Y"] = k.output(0, h["T"] + "*");
  h["TOTAL"] = unsigned_size(k, product(all));
  h["SPLIT"] = "";
  std::vector<std::string> at = unravel(k, all, "i", "c", h["SPLIT"]);
  h["PART"] = at.back();
  at.pop_back();
  h["FROM"] = offset_of(k, at, loop.strides[0]), h["ANGLE"] = offset_of(k, at, loop.strides[1]), h["OTHER"] = offset_of(k, at, loop.strides[2]);
  const auto load = [&](DType t, const char* element) { return loaded(t, h["A"], cat(element, ".v[j]")); };
  h["LOADA"] = load(types[0], "a"), h["LOADB"] = load(types[0], "b"), h["LOADC"] = load(types[1], "c");
  h["LOADD"] = load(types[1], "d"), h["LOADS"] = load(types[2], "s"), h["LOADQ"] = load(types[2], "t");
  k.body = fill(kBody, h);
  program.variant = cat("rotation.vec", vec);
  program.source = k.text();
  program.recipe.launches = {k.launch({blocks_for(product(all))}, {256})};
  return program;
}

}  // namespace

extern const Family kRotation{"rotation", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
