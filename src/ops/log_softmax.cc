// LogSoftmax: y = x - max - log(sum(exp(x - max))) along `axis`.
#include "ops/common/softmax.h"

namespace tenon::ops {

extern const Op op_log_softmax{
    .name = "LogSoftmax",
    .version = 13,
    .compatible_from = 13,
    .older = {{1, upgrade_softmax_1}},
    .inputs = {{"input", kFloats}},
    .outputs = {{"output"}},
    .attrs = {{"axis", int64_t(-1)}},
    .infer = infer_softmax,
    .reference = [](RefArgs& a) { return reference_softmax(a, true); },
    .fusion = Fusion::reduction,
    .samples = {{{{{1, 10}}}}, {{{{2, 3, 1}}}, {{"axis", int64_t(1)}}}, {{{{4, 0}}}}, {{{{8, 503}}}}},
};

}  // namespace tenon::ops
