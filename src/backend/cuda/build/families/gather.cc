// Gather, GatherElements and GatherND. What lies behind each index moves up to 16 bytes at a time.
#include "backend/cuda/build/families/indices.h"

namespace tenon::cuda {

std::string read_tuple(KernelWriter& k, const std::string& pointer, const std::string& at,
                       const SymShape& sizes, const SymShape& strides) {
  std::string out = "unsigned place = 0u;\nbool found = true;\n";
  for (size_t d = 0; d < sizes.size(); ++d) {
    const std::string n = unsigned_size(k, sizes[d]);
    out += cat("found = found && ", n, " > 0u;\nif (found) place += checked_index(", pointer, "[", at, " + ",
               d, "u], ", n, ") * ", unsigned_size(k, strides[d]), ";\n");
  }
  return out;
}

static bool concerns(const KernelRequest& r) {
  return op_is(r.node, "Gather") || op_is(r.node, "GatherElements") || op_is(r.node, "GatherND");
}

namespace {
// y = [rows, run]: each row is a run of elements from somewhere in x.
struct Plan {
  KernelWriter& k;
  std::string indices, index;  // the pointer, its type
  Dim rows = 1, run = 1;
  int factor = 1;    // elements that move together
  std::string body;  // finds `place` and `found` for `row`
};
}  // namespace

static void plan_gather(Plan& p, const KernelRequest& r, const OperandDims& dims) {
  const AxisView v = view_around(dims.in(0), axis_of(r.node.attrs.i("axis"), dims.in(0).size()));
  const Dim count = product(dims.in(1));
  p.rows = v.outer * count;
  p.run = v.inner;
  const auto at = unravel(p.k, {v.outer, count}, "row", "r", p.body);
  p.body += read_tuple(p.k, p.indices, at[1], {v.n}, {v.inner});
  p.body += cat("place += ", offset_of(p.k, {at[0]}, {v.n * v.inner}), ";\n");
}

static void plan_elements(Plan& p, const KernelRequest& r, const OperandDims& dims) {
  const SymShape &x = dims.in(0), &y = dims.out(0);
  const size_t axis = axis_of(r.node.attrs.i("axis"), x.size());
  SymShape strides = sym_row_major_strides(x);
  const Dim stride = strides[axis];
  strides[axis] = 0;
  p.rows = product(y);
  const CollapsedLoop loop = collapse(y, {strides});
  const auto at = unravel(p.k, loop.dims, "row", "r", p.body);
  p.body += read_tuple(p.k, p.indices, "row", {x[axis]}, {stride});
  p.body += cat("place += ", offset_of(p.k, at, loop.strides[0]), ";\n");
}

static Status plan_nd(Plan& p, const KernelRequest& r, const OperandDims& dims) {
  const SymShape &x = dims.in(0), &indices = dims.in(1), strides = sym_row_major_strides(x);
  const size_t batch = size_t(r.node.attrs.i("batch_dims"));
  if (!indices.back().is_const()) return unsupported("how many indices a tuple has is not known");
  const size_t k = size_t(indices.back().constant());
  const Dim batches = product(x, 0, batch), each = product(indices, batch, indices.size() - 1);
  p.rows = batches * each;
  p.run = product(x, batch + k);
  const auto at = unravel(p.k, {batches, each}, "row", "r", p.body);
  const SymShape sizes(x.begin() + long(batch), x.begin() + long(batch + k)),
      steps(strides.begin() + long(batch), strides.begin() + long(batch + k));
  p.body += read_tuple(p.k, p.indices, cat("row * ", k, "u"), sizes, steps);
  p.body += cat("place += ", offset_of(p.k, {at[0]}, {product(x, batch)}), ";\n");
  return {};
}

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const int bytes = unit_bytes(type_of(r, 0));
  if (bytes == 0) return unsupported("no kernel for elements of ", bits(type_of(r, 0)), " bits");
  const OperandDims dims = TRY(OperandDims::of(r));
  if (dims.in(0).empty()) return unsupported("cannot gather from a scalar");
  Program program;
  TRY(index_with_32_bits(program.recipe, dims, r));
  KernelWriter k("gather", 256);
  Plan p{k, "", device_type(type_of(r, 1))};
  p.indices = k.input(1, cat("const ", p.index, "*"));
  if (op_is(r.node, "Gather"))
    plan_gather(p, r, dims);
  else if (op_is(r.node, "GatherElements"))
    plan_elements(p, r, dims);
  else
    TRY(plan_nd(p, r, dims));
  p.factor = power_of_two_in(p.run, 16 / bytes);
  const Dim run = floor_div(p.run, Dim(p.factor));
  Holes h{{"T", unit_type(bytes * p.factor)}, {"FIND", p.body}};
  h["X"] = k.input(0, cat("const ", h["T"], "*"));
  h["Y"] = k.output(0, h["T"] + "*");
  h["TOTAL"] = unsigned_size(k, p.rows * run);
  h["FACTOR"] = cat(p.factor, "u");
  h["SPLIT"] = "";
  const auto at = unravel(k, {p.rows, run}, "i", "u", h["SPLIT"]);
  h["ROW"] = at[0], h["COLUMN"] = at[1];
  k.body = fill(R"(const unsigned i = blockIdx.x * 256u + threadIdx.x;
if (i >= $TOTAL) return;
$SPLIT
const unsigned row = $ROW;
$FIND
$T v{};
if (found) v = $X[place / $FACTOR + $COLUMN];
$Y[i] = v;
)",
                h);
  program.variant = cat("gather.", bytes * p.factor);
  program.source = kIndexHelpers + k.text();
  program.recipe.launches = {k.launch({blocks_for(p.rows * run)}, {256})};
  return program;
}

extern const Family kGather{"gather", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
