// What the pools share: inference and the walk over windows.
#pragma once

#include "ops/common/window.h"

namespace tenon {

// [N, C, spatial...] to [N, C, windows...] for every output, honouring channels_last; the second output holds int64.
Status infer_pool(InferArgs& a);
// [N, C, spatial...] to [N, C, 1...].
Status infer_global_pool(InferArgs& a);
// One value from each channel's plane.
Status reference_global_pool(RefArgs& a, double (*reduce)(const Attrs&, const double* plane, int64_t n));

struct PoolSizes {
  int64_t planes = 0, in_plane = 1, out_plane = 1;
  std::vector<Window> windows;
  Shape in, out;  // spatial
};
Result<PoolSizes> pool_sizes(const Attrs& attrs, const Shape& x);

// Calls f(plane, output index within the plane, its multi-index).
template <class F>
void for_each_window(const PoolSizes& s, F&& f) {
  if (s.out_plane == 0) return;
  for (int64_t p = 0; p < s.planes; ++p) {
    Shape o(s.out.size(), 0);
    int64_t i = 0;
    do f(p, i++, o);
    while (next_index(o, s.out));
  }
}

}  // namespace tenon
