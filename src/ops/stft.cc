// STFT: the DFT of windowed frames, taken every `frame_step` samples: [batch, length, 1 or 2] gives
// [batch, frames, bins, 2].
#include "ops/common/fourier.h"
#include "ops/common/matmul.h"
#include "ops/common/cosine_window.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const DType t = a.dtype(0);
  const std::optional<Dim> step = TRY(scalar_dim(a, 1, 1));
  std::optional<Dim> frame = TRY(scalar_dim(a, 3, 1));
  if (a.ranked(2)) {
    if (a.rank(2) != 1) return invalid_model("the window must be a vector, it has rank ", a.rank(2));
    const Dim& window = a.shape(2)[0];
    frame = frame ? TRY(unify_dims(*frame, window, "the frame length")) : window;
  }
  Dim batch(0), length(0);
  if (a.ranked(0)) {
    if (a.rank(0) != 3) return invalid_model("the signal must have rank 3, it has rank ", a.rank(0));
    const Dim& parts = a.shape(0)[2];
    if (parts.is_const() && !parts.is(1) && !parts.is(2))
      return invalid_model("the last dimension must be 1 (real) or 2 (complex), it is ", parts.constant());
    batch = a.shape(0)[0];
    length = a.shape(0)[1];
    if (!a.has(2) && !a.has(3)) frame = length;
  } else {
    batch = a.fresh("batch");
  }
  if (frame && frame->is_const()) {
    if (frame->constant() < 1) return invalid_model("STFT with frames of length ", frame->constant());
    if (a.ranked(0) && length.is_const() && length.constant() < frame->constant())
      return invalid_model("the signal has ", length.constant(), " samples, a frame has ", frame->constant());
  }
  const bool known = frame && step && a.ranked(0);
  const Dim frames = known ? floor_div(length - *frame, *step) + Dim(1) : a.fresh("frames");
  const Dim n = frame ? *frame : a.fresh("frame_length");
  const Dim bins = a.attrs.i("onesided", 1) ? floor_div(n, Dim(2)) + Dim(1) : n;
  a.set(0, t, {batch, frames, bins, Dim(2)});
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  const int64_t step = a.x(1).int_at(0), length = x.dim(1), parts = x.dim(2), frames = y.dim(1),
                bins = y.dim(2);
  const int64_t n = a.has(2) ? a.x(2).size() : a.has(3) ? a.x(3).int_at(0) : length;
  const std::vector<double> in = x.to_doubles();
  const std::vector<double> window = a.has(2) ? a.x(2).to_doubles() : std::vector<double>(size_t(n), 1.0);
  std::vector<double> out(size_t(y.size()));
  std::vector<Complex> frame;
  frame.resize(size_t(n));
  for (int64_t b = 0; b < x.dim(0); ++b)
    for (int64_t f = 0; f < frames; ++f) {
      for (int64_t k = 0; k < n; ++k) {
        const double* v = in.data() + (b * length + f * step + k) * parts;
        frame[size_t(k)] = window[size_t(k)] * Complex(v[0], parts == 2 ? v[1] : 0);
      }
      const std::vector<Complex> spectrum = fourier(frame, -1);
      for (int64_t k = 0; k < bins; ++k) {
        double* to = out.data() + ((b * frames + f) * bins + k) * 2;
        to[0] = spectrum[size_t(k)].real();
        to[1] = spectrum[size_t(k)].imag();
      }
    }
  store_doubles(y.dtype(), y.data(), 0, y.size(), out.data());
  return {};
}

static SampleInput number(double v) {
  SampleInput s{{}, DType::i64};
  s.values = {v};
  return s;
}

extern const Op op_stft{
    .name = "STFT",
    .version = 17,
    .compatible_from = 17,
    .inputs = {{"signal", kFloats},
               {"frame_step", kIndex, 'L'},
               {"window", kFloats, 'T', Param::optional},
               {"frame_length", kIndex, 'L', Param::optional}},
    .outputs = {{"output"}},
    .attrs = {{"onesided", int64_t(1)}},
    .infer = infer,
    .reference = reference,
    .tolerance = {.f32 = 32},
    .samples = {{{{{1, 32, 1}}, number(4), {{8}}, number(8)}},
                {{{{2, 21, 1}}, number(5), {.absent = true}, number(7)}, {{"onesided", int64_t(0)}}},
                {{{{2, 21, 2}}, number(3), {{6}}}, {{"onesided", int64_t(0)}}}},
};

}  // namespace tenon::ops
