// Depthwise convolution of channels-last tensors on the CUDA cores: a thread has V neighbouring channels and ACROSS
// neighbouring outputs of a row, so that what it loads of a row serves several windows.
#include "backend/cuda/build/families/common.h"
#include "backend/cuda/build/families/conv_plan.h"
#include "backend/cuda/build/families/names.h"

namespace tenon::cuda {

bool is_depthwise(const ConvPlan& p) {
  return p.last && !p.transposed && p.constant_weights && p.groups > 1 && p.in_channels == 1;
}

// [tap][channel of the output].
Result<Tensor> pack_depthwise(const ConvPlan& p, const Tensor& weights) {
  const int64_t channels = p.groups * p.out_channels, taps = p.taps();
  Tensor packed = TRY(Tensor::allocate(weights.dtype(), {taps, channels}));
  const int64_t bytes = bits(weights.dtype()) / 8;
  const char* from = static_cast<const char*>(weights.data());
  char* to = static_cast<char*>(packed.data());
  for (int64_t tap = 0; tap < taps; ++tap)
    for (int64_t c = 0; c < channels; ++c) std::copy_n(from + (c * taps + tap) * bytes, bytes, to + (tap * channels + c) * bytes);
  return packed;
}

Status write_depthwise(const ConvPlan& p, Program& out) {
  const int64_t in_channels = p.groups, channels = p.groups * p.out_channels;
  const size_t rank = p.in.size(), x = rank - 1;  // x: the dimension of a row
  // Each output channel of several has the same input: those are taken one by one.
  const int vec = p.out_channels == 1 ? power_of_two_in(Dim(channels), 128 / bits(p.type)) : 1;
  const int64_t kernel = p.kernel[x], stride = p.stride[x], dilation = p.dilation[x];
  const int across = p.out[x].is_const() ? int(std::min<int64_t>(4, std::max<int64_t>(p.out[x].constant(), 1))) : 4;
  const std::string type = device_type(p.type), sum = compute_type(p.type);

  KernelWriter k("depthwise", 128);
  const std::string from = k.input(p.x, cat("const ", type, "*")), w = k.data(0, cat("const ", type, "*")), to = k.output(0, device_type(p.epilogue.out) + "*");
  const Dim chunks = Dim(channels / vec), rows = ceil_div(p.out[x], across);
  Dim items = p.batch * chunks * rows;
  for (size_t d = 0; d < x; ++d) items = items * p.out[d];
  TRY(index_with_32_bits(out.recipe, {{p.batch * product(p.in) * Dim(in_channels)}, {p.batch * product(p.out) * Dim(channels)}, {items}}));

  std::string s = expand(R"(using T = $T;
using Acc = $Acc;
constexpr int V = $vec, ACROSS = $across, KERNEL = $kernel, STRIDE = $stride, DILATION = $dilation;
constexpr int SPAN = (ACROSS - 1) * STRIDE + (KERNEL - 1) * DILATION + 1;
PDL_WAIT;
PDL_LAUNCH;
const int item = blockIdx.x * 128 + threadIdx.x;
if (item >= $items) return;
const int channel = item % $chunks * V, line = item / $chunks, x0 = line % $rows * ACROSS;
int rest = line / $rows;
)", {{"T", type}, {"Acc", sum}, {"vec", cat(vec)}, {"across", cat(across)}, {"kernel", cat(kernel)}, {"stride", cat(stride)},
     {"dilation", cat(dilation)}, {"items", k.size(items)}, {"chunks", k.size(chunks)}, {"rows", k.size(rows)}});
  for (size_t d = x; d-- > 0;) {
    const std::string size = k.size(p.out[d]);
    s += cat("const int o", d, " = rest % ", size, ";\nrest /= ", size, ";\n");
  }
  s += expand(R"(const int image = rest;
Acc sums[ACROSS][V] = {};
const int start = x0 * STRIDE - $pad, width = $width;
)", {{"pad", k.size(p.pad[x])}, {"width", k.size(p.in[x])}});
  // Loops over the other dimensions of the window, then along a row.
  std::string line = "image", tap = "0", close;
  for (size_t d = 0; d < x; ++d) {
    s += expand(R"($unroll
for (int t$d = 0; t$d < $kernel; ++t$d) {
const int y$d = o$d * $stride - $pad + t$d * $dilation;
if ((unsigned)y$d >= (unsigned)$size) continue;
)", {{"d", cat(d)}, {"unroll", p.taps() <= 49 ? "UNROLL" : "#pragma unroll 1"}, {"kernel", cat(p.kernel[d])}, {"stride", cat(p.stride[d])}, {"pad", k.size(p.pad[d])}, {"dilation", cat(p.dilation[d])}, {"size", k.size(p.in[d])}});
    line = cat("(", line, " * ", k.size(p.in[d]), " + y", d, ")");
    tap = cat("(", tap, " * ", p.kernel[d], " + t", d, ")");
    close += "}\n";
  }
  const bool narrow_type = bits(p.type) < 32;
  s += expand(R"(const T* const row = $from + ($line * width + start) * $inchannels + $inchannel;
const T* const weights = $w + $tap * KERNEL * $channels + channel;
Vec<T, V> factors[KERNEL];
UNROLL
for (int t = 0; t < KERNEL; ++t) factors[t] = load_vec<V>(weights + t * $channels);
UNROLL
for (int i = 0; i < SPAN; ++i) {
// Which windows read this pixel is known here; those between the taps read none.
bool used = false;
UNROLL
for (int o = 0; o < ACROSS; ++o) used = used || (i >= o * STRIDE && (i - o * STRIDE) % DILATION == 0 && (i - o * STRIDE) / DILATION < KERNEL);
if (!used || (unsigned)(start + i) >= (unsigned)width) continue;
const Vec<T, V> pixel = load_vec<V>(row + i * $inchannels);
UNROLL
for (int o = 0; o < ACROSS; ++o) {
const int t = (i - o * STRIDE) / DILATION;
if (i < o * STRIDE || (i - o * STRIDE) % DILATION != 0 || t >= KERNEL) continue;
UNROLL
for (int j = 0; j < V; ++j) sums[o][j] += $value * $factor;
}
}
)", {{"from", from}, {"line", line}, {"inchannels", cat(in_channels)}, {"channels", cat(channels)},
     {"inchannel", p.out_channels == 1 ? "channel" : cat("channel / ", p.out_channels)}, {"w", w}, {"tap", tap},
     {"value", narrow_type ? "to_float(pixel.v[j])" : "pixel.v[j]"}, {"factor", narrow_type ? "to_float(factors[t].v[j])" : "factors[t].v[j]"}});
  s += close;
  std::string out_line = "image";
  for (size_t d = 0; d < x; ++d) out_line = cat("(", out_line, " * ", k.size(p.out[d]), " + o", d, ")");
  s += expand(R"(UNROLL
for (int o = 0; o < ACROSS; ++o) {
if (x0 + o >= $width) continue;
const int position = $line * $width + x0 + o;
const int at = position * $channels + channel;
)", {{"width", k.size(p.out[x])}, {"line", out_line}, {"channels", cat(channels)}});
  const int run = std::min(vec, 128 / bits(p.epilogue.out));
  if (run != vec) return unsupported("a depthwise convolution of ", name(p.type), " gives ", name(p.epilogue.out));
  s += TRY(epilogue_text(k, p.epilogue, {"sums[o]", "position", "channel", "at", "int", vec}, to));
  k.body = s + "}\n";
  out.source += k.text();
  out.variant = cat("conv.depthwise.v", vec, "x", across);
  out.recipe.launches.push_back(k.launch({ceil_div(items, 128)}, {128}));
  return {};
}

}  // namespace tenon::cuda
