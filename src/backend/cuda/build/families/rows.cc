#include "backend/cuda/build/families/rows.h"

#include <algorithm>

namespace tenon::cuda {

RowCut cut_rows(DType t, const Dim& rows, const Dim& n) {
  RowCut cut;
  cut.vec = vector_width(t, n);
  const int most = t == DType::f64 ? 8 : 16;  // elements held by each thread of the largest block
  if (!n.is_const()) {
    cut.lanes = cut.threads = 128;
    cut.per = std::max(most, cut.vec);
    return cut;
  }
  const int64_t size = std::max<int64_t>(n.constant(), 1);
  const auto needed = [&](int lanes) {
    return int((size + lanes * cut.vec - 1) / (lanes * cut.vec)) * cut.vec;
  };
  // Few rows want many threads each.
  const bool few = smallest(rows) < 1024;
  if (size <= (few ? 256 : most * 64)) {
    cut.lanes = power_of_two_from((size + 3) / std::max(4, cut.vec), 32);
    cut.per = needed(cut.lanes);
    return cut;
  }
  cut.lanes = std::max(64, power_of_two_from((size + 7) / std::max(8, cut.vec), 1024));
  cut.threads = cut.lanes;
  cut.per = needed(cut.lanes);
  if (cut.per > std::max(most, cut.vec)) cut.per = 0;
  return cut;
}

void add_row_cut(Holes& h, const RowCut& cut, const std::string& accumulator) {
  h["LANES"] = cat(cut.lanes);
  h["ROWS"] = cat(cut.rows());
  h["VEC"] = cat(cut.vec);
  h["PER"] = cat(cut.per);
  h["SHARED"] = cut.lanes > 32 ? cat("__shared__ ", accumulator, " parts0[", cut.lanes / 32, "], parts1[",
                                     cut.lanes / 32, "];\n")
                               : "";
}

std::string reduce_row(const RowCut& cut, const std::string& value, const std::string& functor, int buffer) {
  if (cut.lanes == 1) return value;
  if (cut.lanes <= 32) return cat("reduce_lanes<", cut.lanes, ">(", value, ", ", functor, "())");
  return cat("reduce_block<", cut.lanes, ">(", value, ", ", functor, "(), parts", buffer, ")");
}

}  // namespace tenon::cuda
