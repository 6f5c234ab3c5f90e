// NonZero, and Compress, which moves what its condition selects. How many there are the device finds out
// itself.
#include "backend/cuda/build/families/where.h"

namespace tenon::cuda {

static Result<Program> generate_non_zero(const KernelRequest& r, const Chip&) {
  const DType t = type_of(r, 0);
  if (device_type(t).empty() || compute_type(t).empty()) return unsupported("no kernel for ", name(t));
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape& x = dims.in(0);
  Program program;
  TRY(index_with_32_bits(program.recipe, {x}));
  program.recipe.most = product(x);
  program.recipe.results = {{int64_t(x.size()), Dim::symbol("count")}};
  program.recipe.scratch = find_set(program, r, 0, product(x), 0, [&](KernelWriter& k) {
    const std::string y = k.output(0, "long long*");
    std::string store;
    const auto at = unravel(k, x, "i", "u", store);
    for (size_t d = 0; d < x.size(); ++d) store += cat(y, "[", d, "ll * total + place] = ", at[d], ";\n");
    return store;
  });
  program.variant = cat("non_zero.", program.recipe.launches.size() == 1 ? "block" : "blocks");
  return program;
}

static Result<Program> generate_compress(const KernelRequest& r, const Chip&) {
  const int bytes = unit_bytes(type_of(r, 0));
  if (bytes == 0) return unsupported("no kernel for elements of ", bits(type_of(r, 0)), " bits");
  const OperandDims dims = TRY(OperandDims::of(r));
  SymShape y = {product(dims.in(0))};
  size_t axis = 0;
  if (r.node.attrs.has("axis")) {
    y = dims.in(0);
    axis = axis_of(r.node.attrs.i("axis"), y.size());
  }
  const AxisView v = view_around(y, axis);
  const Dim most = product(dims.in(1)), all = v.outer * most * v.inner;
  Program program;
  TRY(index_with_32_bits(program.recipe, {dims.in(0), dims.in(1), {all}}));
  y[axis] = Dim::symbol("count");
  program.recipe.most = most;
  program.recipe.results = {y};
  const Dim places = ceil_div(most, 2) * Dim(8);  // what comes behind stays aligned
  program.recipe.scratch = places + find_set(program, r, 1, most, places, [](KernelWriter& k) {
                             return cat(k.scratch(0, "unsigned*"), "[place] = i;\n");
                           });

  const int factor = power_of_two_in(v.inner, 16 / bytes);
  const Dim run = floor_div(v.inner, Dim(factor));
  KernelWriter k("compress", 256);
  Holes h{{"T", unit_type(bytes * factor)}};
  h["X"] = k.input(0, cat("const ", h["T"], "*")), h["Y"] = k.output(0, h["T"] + "*");
  h["PLACES"] = k.scratch(0, "const unsigned*"), h["COUNT"] = k.count();
  h["OUTER"] = unsigned_size(k, v.outer), h["N"] = unsigned_size(k, v.n), h["RUN"] = unsigned_size(k, run);
  // A place behind the end is taken as the last.
  k.body = fill(R"(const unsigned total = unsigned(*$COUNT), i = blockIdx.x * 256u + threadIdx.x;
if (i >= $OUTER * total * $RUN) return;
const unsigned row = i / $RUN, outer = row / total;
const unsigned place = $PLACES[row - outer * total];
$T v{};
if ($N > 0u) v = $X[(outer * $N + (place < $N ? place : $N - 1u)) * $RUN + (i - row * $RUN)];
$Y[i] = v;
)",
                h);
  program.source += k.text();
  program.recipe.launches.push_back(k.launch({blocks_for(v.outer * most * run)}, {256}));
  program.variant = cat("compress.", bytes * factor);
  return program;
}

static bool is_non_zero(const KernelRequest& r) {
  return op_is(r.node, "NonZero");
}
static bool is_compress(const KernelRequest& r) {
  return op_is(r.node, "Compress");
}

extern const Family kNonZero{"non_zero", is_non_zero, can_generate<generate_non_zero>, generate_non_zero};
extern const Family kCompress{"compress", is_compress, can_generate<generate_compress>, generate_compress};

}  // namespace tenon::cuda
