// GRU: z = f(Wz x + Rz h), r = f(Wr x + Rr h), g = g(Wh x + Rh (r h)), h = (1 - z) g + z h, each with its biases;
// linear_before_reset multiplies by r after Rh.
#include "ops/common/flops.h"
#include "ops/common/recurrent.h"

namespace tenon::ops {

static void step(const CellStep& s) {
  const int64_t n = s.hidden;
  std::vector<double> reset(static_cast<size_t>(n)), scaled(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    reset[size_t(i)] = s.act[0](s.clipped(s.x[n + i] + s.recur(n + i)));
    scaled[size_t(i)] = reset[size_t(i)] * s.h[i];
  }
  const bool linear = s.attrs.i("linear_before_reset") != 0;
  CellStep after = s;
  after.h = scaled.data();
  for (int64_t i = 0; i < n; ++i) {
    const double z = s.act[0](s.clipped(s.x[i] + s.recur(i)));
    const double recurrent = linear ? reset[size_t(i)] * s.recur(2 * n + i) : after.recur(2 * n + i);
    const double g = s.act[1](s.clipped(s.x[2 * n + i] + recurrent));
    s.next[i] = (1 - z) * g + z * s.h[i];
  }
}

extern const Op op_gru{
    .name = "GRU",
    .version = 22,
    .compatible_from = 7,
    .inputs = {{"X", kFloats},
               {"W", kFloats},
               {"R", kFloats},
               {"B", kFloats, 'T', Param::optional},
               {"sequence_lens", DType::i32, 'I', Param::optional},
               {"initial_h", kFloats, 'T', Param::optional}},
    .outputs = {{"Y", kFloats, 'T', Param::optional}, {"Y_h", kFloats, 'T', Param::optional}},
    .attrs = recurrent_attrs({{"linear_before_reset", int64_t(0)}}),
    .infer = [](InferArgs& a) { return infer_recurrent(a, cell_kind("GRU")); },
    .reference = [](RefArgs& a) { return reference_recurrent(a, cell_kind("GRU"), step); },
    .flops = recurrent_flops,
    .tolerance = {.f32 = 64, .f16 = 8},
    .samples = {{{{{3, 2, 4}}, {{1, 15, 4}}, {{1, 15, 5}}, {{1, 30}}},
                 {{"hidden_size", int64_t(5)}, {"linear_before_reset", int64_t(1)}},
                 2},
                {{{{2, 3, 4}}, {{2, 9, 4}}, {{2, 9, 3}}, {.absent = true}, {{2}, DType::i32, 1, 3}},
                 {{"direction", "bidirectional"}, {"layout", int64_t(1)}},
                 2}},
};

}  // namespace tenon::ops
