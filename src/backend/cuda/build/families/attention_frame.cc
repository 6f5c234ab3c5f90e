// What the attention kernels have in common.
#include <cmath>

#include "backend/cuda/build/families/attention.h"

namespace tenon::cuda {

const char kAttentionHelpers[] = R"(
// ROWS rows of COLUMNS elements to shared memory, PADDED wide there; what lies behind row `limit` or the columns is zero.
template <int ROWS, int COLUMNS, int PADDED, int PITCH, int VEC, int THREADS, class T>
DEVICE void load_rows(T* to, const T* from, int stride, int first, int limit) {
  constexpr int ACROSS = PADDED / VEC, ALL = ROWS * ACROSS, BYTES = VEC * int(sizeof(T));
  UNROLL
  for (int i = 0; i < (ALL + THREADS - 1) / THREADS; ++i) {
    const int at = i * THREADS + int(threadIdx.x), r = at / ACROSS, c = at % ACROSS * VEC;
    if (ALL % THREADS != 0 && at >= ALL) break;
    const bool live = first + r < limit && c < COLUMNS;
    const T* const source = from + (live ? (first + r) * stride + c : 0);
    if constexpr (BYTES >= 4)
      copy_async<BYTES>(to + r * PITCH + c, source, live);
    else
      to[r * PITCH + c] = live ? *source : T(0);
  }
}
)";

int row_vector(const AttentionProblem& p, const HeadRows& r, int columns) {
  int vec = 128 / bits(p.type);
  for (const Dim& d : {Dim(columns), r.batch, r.head, r.row, r.offset}) vec = power_of_two_in(d, vec);
  return vec;
}

int last_columns(const AttentionProblem& p, const AttentionTile& t, int multiple) {
  const Dim keys = p.mask >= 0 ? min(p.mask_len, p.kv_len) : p.kv_len;
  if (!keys.is_const() || p.ranged() || p.valid >= 0) return t.bn;
  const int64_t rest = keys.constant() % t.bn;
  return rest ? int((rest + multiple - 1) / multiple * multiple) : t.bn;
}

static std::string row_address(KernelWriter& k, const std::string& base, const HeadRows& r, const char* head) {
  std::string at;
  const auto add = [&](const std::string& index, const Dim& stride) {
    if (!stride.is(0)) at += cat(" + ", index, index.empty() ? "" : " * ", unsigned_size(k, stride));
  };
  add("b", r.batch), add(head, r.head), add("", r.offset);
  return cat(base, at);
}

// Whether masks of keys 2 i and 2 i + 1 lie in one aligned piece: true, false, or what the run tells.
static std::string masks_in_pairs(KernelWriter& k, const AttentionProblem& p) {
  if (!p.mask_strides[3].is(1)) return "false";
  std::string odd;
  for (const Dim& d : {p.mask_strides[0], p.mask_strides[1], p.mask_strides[2], p.mask_len}) {
    if (d.is_const() && d.constant() % 2) return "false";
    if (!d.is_const()) odd += cat(odd.empty() ? "" : " | ", k.size(d));
  }
  return odd.empty() ? "true" : cat("((", odd, ") & 1) == 0");
}

// score(s, mask) where the product is more than scaled, and `masks`, where they are.
static std::string score_function(KernelWriter& k, const AttentionProblem& p) {
  if (p.plain()) return "const auto score = [](float s) -> float { return s; };\n";
  std::string body = cat("float t = s * ", float_literal(p.scale), ";\n");
  if (p.softcap > 0) body += cat("t = ", float_literal(p.softcap), " * tanhf(t * ", float_literal(1 / p.softcap), ");\n");
  if (p.mask < 0) return cat("const auto score = [](float s) -> float {\n", body, "return t;\n};\n");
  const std::string type = device_type(p.mask_type);
  std::string base = k.input(p.mask, cat("const ", type, "*"));
  if (!p.mask_strides[0].is(0)) base += cat(" + b * ", unsigned_size(k, p.mask_strides[0]));
  if (!p.mask_strides[1].is(0)) base += cat(" + h * ", unsigned_size(k, p.mask_strides[1]));
  const std::string at = offset_of(k, {"unsigned(row)", "unsigned(key)"}, {p.mask_strides[2], p.mask_strides[3]});
  if (p.mask_type == DType::boolean)
    body += "return mask ? t : -INFINITE;\n";
  else
    body += cat("const float m = ", loaded(p.mask_type, "float", "mask"), ";\nreturn m == -INFINITE ? m : t + m;\n");
  const std::string pairs = masks_in_pairs(k, p);
  return cat("const auto* const masks = ", base, ";\nconst auto mask_of = [=](int row, int key) { return masks + ", at, "; };\n",
             starts_with(pairs, "((") ? "const" : "constexpr", " bool in_pairs = ", pairs, ";\n",
             // The second key may be one too many.
             "const auto masks_of = [=](int row, int key, int limit) -> Vec<", type, ", 2> {\n",
             "if (in_pairs) return load_vec<2>(mask_of(row, key < limit ? key : 0));\n",
             "return {{*mask_of(row, min(key, limit - 1)), *mask_of(row, min(key + 1, limit - 1))}};\n};\n",
             "const auto score = [](float s, ", type, " mask) -> float {\n", body, "};\n");
}

std::string attention_frame(KernelWriter& k, const AttentionProblem& p, const AttentionTile& t, const std::string& element) {
  const std::string q = k.input(p.q.index, cat("const ", element, "*")), key = k.input(p.k.index, cat("const ", element, "*")),
                    v = k.input(p.v.index, cat("const ", element, "*")), y = k.output(p.y.index, element + "*");
  const Dim keys = p.mask >= 0 ? min(p.mask_len, p.kv_len) : p.kv_len;
  Holes h{{"BM", cat(t.bm)}, {"BN", cat(t.bn)}, {"THREADS", cat(t.threads)}, {"E", element},
          {"QUERIES", k.size(p.q_len)}, {"KEYS", k.size(keys)}, {"HEADS", unsigned_size(k, p.heads)},
          {"GROUP", unsigned_size(k, p.group)},
          {"QROW", k.size(p.q.row)}, {"KROW", k.size(p.k.row)}, {"VROW", k.size(p.v.row)}, {"YROW", k.size(p.y.row)}};
  h["Q"] = row_address(k, q, p.q, "h");
  h["K"] = row_address(k, key, p.k, "kv_h");
  h["V"] = row_address(k, v, p.v, "kv_h");
  h["Y"] = row_address(k, y, p.y, "h");
  // Later rows see more keys: the blocks that have most to do come first.
  h["ORDER"] = p.causal ? "tiles - 1 - blockIdx.x % tiles" : "blockIdx.x % tiles";
  std::string text = fill(R"(constexpr int BM = $BM, BN = $BN, THREADS = $THREADS;
constexpr float LOG2E = 1.44269504f;
const int QUERIES = $QUERIES, Q_ROW = $QROW, K_ROW = $KROW, V_ROW = $VROW, Y_ROW = $YROW;
const unsigned tiles = unsigned(QUERIES + BM - 1) / BM, rest = blockIdx.x / tiles;
const int row0 = int($ORDER) * BM;
const unsigned h = rest % $HEADS, b = rest / $HEADS, kv_h = h / $GROUP;
const $E *const q = $Q, *const k = $K, *const v = $V;
$E* const y = $Y;
)", h);
  if (p.valid >= 0) {
    text += fill("const int valid = int(min(max($IN[b], 0ll), (long long)$ALL)), keys = min(valid, $KEYS), shift = valid - QUERIES;\n",
                 {{"IN", k.input(p.valid, "const long long*")}, {"ALL", k.size(p.kv_len)}, {"KEYS", h["KEYS"]}});
  } else {
    text += fill("const int keys = $KEYS;\n", h);
    if (p.ranged()) text += "constexpr int shift = 0;\n";
  }
  if (p.ranged()) {
    // Row i sees the keys [row_begin(i), row_end(i)).
    const int64_t right = p.causal ? 0 : p.right;
    text += right >= 0 ? cat("const auto row_end = [=](int i) { return int(min((long long)keys, i + (long long)shift + ", right + 1, ")); };\n")
                       : "const auto row_end = [=](int) { return keys; };\n";
    text += p.left >= 0 ? cat("const auto row_begin = [=](int i) { return int(max(0ll, i + (long long)shift - ", p.left, ")); };\n")
                        : "const auto row_begin = [](int) { return 0; };\n";
    text += cat(R"(const int last_row = min(row0 + BM, QUERIES) - 1;
const int tile_begin = row_begin(row0) / BN, tile_end = max(tile_begin, (row_end(last_row) + BN - 1) / BN);
)", p.left >= 0 ? "const int tile_whole = tile_begin;\n" : "const int tile_whole = max(0, row_end(row0)) / BN;\n",
"const auto sees = [=](int row, int key) { return key >= row_begin(row) && key < row_end(row); };\n");
  } else {
    text += R"(constexpr int tile_begin = 0;
const int tile_end = (keys + BN - 1) / BN, tile_whole = keys / BN;
const auto sees = [=](int, int key) { return key < keys; };
)";
  }
  return text + score_function(k, p);
}

std::string softmax_step(const AttentionProblem& p, Holes holes) {
  holes["C"] = float_literal(p.scale * 1.4426950408889634);
  // A mask may hold the largest numbers there are: only differences are scaled then.
  holes["FADE"] = p.plain() ? "fused_multiply_add($TOP, $C, -shift)" : "($TOP - base) * LOG2E";
  holes["POWER"] = p.plain() ? "fused_multiply_add(x, $C, -shift)" : "(x - base) * LOG2E";
  for (const char* name : {"FADE", "POWER"}) holes[name] = fill(holes[name], holes);
  holes["SHIFT"] = p.plain() ? cat("const float shift = base * ", holes["C"], ";\n") : "";
  return fill(R"(float high = $TOP;
UNROLL
for (int j = 0; j < $COUNT; ++j) high = fmaxf(high, $SCORE);
UNROLL
for (int lanes = $REDUCE / 2; lanes > 0; lanes /= 2) high = fmaxf(high, shuffle_xor(high, lanes));
const float base = high == -INFINITE ? 0.f : high;  // no key yet: all exponentials are 0
$SHIFT
const float fade = fast_exp2($FADE);
$TOP = high;
float part = 0;
UNROLL
for (int j = 0; j < $COUNT; ++j) {
  float& x = $SCORE;
  x = fast_exp2($POWER);
  part += x;
}
$SUM = $SUM * fade + part;
)", holes);
}

KernelLaunch attention_launch(KernelWriter& k, const AttentionProblem& p, const AttentionTile& t, int64_t shared) {
  return k.launch({blocks_for(p.q_len, t.bm) * p.heads * p.batch}, {t.threads}, shared);
}

}  // namespace tenon::cuda
