// ArgMax and ArgMin: the place of the largest key along an axis, of equal ones the first or the last.
#include "backend/cuda/build/families/ordering.h"
#include "backend/cuda/build/families/rows.h"

namespace tenon::cuda {

static bool concerns(const KernelRequest& r) {
  return op_is(r.node, "ArgMax") || op_is(r.node, "ArgMin");
}

// Best: the key so far and its place. PARTS threads share an output, COLUMNS outputs are in a block.
static const char kBody[] = R"(
const int tx = $TX, ty = $TY;
const unsigned column = blockIdx.x * $COLUMNSu + tx;
const bool live = column < $OUTPUTS;
const unsigned outer = column / $INNER, start = outer * $N * $INNER + (column - outer * $INNER), count = live ? $N : 0u;
$K best = $LOWEST;
int at = $NOWHERE;
for (unsigned i = ty; i < count; i += $PARTSu) {
  const $K key = $INVERT$KEY;
  if (key > best || (key == best && int(i) $PREFERRED at)) best = key, at = int(i);
}
$COMBINE
if (live && ty == 0) $Y[column] = at == $NOWHERE ? 0 : at;
)";

static const char kCombineLanes[] = R"(UNROLL
for (int mask = $LANES / 2; mask > 0; mask /= 2) {
  const $K key = shuffle_xor(best, mask);
  const int i = shuffle_xor(at, mask);
  if (key > best || (key == best && i $PREFERRED at)) best = key, at = i;
}
)";

static const char kCombineShared[] = R"(__shared__ $K keys[$WARPS][$COLUMNS];
__shared__ int places[$WARPS][$COLUMNS];
if ($LEADS) keys[$SLOT][tx] = best, places[$SLOT][tx] = at;
__syncthreads();
UNROLL
for (int p = 0; p < $WARPS; ++p) {
  const $K key = keys[p][tx];
  const int i = places[p][tx];
  if (key > best || (key == best && i $PREFERRED at)) best = key, at = i;
}
)";

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const DType t = type_of(r, 0);
  if (key_type(t).empty()) return unsupported("no kernel for ", name(t));
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape& x = dims.in(0);
  Program program;
  TRY(index_with_32_bits(program.recipe, {x}));
  const AxisView v = view_around(x, axis_of(r.node.attrs.i("axis"), x.size()));
  if (v.n.is(0)) return unsupported("there is nothing to choose from");
  const bool rows = v.inner.is(1), last = r.node.attrs.i("select_last_index") != 0;
  int parts = v.n.is_const() ? power_of_two_from((v.n.constant() + 7) / 8, rows ? 256 : 8) : rows ? 128 : 8;
  const int threads = std::max(128, parts), columns = threads / parts;
  KernelWriter k("arg_reduce", threads);
  const std::string key = key_type(t), invert = op_is(r.node, "ArgMin") ? "~" : "";
  Holes h{{"K", key},
          {"INVERT", invert},
          {"PARTS", cat(parts)},
          {"COLUMNS", cat(columns)},
          {"PREFERRED", last ? ">" : "<"}};
  h["LOWEST"] = key == "int" ? "int(0x80000000u)" : "(long long)(1ull << 63)";
  h["NOWHERE"] = last ? "-1" : "0x7fffffff";
  const std::string p = k.input(0, cat("const ", device_type(t), "*"));
  h["Y"] = k.output(0, "long long*");
  h["N"] = unsigned_size(k, v.n), h["INNER"] = unsigned_size(k, v.inner),
  h["OUTPUTS"] = unsigned_size(k, v.outer * v.inner);
  h["KEY"] = key_of(t, fill(p + "[start + i * $INNER]", h));
  // Rows: the parts are neighbouring lanes. Columns: the columns are.
  h["TX"] = rows ? cat("threadIdx.x / ", parts) : cat("threadIdx.x % ", columns);
  h["TY"] = rows ? cat("threadIdx.x % ", parts) : cat("threadIdx.x / ", columns);
  const int lanes = rows ? std::min(parts, 32) : 1;
  h["LANES"] = cat(lanes), h["WARPS"] = cat(parts / lanes);
  h["LEADS"] = lanes > 1 ? "ty % 32 == 0" : "true", h["SLOT"] = lanes > 1 ? "ty / 32" : "ty";
  h["COMBINE"] = cat(lanes > 1 ? fill(kCombineLanes, h) : "", parts > lanes ? fill(kCombineShared, h) : "");
  k.body = fill(kBody, h);
  program.variant = rows ? "arg_reduce.rows" : "arg_reduce.columns";
  program.source = kKeyHelpers + k.text();
  program.recipe.launches = {k.launch({blocks_for(v.outer * v.inner, columns)}, {threads})};
  return program;
}

extern const Family kArgReduce{"arg_reduce", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
