// BlackmanWindow: y[k] = 0.42 - 0.5 * cos(2 pi k / N) + 0.08 * cos(4 pi k / N), k = 0..size-1.
#include "ops/common/cosine_window.h"

namespace tenon::ops {

extern const Op op_blackman_window{
    .name = "BlackmanWindow",
    .version = 17,
    .compatible_from = 17,
    .inputs = {{"size", kIndex}},
    .outputs = {{"output"}},
    .attrs = window_attrs(),
    .infer = infer_window,
    .reference =
        [](RefArgs& a) {
          return reference_window(a, {0.42, 0.5, 0.08});
        },
    .samples = window_samples(),
};

}  // namespace tenon::ops
