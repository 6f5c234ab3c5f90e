// Depthwise convolution of channels-last tensors on the CUDA cores: a thread has V neighbouring channels and ACROSS
// neighbouring outputs of a row, so that what it loads of a row serves several windows.
#include "backend/cuda/build/families/common.h"
#include "backend/cuda/build/families/conv_plan.h"

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
  TRY(index_with_32_bits(out.recipe, {{p.batch * product(p.in) * Dim(in_channels)}, {p.batch * product(p.out) * p.apart.value_or(Dim(channels))}, {items}}));

  std::string s = fill(R"(using T = $T;
using Acc = $ACC;
constexpr int V = $VEC, ACROSS = $ACROSS, KERNEL = $KERNEL, STRIDE = $STRIDE, DILATION = $DILATION;
constexpr int SPAN = (ACROSS - 1) * STRIDE + (KERNEL - 1) * DILATION + 1;
PDL_WAIT;
PDL_LAUNCH;
const int item = blockIdx.x * 128 + threadIdx.x;
if (item >= $ITEMS) return;
const int channel = item % $CHUNKS * V, line = item / $CHUNKS, x0 = line % $ROWS * ACROSS;
int rest = line / $ROWS;
)", {{"T", type}, {"ACC", sum}, {"VEC", cat(vec)}, {"ACROSS", cat(across)}, {"KERNEL", cat(kernel)}, {"STRIDE", cat(stride)},
     {"DILATION", cat(dilation)}, {"ITEMS", k.size(items)}, {"CHUNKS", k.size(chunks)}, {"ROWS", k.size(rows)}});
  for (size_t d = x; d-- > 0;) {
    const std::string size = k.size(p.out[d]);
    s += cat("const int o", d, " = rest % ", size, ";\nrest /= ", size, ";\n");
  }
  s += fill(R"(const int image = rest;
Acc sums[ACROSS][V] = {};
const int start = x0 * STRIDE - $PAD, width = $WIDTH;
)", {{"PAD", k.size(p.pad[x])}, {"WIDTH", k.size(p.in[x])}});
  // Loops over the other dimensions of the window, then along a row.
  std::string line = "image", tap = "0", close;
  for (size_t d = 0; d < x; ++d) {
    s += fill(R"($UNROLL
for (int t$D = 0; t$D < $KERNEL; ++t$D) {
const int y$D = o$D * $STRIDE - $PAD + t$D * $DILATION;
if ((unsigned)y$D >= (unsigned)$SIZE) continue;
)", {{"D", cat(d)}, {"UNROLL", p.taps() <= 9 ? "UNROLL" : "#pragma unroll 1"}, {"KERNEL", cat(p.kernel[d])}, {"STRIDE", cat(p.stride[d])}, {"PAD", k.size(p.pad[d])}, {"DILATION", cat(p.dilation[d])}, {"SIZE", k.size(p.in[d])}});
    line = cat("(", line, " * ", k.size(p.in[d]), " + y", d, ")");
    tap = cat("(", tap, " * ", p.kernel[d], " + t", d, ")");
    close += "}\n";
  }
  const bool narrow_type = bits(p.type) < 32;
  s += fill(R"(const T* const row = $FROM + ($LINE * width + start) * $INCHANNELS + $INCHANNEL;
const T* const weights = $W + $TAP * KERNEL * $CHANNELS + channel;
Vec<T, V> factors[KERNEL];
UNROLL
for (int t = 0; t < KERNEL; ++t) factors[t] = load_vec<V>(weights + t * $CHANNELS);
UNROLL
for (int i = 0; i < SPAN; ++i) {
// Which windows read this pixel is known here; those between the taps read none.
bool used = false;
UNROLL
for (int o = 0; o < ACROSS; ++o) used = used || (i >= o * STRIDE && (i - o * STRIDE) % DILATION == 0 && (i - o * STRIDE) / DILATION < KERNEL);
if (!used || (unsigned)(start + i) >= (unsigned)width) continue;
const Vec<T, V> pixel = load_vec<V>(row + i * $INCHANNELS);
UNROLL
for (int o = 0; o < ACROSS; ++o) {
const int t = (i - o * STRIDE) / DILATION;
if (i < o * STRIDE || (i - o * STRIDE) % DILATION != 0 || t >= KERNEL) continue;
UNROLL
for (int j = 0; j < V; ++j) sums[o][j] += $VALUE * $FACTOR;
}
}
)", {{"FROM", from}, {"LINE", line}, {"INCHANNELS", cat(in_channels)}, {"CHANNELS", cat(channels)},
     {"INCHANNEL", p.out_channels == 1 ? "channel" : cat("channel / ", p.out_channels)}, {"W", w}, {"TAP", tap},
     {"VALUE", narrow_type ? "to_float(pixel.v[j])" : "pixel.v[j]"}, {"FACTOR", narrow_type ? "to_float(factors[t].v[j])" : "factors[t].v[j]"}});
  s += close;
  std::string out_line = "image";
  for (size_t d = 0; d < x; ++d) out_line = cat("(", out_line, " * ", k.size(p.out[d]), " + o", d, ")");
  s += fill(R"(UNROLL
for (int o = 0; o < ACROSS; ++o) {
if (x0 + o >= $WIDTH) continue;
const int position = $LINE * $WIDTH + x0 + o;
const int at = position * $PITCH + channel;
)", {{"WIDTH", k.size(p.out[x])}, {"LINE", out_line}, {"PITCH", k.size(p.apart.value_or(Dim(channels)))}});
  const int run = std::min(vec, 128 / bits(p.epilogue.out));
  const std::string stores = TRY(epilogue_steps(k, p.epilogue, {"(sums[o] + q)", "position", "(channel + q)", "(at + q)", "int", run}, to)).text();
  k.body = s + cat("UNROLL\nfor (int q = 0; q < V; q += ", run, ") {\n", stores, "}\n}\n");
  out.source += k.text();
  out.variant = cat("conv.depthwise.v", vec, "x", across);
  out.recipe.launches.push_back(k.launch({ceil_div(items, 128)}, {128}));
  return {};
}

}  // namespace tenon::cuda
