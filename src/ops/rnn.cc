// RNN: h = f(W x + Wb + R h + Rb) over time, in one or both directions.
#include "ops/common/flops.h"
#include "ops/common/recurrent.h"

namespace tenon::ops {

static void step(const CellStep& s) {
  for (int64_t i = 0; i < s.hidden; ++i) s.next[i] = s.act[0](s.clipped(s.x[i] + s.recur(i)));
}

extern const Op op_rnn{
    .name = "RNN",
    .version = 22,
    .compatible_from = 7,
    .inputs = {{"X", kFloats},
               {"W", kFloats},
               {"R", kFloats},
               {"B", kFloats, 'T', Param::optional},
               {"sequence_lens", DType::i32, 'I', Param::optional},
               {"initial_h", kFloats, 'T', Param::optional}},
    .outputs = {{"Y", kFloats, 'T', Param::optional}, {"Y_h", kFloats, 'T', Param::optional}},
    .attrs = recurrent_attrs({}),
    .infer = [](InferArgs& a) { return infer_recurrent(a, cell_kind("RNN")); },
    .reference = [](RefArgs& a) { return reference_recurrent(a, cell_kind("RNN"), step); },
    .flops = recurrent_flops,
    .tolerance = {.f32 = 64, .f16 = 8},
    .samples = {{{{{3, 2, 4}}, {{1, 5, 4}}, {{1, 5, 5}}, {{1, 10}}}, {{"hidden_size", int64_t(5)}}, 2},
                {{{{2, 3, 4}}, {{2, 5, 4}}, {{2, 5, 5}}, {.absent = true}, {{2}, DType::i32, 1, 3}},
                 {{"direction", "bidirectional"}, {"layout", int64_t(1)}},
                 2}},
};

}  // namespace tenon::ops
