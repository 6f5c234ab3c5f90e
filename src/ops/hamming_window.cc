// HammingWindow: y[k] = 25/46 - 21/46 * cos(2 pi k / N), k = 0..size-1.
#include "ops/common/cosine_window.h"

namespace tenon::ops {

extern const Op op_hamming_window{
    .name = "HammingWindow",
    .version = 17,
    .compatible_from = 17,
    .inputs = {{"size", kIndex}},
    .outputs = {{"output"}},
    .attrs = window_attrs(),
    .infer = infer_window,
    .reference =
        [](RefArgs& a) {
          return reference_window(a, {25.0 / 46, 21.0 / 46, 0});
        },
    .samples = window_samples(),
};

}  // namespace tenon::ops
