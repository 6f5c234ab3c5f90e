#include "backend/cuda/build/families/gemm_load.h"

#include <functional>

namespace tenon::cuda {

namespace {

// The pieces of text that depend on how the operand is addressed, for operands whose rows run along k.
struct Addressing {
  std::string declare;  // arrays of the rows that a thread loads
  std::string row;      // fills in element i of them: `row` is the row, `valid` whether there is one
  std::string at_k;     // what depends on k alone; defines k_ok
  std::string at;       // what depends on k and on row i; defines ok and the offset `from`
};

Addressing matrix_addressing(KernelWriter& k, const LoadSide& s) {
  const Holes holes{{"X", s.x}, {"LD", k.size(s.matrix.ld)}, {"LIMIT", k.size(s.matrix.k_limit)}};
  return {fill("Index $X_at[ROWS_$X];\nunsigned $X_ok = 0;\n", holes),
          fill("$X_at[i] = $X_batch + (Index)(valid ? row : 0) * $LD;\n$X_ok |= unsigned(valid) << i;\n", holes),
          fill("const bool k_ok = k < $LIMIT;\n", holes),
          fill("const bool ok = k_ok && ($X_ok >> i & 1);\nconst Index from = $X_at[i] + k;\n", holes)};
}

Addressing pixel_addressing(KernelWriter& k, const LoadSide& s) {
  const Pixels& p = s.matrix.image;
  const size_t rank = p.in.size();
  const std::string& x = s.x;
  Addressing a = {cat("Index ", x, "_at[ROWS_", x, "];\nunsigned ", x, "_ok = 0;\n"), "", "", ""};
  // Rows: image and position of the window.
  a.row = "int rest = valid ? row : 0;\n";
  std::string base = cat(x, "_batch + (Index)rest * ", k.size(p.image_stride));
  for (size_t d = rank; d-- > 0;) {
    a.declare += cat("int ", x, "_y", d, "[ROWS_", x, "];\n");
    const std::string size = k.size(p.out[d]), pad = k.size(p.pad[d]), y = cat(x, "_y", d, "[i]");
    a.row += cat(y, " = rest % ", size, " * ", p.transposed ? 1 : p.stride[d], p.transposed ? " + " : " - ", pad, ";\nrest /= ", size, ";\n");
    if (!p.transposed) base += cat(" + (Index)", y, " * ", k.size(p.strides[d]));
  }
  a.row += cat(x, "_at[i] = ", base, ";\n", x, "_ok |= unsigned(valid) << i;\n");
  // k: tap and channel.
  const std::string channels = k.size(p.channels);
  if (p.channel_major) a.at_k = cat("const int channel = k / ", p.taps(), ", tap = k % ", p.taps(), ";\n");
  else a.at_k = cat("const int tap = k / ", channels, ", channel = k - tap * ", channels, ";\n");
  std::string shift = cat("(Index)channel * ", k.size(p.channel_stride)), rest = "tap";
  for (size_t d = rank; d-- > 0;) {
    const std::string tap = d == 0 ? rest : cat("(", rest, ") % ", p.kernel[d]);
    a.at_k += cat("const int shift", d, " = (", tap, ") * ", p.dilation[d], ";\n");
    rest = cat("(", rest, ") / ", p.kernel[d]);
    if (!p.transposed) shift += cat(" + (Index)shift", d, " * ", k.size(p.strides[d]));
  }
  a.at_k += cat("const Index shift = ", shift, ";\nconst bool k_ok = k < ", k.size(s.matrix.k_limit), ";\n");
  std::string ok = cat("k_ok && (", x, "_ok >> i & 1)"), from = cat(x, "_at[i] + shift");
  for (size_t d = 0; d < rank; ++d) {
    const std::string y = cat("y", d), in = cat("(unsigned)", k.size(p.in[d]));
    a.at += cat("const int ", y, " = ", x, "_y", d, p.transposed ? "[i] - shift" : "[i] + shift", d, ";\n");
    if (!p.transposed) {
      ok += cat(" && (unsigned)", y, " < ", in);
      continue;
    }
    // The window's position that puts this tap here, if there is one.
    a.at += cat("const int z", d, " = ", y, " / ", p.stride[d], ";\n");
    ok += cat(" && ", y, " >= 0 && z", d, " * ", p.stride[d], " == ", y, " && (unsigned)z", d, " < ", in);
    from += cat(" + (Index)z", d, " * ", k.size(p.strides[d]));
  }
  a.at += cat("const bool ok = ", ok, ";\nconst Index from = ", from, ";\n");
  return a;
}

Addressing addressing(KernelWriter& k, const LoadSide& s) {
  return s.matrix.form == Matrix::pixels ? pixel_addressing(k, s) : matrix_addressing(k, s);
}

// The run-time answer to whether rows of k may be moved in whole chunks.
std::string even_test(KernelWriter& k, const LoadSide& s, const std::string& chunk) {
  std::string test = cat("const bool ", s.x, "_even = ", k.size(s.matrix.ld), " % ", chunk, " == 0");
  if (s.matrix.form == Matrix::columns) test += cat(" && ", s.limit, " % ", chunk, " == 0");
  else test += cat(" && ", k.size(s.matrix.k_limit), " % ", chunk, " == 0");
  for (const Dim& d : s.matrix.batch_strides)
    if (!d.is(0)) test += cat(" && ", k.size(d), " % ", chunk, " == 0");
  return test + ";\n";
}

}  // namespace

// ---- tensor cores: cp.async --------------------------------------------------------------------------------------

namespace {

// Rows along k: a thread loads chunk `x_chunk` of every STEP-th row.
std::string row_setup(const LoadSide& s, const Addressing& a, Holes holes) {
  holes.insert({{"DECLARE", a.declare}, {"ROW", a.row}, {"FIRST", s.first}, {"LIMIT", s.limit}});
  return fill(R"(constexpr int STEP_$X = THREADS / CHUNKS_$X, ROWS_$X = ($TILE + STEP_$X - 1) / STEP_$X;
const int $X_chunk = tid % CHUNKS_$X, $X_row = tid / CHUNKS_$X;
$DECLARE UNROLL
for (int i = 0; i < ROWS_$X; ++i) {
const int row = $FIRST + $X_row + i * STEP_$X;
const bool valid = $X_row + i * STEP_$X < $TILE && row < $LIMIT;
$ROW}
)", holes);
}

// Copies `run` elements at once; "1" goes through registers, as cp.async moves 4 bytes at least.
std::string copy_rows(const Addressing& a, const std::string& run, Holes holes) {
  holes.insert({{"ATK", a.at_k}, {"AT", a.at}, {"RUN", run}});
  if (run != "1")
    return fill(R"(UNROLL
for (int v = 0; v < E; v += $RUN) {
const int k = block * BK + $X_chunk * E + v;
$ATK UNROLL
for (int i = 0; i < ROWS_$X; ++i) {
const int r = $X_row + i * STEP_$X;
if ($TILE % STEP_$X != 0 && r >= $TILE) continue;
$AT copy_async<$RUN * SIZE>(to + (r * CHUNKS_$X + swizzle<CHUNKS_$X>(r, $X_chunk)) * 16 + v * SIZE, $P + from, ok);
}
}
)", holes);
  return fill(R"(Vec<T, E> x[ROWS_$X];
UNROLL
for (int v = 0; v < E; ++v) {
const int k = block * BK + $X_chunk * E + v;
$ATK UNROLL
for (int i = 0; i < ROWS_$X; ++i) {
$AT x[i].v[v] = T{};
if (ok) x[i].v[v] = $P[from];
}
}
UNROLL
for (int i = 0; i < ROWS_$X; ++i) {
const int r = $X_row + i * STEP_$X;
if ($TILE % STEP_$X != 0 && r >= $TILE) continue;
*reinterpret_cast<Vec<T, E>*>(to + (r * CHUNKS_$X + swizzle<CHUNKS_$X>(r, $X_chunk)) * 16) = x[i];
}
)", holes);
}

// Rows along m (or n): the tile keeps them that way.
std::string copy_columns(const std::string& run, Holes holes) {
  holes["RUN"] = run;
  return fill(run != "1" ? R"(UNROLL
for (int i = 0; i < ROWS_$X; ++i) {
const int r = $X_row + i * STEP_$X, k = block * BK + r;
if (BK % STEP_$X != 0 && r >= BK) continue;
UNROLL
for (int v = 0; v < E; v += $RUN)
copy_async<$RUN * SIZE>(to + (r * CHUNKS_$X + swizzle<CHUNKS_$X>(r, $X_chunk)) * 16 + v * SIZE, $P + $X_batch + (Index)k * $LD + $X_first + v, k < $KLIMIT && $X_first + v < $LIMIT);
}
)"
                         : R"(UNROLL
for (int i = 0; i < ROWS_$X; ++i) {
const int r = $X_row + i * STEP_$X, k = block * BK + r;
if (BK % STEP_$X != 0 && r >= BK) continue;
Vec<T, E> x;
UNROLL
for (int v = 0; v < E; ++v) {
x.v[v] = T{};
if (k < $KLIMIT && $X_first + v < $LIMIT) x.v[v] = $P[$X_batch + (Index)k * $LD + $X_first + v];
}
*reinterpret_cast<Vec<T, E>*>(to + (r * CHUNKS_$X + swizzle<CHUNKS_$X>(r, $X_chunk)) * 16) = x;
}
)", holes);
}

}  // namespace

std::string async_loader(KernelWriter& k, const LoadSide& s) {
  Holes holes{{"X", s.x}, {"P", s.pointer}, {"TILE", cat(s.rows)}};
  std::string setup;
  std::function<std::string(const std::string&)> copies;
  if (s.matrix.form == Matrix::columns) {
    holes.insert({{"LD", k.size(s.matrix.ld)}, {"KLIMIT", k.size(s.matrix.k_limit)}, {"LIMIT", s.limit}, {"FIRST", s.first}});
    setup = fill(R"(constexpr int CHUNKS_$X = $TILE / E, STEP_$X = THREADS / CHUNKS_$X, ROWS_$X = (BK + STEP_$X - 1) / STEP_$X;
const int $X_chunk = tid % CHUNKS_$X, $X_row = tid / CHUNKS_$X, $X_first = $FIRST + $X_chunk * E;
)", holes);
    copies = [holes](const std::string& run) { return copy_columns(run, holes); };
  } else {
    const Addressing a = addressing(k, s);
    setup = fill("constexpr int CHUNKS_$X = BK / E;\n", holes) + row_setup(s, a, holes);
    copies = [a, holes](const std::string& run) { return copy_rows(a, run, holes); };
  }
  std::string text;
  if (s.run == 0) {
    setup += even_test(k, s, "E");
    text = fill("if ($X_even) {\n", holes) + copies("E") + "} else {\n" + copies("1") + "}\n";
  } else {
    text = copies(cat(s.run));
  }
  return setup + fill("const auto load_$X = [&](unsigned char* to, int block) {\n", holes) + text + "};\n";
}

// ---- CUDA cores: through registers -------------------------------------------------------------------------------

std::string register_loader(KernelWriter& k, const LoadSide& s) {
  Holes holes{{"X", s.x}, {"P", s.pointer}, {"TILE", cat(s.rows)}, {"RUN", cat(std::max(s.run, 1))}, {"FIRST", s.first}, {"LIMIT", s.limit}};
  if (s.matrix.form == Matrix::columns) {
    holes.insert({{"LD", k.size(s.matrix.ld)}, {"KLIMIT", k.size(s.matrix.k_limit)}});
    return fill(R"(constexpr int CHUNKS_$X = $TILE / $RUN, STEP_$X = THREADS / CHUNKS_$X, ROWS_$X = (BK + STEP_$X - 1) / STEP_$X;
const int $X_chunk = tid % CHUNKS_$X, $X_row = tid / CHUNKS_$X, $X_first = $FIRST + $X_chunk * $RUN;
Vec<T, $RUN> $X_next[ROWS_$X];
const auto fetch_$X = [&](int block) {
UNROLL
for (int i = 0; i < ROWS_$X; ++i) {
const int r = $X_row + i * STEP_$X, k = block * BK + r;
const bool ok = (BK % STEP_$X == 0 || r < BK) && k < $KLIMIT && $X_first < $LIMIT;
$X_next[i] = Vec<T, $RUN>{};
if (ok) $X_next[i] = load_vec<$RUN>($P + $X_batch + (Index)k * $LD + $X_first);
}
};
const auto put_$X = [&](T* to) {
UNROLL
for (int i = 0; i < ROWS_$X; ++i) {
const int r = $X_row + i * STEP_$X;
if (BK % STEP_$X != 0 && r >= BK) continue;
store_vec<$RUN>(to + r * ($TILE + 4) + $X_chunk * $RUN, $X_next[i]);
}
};
)", holes);
  }
  const Addressing a = addressing(k, s);
  holes.insert({{"ATK", a.at_k}, {"AT", a.at}});
  return fill("constexpr int CHUNKS_$X = BK / $RUN;\n", holes) + row_setup(s, a, holes) + fill(R"(Vec<T, $RUN> $X_next[ROWS_$X];
const auto fetch_$X = [&](int block) {
const int k = block * BK + $X_chunk * $RUN;
$ATK UNROLL
for (int i = 0; i < ROWS_$X; ++i) {
$AT $X_next[i] = Vec<T, $RUN>{};
if (ok) $X_next[i] = load_vec<$RUN>($P + from);
}
};
const auto put_$X = [&](T* to) {
UNROLL
for (int i = 0; i < ROWS_$X; ++i) {
const int r = $X_row + i * STEP_$X;
if ($TILE % STEP_$X != 0 && r >= $TILE) continue;
UNROLL
for (int v = 0; v < $RUN; ++v) to[($X_chunk * $RUN + v) * ($TILE + 4) + r] = $X_next[i].v[v];
}
};
)", holes);
}

}  // namespace tenon::cuda
