// Pad in all modes. Pads are constants or known when shapes are bound. Dimensions behind the last padded one
// move together, up to 16 bytes at a time.
#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

// As the reference has it: the element in [0, n) at place i of the endless extension of n elements, n > 0.
static const char kHelpers[] = R"(
DEVICE int extended_edge(int i, int n) { return i < 0 ? 0 : i < n ? i : n - 1; }
DEVICE int extended_wrap(int i, int n) {
  i %= n;
  return i < 0 ? i + n : i;
}
DEVICE int extended_reflect(int i, int n) {
  const int period = n > 1 ? 2 * n - 2 : 1;
  i %= period;
  if (i < 0) i += period;
  return i < n ? i : period - i;
}
)";

// The input's place along a padded dimension. Pads below zero crop first.
static const char kConstant[] = R"(const int c$D = int($AT) - $BEGIN;
inside = inside && c$D >= 0 && c$D < $SIZE;
)";
static const char kExtended[] =
    R"(const int cut$D = $BEGIN < 0 ? -($BEGIN) : 0, kept$D = $SIZE - cut$D - ($END < 0 ? -($END) : 0);
inside = inside && kept$D > 0;
const int c$D = kept$D > 0 ? cut$D + extended_$MODE(int($AT) - ($BEGIN > 0 ? $BEGIN : 0), kept$D) : 0;
)";

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const int bytes = unit_bytes(type_of(r, 0));
  if (bytes == 0 || bytes > 8) return unsupported("no kernel for elements of ", bits(type_of(r, 0)), " bits");
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape &x = dims.in(0), &y = dims.out(0);
  Program program;
  TRY(index_with_32_bits(program.recipe, {x, y}));
  const auto pads = constant_ints(r, 1), axes = constant_ints(r, 3);
  if (present(r, 3) && !axes) return unsupported("its axes are computed at run time");
  if (!pads) program.recipe.value_inputs |= 1u << 1;
  const size_t count = axes ? axes->size() : x.size();

  KernelWriter k("pad", 256);
  std::vector<std::string> begin(x.size(), "0"), end = begin;
  size_t last = 0;  // one behind the last padded dimension
  for (size_t i = 0; i < count; ++i) {
    const size_t d = axes ? axis_of((*axes)[i], x.size()) : i;
    if (pads && (*pads)[i] == 0 && (*pads)[count + i] == 0) continue;
    const auto pad = [&](size_t j) { return k.size(pads ? Dim((*pads)[j]) : Dim::symbol(cat("v1_", j))); };
    begin[d] = pad(i), end[d] = pad(count + i);
    last = std::max(last, d + 1);
  }
  SymShape in(x.begin(), x.begin() + long(last)), out(y.begin(), y.begin() + long(last));
  const Dim inner = product(x, last);
  const int factor = power_of_two_in(inner, 16 / bytes);
  in.push_back(floor_div(inner, Dim(factor)));
  out.push_back(in.back());

  const std::string element = unit_type(bytes), type = cat("Vec<", element, ", ", factor, ">");
  Holes h{{"T", type}, {"E", element}, {"FACTOR", cat(factor)}, {"MODE", r.node.attrs.s("mode")}};
  h["X"] = k.input(0, cat("const ", type, "*"));
  h["Y"] = k.output(0, type + "*");
  h["VALUE"] = present(r, 2) ? k.input(2, cat("const ", element, "*")) + "[0]" : "0";
  h["TOTAL"] = unsigned_size(k, product(out));
  std::string body = fill(
      "const unsigned i = blockIdx.x * 256u + threadIdx.x;\nif (i >= $TOTAL) return;\nbool inside = true;\n",
      h);
  std::vector<std::string> at = unravel(k, out, "i", "d", body);
  for (size_t d = 0; d < last; ++d) {
    h["D"] = cat(d), h["AT"] = at[d], h["BEGIN"] = begin[d], h["END"] = end[d], h["SIZE"] = k.size(in[d]);
    if (begin[d] == "0" && end[d] == "0") continue;
    body += fill(h["MODE"] == "constant" ? kConstant : kExtended, h);
    at[d] = cat("unsigned(c", d, ")");
  }
  h["FROM"] = offset_of(k, at, sym_row_major_strides(in));
  k.body = body + fill(R"($T v;
if (inside) {
  v = $X[$FROM];
} else {
  const $E value = $VALUE;
  UNROLL
  for (int j = 0; j < $FACTOR; ++j) v.v[j] = value;
}
$Y[i] = v;
)",
                       h);
  program.source = kHelpers + k.text();
  program.recipe.launches = {k.launch({blocks_for(product(out))}, {256})};
  program.variant = "pad." + h["MODE"];
  return program;
}

extern const Family kPad{"pad", [](const KernelRequest& r) { return op_is(r.node, "Pad"); },
                         can_generate<generate>, generate};

}  // namespace tenon::cuda
