// How rows of neighbouring elements are cut among threads: softmax, norms and reductions share it.
#pragma once

#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

// `lanes` threads do a row, `vec` neighbours at a time: part of a warp or a warp, then a block has several
// rows, or the whole block. A thread can hold `per` elements of its row (a multiple of vec); 0: rows are too
// long to be held.
struct RowCut {
  int lanes = 32, threads = 128, vec = 1, per = 0;
  int rows() const { return threads / lanes; }
  bool holds(const Dim& n) const { return n.is_const() && n.constant() <= int64_t(lanes) * per; }
};
// For `rows` rows of `n` elements of `t`.
RowCut cut_rows(DType t, const Dim& rows, const Dim& n);

// The holes LANES, ROWS, VEC and PER, and SHARED: declarations that reduce_row() needs. `accumulator` is the
// type of what is reduced.
void add_row_cut(Holes& h, const RowCut& cut, const std::string& accumulator);
// An expression: `value` of all threads of the row combined by the prelude's functor. `buffer` is 0 or 1; a
// buffer is free again after the next reduction with the other one.
std::string reduce_row(const RowCut& cut, const std::string& value, const std::string& functor, int buffer);

}  // namespace tenon::cuda
