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
  const Names holes{{"x", s.x}, {"ld", k.size(s.matrix.ld)}, {"limit", k.size(s.matrix.k_limit)}};
  return {expand("Index $x_at[ROWS_$x];\nunsigned $x_ok = 0;\n", holes),
          expand("$x_at[i] = $x_batch + (Index)(valid ? row : 0) * $ld;\n$x_ok |= unsigned(valid) << i;\n", holes),
          expand("const bool k_ok = k < $limit;\n", holes),
          expand("const bool ok = k_ok && ($x_ok >> i & 1);\nconst Index from = $x_at[i] + k;\n", holes)};
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
std::string row_setup(const LoadSide& s, const Addressing& a, Names holes) {
  holes.insert({{"declare", a.declare}, {"row", a.row}, {"first", s.first}, {"limit", s.limit}});
  return expand(R"(constexpr int STEP_$x = THREADS / CHUNKS_$x, ROWS_$x = ($TILE + STEP_$x - 1) / STEP_$x;
const int $x_chunk = tid % CHUNKS_$x, $x_row = tid / CHUNKS_$x;
$declare UNROLL
for (int i = 0; i < ROWS_$x; ++i) {
const int row = $first + $x_row + i * STEP_$x;
const bool valid = $x_row + i * STEP_$x < $TILE && row < $limit;
$row}
)", holes);
}

// Copies `run` elements at once; "1" goes through registers, as cp.async moves 4 bytes at least.
std::string copy_rows(const Addressing& a, const std::string& run, Names holes) {
  holes.insert({{"atk", a.at_k}, {"at", a.at}, {"run", run}});
  if (run != "1")
    return expand(R"(UNROLL
for (int v = 0; v < E; v += $run) {
const int k = block * BK + $x_chunk * E + v;
$atk UNROLL
for (int i = 0; i < ROWS_$x; ++i) {
const int r = $x_row + i * STEP_$x;
if ($TILE % STEP_$x != 0 && r >= $TILE) continue;
$at copy_async<$run * SIZE>(to + (r * CHUNKS_$x + swizzle<CHUNKS_$x>(r, $x_chunk)) * 16 + v * SIZE, $p + from, ok);
}
}
)", holes);
  return expand(R"(Vec<T, E> x[ROWS_$x];
UNROLL
for (int v = 0; v < E; ++v) {
const int k = block * BK + $x_chunk * E + v;
$atk UNROLL
for (int i = 0; i < ROWS_$x; ++i) {
$at x[i].v[v] = T{};
if (ok) x[i].v[v] = $p[from];
}
}
UNROLL
for (int i = 0; i < ROWS_$x; ++i) {
const int r = $x_row + i * STEP_$x;
if ($TILE % STEP_$x != 0 && r >= $TILE) continue;
*reinterpret_cast<Vec<T, E>*>(to + (r * CHUNKS_$x + swizzle<CHUNKS_$x>(r, $x_chunk)) * 16) = x[i];
}
)", holes);
}

// Rows along m (or n): the tile keeps them that way.
std::string copy_columns(const std::string& run, Names holes) {
  holes["run"] = run;
  return expand(run != "1" ? R"(UNROLL
for (int i = 0; i < ROWS_$x; ++i) {
const int r = $x_row + i * STEP_$x, k = block * BK + r;
if (BK % STEP_$x != 0 && r >= BK) continue;
UNROLL
for (int v = 0; v < E; v += $run)
copy_async<$run * SIZE>(to + (r * CHUNKS_$x + swizzle<CHUNKS_$x>(r, $x_chunk)) * 16 + v * SIZE, $p + $x_batch + (Index)k * $ld + $x_first + v, k < $klimit && $x_first + v < $limit);
}
)"
                         : R"(UNROLL
for (int i = 0; i < ROWS_$x; ++i) {
const int r = $x_row + i * STEP_$x, k = block * BK + r;
if (BK % STEP_$x != 0 && r >= BK) continue;
Vec<T, E> x;
UNROLL
for (int v = 0; v < E; ++v) {
x.v[v] = T{};
if (k < $klimit && $x_first + v < $limit) x.v[v] = $p[$x_batch + (Index)k * $ld + $x_first + v];
}
*reinterpret_cast<Vec<T, E>*>(to + (r * CHUNKS_$x + swizzle<CHUNKS_$x>(r, $x_chunk)) * 16) = x;
}
)", holes);
}

}  // namespace

std::string async_loader(KernelWriter& k, const LoadSide& s) {
  Names holes{{"x", s.x}, {"p", s.pointer}, {"TILE", cat(s.rows)}};
  std::string setup;
  std::function<std::string(const std::string&)> copies;
  if (s.matrix.form == Matrix::columns) {
    holes.insert({{"ld", k.size(s.matrix.ld)}, {"klimit", k.size(s.matrix.k_limit)}, {"limit", s.limit}, {"first", s.first}});
    setup = expand(R"(constexpr int CHUNKS_$x = $TILE / E, STEP_$x = THREADS / CHUNKS_$x, ROWS_$x = (BK + STEP_$x - 1) / STEP_$x;
const int $x_chunk = tid % CHUNKS_$x, $x_row = tid / CHUNKS_$x, $x_first = $first + $x_chunk * E;
)", holes);
    copies = [holes](const std::string& run) { return copy_columns(run, holes); };
  } else {
    const Addressing a = addressing(k, s);
    setup = expand("constexpr int CHUNKS_$x = BK / E;\n", holes) + row_setup(s, a, holes);
    copies = [a, holes](const std::string& run) { return copy_rows(a, run, holes); };
  }
  std::string text;
  if (s.run == 0) {
    setup += even_test(k, s, "E");
    text = expand("if ($x_even) {\n", holes) + copies("E") + "} else {\n" + copies("1") + "}\n";
  } else {
    text = copies(cat(s.run));
  }
  return setup + expand("const auto load_$x = [&](unsigned char* to, int block) {\n", holes) + text + "};\n";
}

// ---- CUDA cores: through registers -------------------------------------------------------------------------------

std::string register_loader(KernelWriter& k, const LoadSide& s) {
  Names holes{{"x", s.x}, {"p", s.pointer}, {"TILE", cat(s.rows)}, {"run", cat(std::max(s.run, 1))}, {"first", s.first}, {"limit", s.limit}};
  if (s.matrix.form == Matrix::columns) {
    holes.insert({{"ld", k.size(s.matrix.ld)}, {"klimit", k.size(s.matrix.k_limit)}});
    return expand(R"(constexpr int CHUNKS_$x = $TILE / $run, STEP_$x = THREADS / CHUNKS_$x, ROWS_$x = (BK + STEP_$x - 1) / STEP_$x;
const int $x_chunk = tid % CHUNKS_$x, $x_row = tid / CHUNKS_$x, $x_first = $first + $x_chunk * $run;
Vec<T, $run> $x_next[ROWS_$x];
const auto fetch_$x = [&](int block) {
UNROLL
for (int i = 0; i < ROWS_$x; ++i) {
const int r = $x_row + i * STEP_$x, k = block * BK + r;
const bool ok = (BK % STEP_$x == 0 || r < BK) && k < $klimit && $x_first < $limit;
$x_next[i] = Vec<T, $run>{};
if (ok) $x_next[i] = load_vec<$run>($p + $x_batch + (Index)k * $ld + $x_first);
}
};
const auto put_$x = [&](T* to) {
UNROLL
for (int i = 0; i < ROWS_$x; ++i) {
const int r = $x_row + i * STEP_$x;
if (BK % STEP_$x != 0 && r >= BK) continue;
store_vec<$run>(to + r * ($TILE + 4) + $x_chunk * $run, $x_next[i]);
}
};
)", holes);
  }
  const Addressing a = addressing(k, s);
  holes.insert({{"atk", a.at_k}, {"at", a.at}});
  return expand("constexpr int CHUNKS_$x = BK / $run;\n", holes) + row_setup(s, a, holes) + expand(R"(Vec<T, $run> $x_next[ROWS_$x];
const auto fetch_$x = [&](int block) {
const int k = block * BK + $x_chunk * $run;
$atk UNROLL
for (int i = 0; i < ROWS_$x; ++i) {
$at $x_next[i] = Vec<T, $run>{};
if (ok) $x_next[i] = load_vec<$run>($p + from);
}
};
const auto put_$x = [&](T* to) {
UNROLL
for (int i = 0; i < ROWS_$x; ++i) {
const int r = $x_row + i * STEP_$x;
if ($TILE % STEP_$x != 0 && r >= $TILE) continue;
UNROLL
for (int v = 0; v < $run; ++v) to[($x_chunk * $run + v) * ($TILE + 4) + r] = $x_next[i].v[v];
}
};
)", holes);
}

}  // namespace tenon::cuda
