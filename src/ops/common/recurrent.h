// What RNN, GRU and LSTM share: shapes, directions, sequence lengths and the walk over time. Inputs are X, W, R, B,
// sequence_lens, initial_h and, for LSTM, initial_c and P.
#pragma once

#include "ops/common/activation.h"
#include "ops/op.h"

namespace tenon {

// How a cell differs: gates stacked in W and R, its default activation functions.
struct CellKind {
  int64_t gates;
  std::vector<const char*> activations;
};
// REQUIRES: `op` is RNN, GRU or LSTM.
const CellKind& cell_kind(std::string_view op);

// One step of one sequence in one direction.
struct CellStep {
  int64_t hidden;
  const double* x;           // W x + Wb, [gates * hidden]
  const double* r;           // R, [gates * hidden, hidden]
  const double* rb;          // Rb, [gates * hidden]
  const double* p;           // peepholes, [3 * hidden], or null
  const double* h;           // [hidden], before the step
  double* c;                 // [hidden], updated in place
  double* next;              // [hidden], the new h
  const Activation* act;
  double clip;               // infinite: none
  const Attrs& attrs;

  // Rb + R h for one row.
  double recur(int64_t row) const;
  double clipped(double v) const { return v > clip ? clip : v < -clip ? -clip : v; }
};

// 1 or 2, by the attribute 'direction'. Errors: another word.
Result<int64_t> recurrent_directions(const Attrs& attrs);
// The activation functions of all directions; alpha and beta are handed to those that take them, in order.
Result<std::vector<Activation>> recurrent_activations(const Attrs& attrs, const CellKind& kind, int64_t dirs);

Status infer_recurrent(InferArgs& a, const CellKind& kind);
Status reference_recurrent(RefArgs& a, const CellKind& kind, void (*step)(const CellStep&));

// The attributes that all three take, and that cell's own.
std::vector<AttrSpec> recurrent_attrs(std::vector<AttrSpec> own);

}  // namespace tenon
