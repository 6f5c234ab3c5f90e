// LSTM: i, o, f = f(W x + R h + P c), c = f c + i g(Wc x + Rc h), h = o h(c), each gate with its biases; the peepholes P
// see the cell state (o sees the new one); input_forget couples f = 1 - i; clip
// bounds what enters the gates and g, not the cell state.
#include "ops/common/flops.h"
#include "ops/common/recurrent.h"

namespace tenon::ops {

static void step(const CellStep& s) {
  const int64_t n = s.hidden;
  const bool coupled = s.attrs.i("input_forget") != 0;
  // Gates lie in the order i, o, f, c; peepholes in the order i, o, f.
  auto gate = [&](int64_t g, int64_t i) { return s.x[g * n + i] + s.recur(g * n + i); };
  auto peep = [&](int64_t g, int64_t i) { return s.p ? s.p[g * n + i] * s.c[i] : 0.0; };
  for (int64_t i = 0; i < n; ++i) {
    const double in = s.act[0](s.clipped(gate(0, i) + peep(0, i)));
    const double forget = coupled ? 1 - in : s.act[0](s.clipped(gate(2, i) + peep(2, i)));
    s.c[i] = forget * s.c[i] + in * s.act[1](s.clipped(gate(3, i)));
    const double out = s.act[0](s.clipped(gate(1, i) + peep(1, i)));
    s.next[i] = out * s.act[2](s.c[i]);
  }
}

extern const Op op_lstm{
    .name = "LSTM",
    .version = 22,
    .compatible_from = 7,
    .inputs = {{"X", kFloats},
               {"W", kFloats},
               {"R", kFloats},
               {"B", kFloats, 'T', Param::optional},
               {"sequence_lens", DType::i32, 'I', Param::optional},
               {"initial_h", kFloats, 'T', Param::optional},
               {"initial_c", kFloats, 'T', Param::optional},
               {"P", kFloats, 'T', Param::optional}},
    .outputs = {{"Y", kFloats, 'T', Param::optional},
                {"Y_h", kFloats, 'T', Param::optional},
                {"Y_c", kFloats, 'T', Param::optional}},
    .attrs = recurrent_attrs({{"input_forget", int64_t(0)}}),
    .infer = [](InferArgs& a) { return infer_recurrent(a, cell_kind("LSTM")); },
    .reference = [](RefArgs& a) { return reference_recurrent(a, cell_kind("LSTM"), step); },
    .flops = recurrent_flops,
    .tolerance = {.f32 = 64, .f16 = 8},
    .samples = {{{{{3, 2, 4}}, {{1, 20, 4}}, {{1, 20, 5}}, {{1, 40}}}, {{"hidden_size", int64_t(5)}}, 3},
                {{{{2, 3, 4}}, {{2, 12, 4}}, {{2, 12, 3}}, {.absent = true}, {{2}, DType::i32, 1, 3}},
                 {{"direction", "bidirectional"}, {"layout", int64_t(1)}},
                 3}},
};

}  // namespace tenon::ops
