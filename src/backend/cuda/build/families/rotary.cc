// RotaryEmbedding of both domains: a thread has two numbers of a head that turn together, or two that stay.
#include "backend/cuda/build/families/indices.h"

namespace tenon::cuda {

static bool concerns(const KernelRequest& r) {
  return op_is(r.node, "RotaryEmbedding") || ms_op_is(r.node, "RotaryEmbedding");
}

// Positions out of the caches' range are moved into it.
static const char kBody[] = R"(const unsigned i = blockIdx.x * 256u + threadIdx.x;
if (i >= $TOTAL) return;
$SPLIT
const unsigned batch = $BATCH, token = $TOKEN, pair = $PAIR, base = $BASE;
if (pair >= $HALFu) {
  const unsigned rest = 2u * pair;
  $Y[base + rest] = $X[base + rest];
  $Y[base + rest + 1u] = $X[base + rest + 1u];
  return;
}
if ($ROWS == 0u) return;
const unsigned angle = $ROW * $HALFu + pair;
const $A c = $COS, s = $SIN;
const unsigned p = base + $FIRST, q = base + $SECOND;
const $A re = $RE, im = $IM;
$Y[p] = narrow<$T>(c * re - s * im);
$Y[q] = narrow<$T>(s * re + c * im);
)";

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const DType t = type_of(r, 0);
  if (!kFloats.contains(t)) return unsupported("no kernel for ", name(t));
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape& x = dims.in(0);
  Program program;
  TRY(index_with_32_bits(program.recipe, dims, r));
  const bool ms = ms_op_is(r.node, "RotaryEmbedding"), split = x.size() == 4,
             interleaved = r.node.attrs.i("interleaved") != 0;
  const int cos = ms ? 2 : 1, ids = ms ? 1 : 3;
  const SymShape& cache = dims.in(size_t(cos));
  if (!cache.back().is_const() || !x.back().is_const())
    return unsupported("the size of its heads is not known");
  const int64_t half = cache.back().constant(), rotary = r.node.attrs.i("rotary_embedding_dim");
  int64_t heads = r.node.attrs.i("num_heads");
  if (!split && heads == 0 && rotary == 0 && half > 0) heads = x[2].constant() / (2 * half);
  if (!split && heads == 0) return unsupported("the number of its heads is not known");
  const int64_t size = split ? x[3].constant() : x[2].constant() / heads;
  if (size % 2 || 2 * half > size)
    return unsupported("its heads have ", size, " numbers, the caches are for ", 2 * half);

  KernelWriter k("rotary", 256);
  Holes h{{"T", device_type(t)}, {"A", t == DType::f64 ? "double" : "float"}, {"HALF", cat(half)}};
  h["X"] = k.input(0, cat("const ", h["T"], "*"));
  h["Y"] = k.output(0, h["T"] + "*");
  const auto load = [&](const std::string& element) { return loaded(t, h["A"], element); };
  h["COS"] = load(k.input(cos, cat("const ", h["T"], "*")) + "[angle]"),
  h["SIN"] = load(k.input(cos + 1, cat("const ", h["T"], "*")) + "[angle]");
  h["RE"] = load(h["X"] + "[p]"), h["IM"] = load(h["X"] + "[q]");
  // [batch, heads, length, size], or [batch, length, heads, size].
  const Dim length = x[split ? 2 : 1];
  const SymShape loop =
      split ? SymShape{x[0], x[1], length, size / 2} : SymShape{x[0], length, heads, size / 2};
  h["TOTAL"] = unsigned_size(k, product(loop));
  h["SPLIT"] = "";
  const auto at = unravel(k, loop, "i", "c", h["SPLIT"]);
  SymShape strides = sym_row_major_strides({loop[0], loop[1], loop[2], size});
  strides[3] = 0;
  h["BASE"] = offset_of(k, at, strides);
  h["BATCH"] = at[0], h["TOKEN"] = at[split ? 2 : 1], h["PAIR"] = at[3];
  h["FIRST"] = interleaved ? "2u * pair" : "pair",
  h["SECOND"] = interleaved ? "2u * pair + 1u" : fill("pair + $HALFu", h);
  const std::string number = fill("batch * $L + token", {{"L", unsigned_size(k, length)}});
  if (present(r, size_t(ids))) {
    h["ROWS"] = unsigned_size(k, cache[0]);
    const std::string p = k.input(ids, "const long long*"), id = dims.in(size_t(ids)).size() == 2
                                                                     ? cat(p, "[", number, "]")
                                                                     : cat(p, "[0] + token");
    h["ROW"] = cat("checked_index(", id, ", ", h["ROWS"], ")");
  } else {
    h["ROWS"] = "1u", h["ROW"] = cat("(", number, ")");
  }
  k.body = fill(kBody, h);
  program.variant = "rotary";
  program.source = kIndexHelpers + k.text();
  program.recipe.launches = {k.launch({blocks_for(product(loop))}, {256})};
  return program;
}

extern const Family kRotary{"rotary", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
