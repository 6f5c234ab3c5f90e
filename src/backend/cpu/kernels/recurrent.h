// RNN, GRU and LSTM in single precision: the input's part of all gates as one product for many steps, the
// recurrent part as one for each step, the gates' functions on vectors.
#pragma once

#include <cmath>
#include <cstdint>

#include "backend/cpu/kernels/isa.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "ops/common/activation.h"

namespace tenon::cpu {

enum class Cell : uint8_t { rnn, gru, lstm };

// Sizes and options as ONNX has them.
struct RecurrentDesc {
  Isa isa = Isa::baseline;
  Cell cell = Cell::lstm;
  int64_t steps = 0, batch = 0, width = 0, hidden = 0;
  int64_t directions = 1;
  bool reverse = false;              // the only direction runs backwards; of two, the second does
  bool by_batch = false;             // layout 1: x is [batch, steps, width]
  bool linear_before_reset = false;  // GRU
  bool input_forget = false;         // LSTM
  float clip = INFINITY;
  tenon::Activation act[2][3];  // for each direction

  int64_t gates() const { return cell == Cell::rnn ? 1 : cell == Cell::gru ? 3 : 4; }
};

// Packed weights depend on isa, cell, width, hidden, directions and linear_before_reset.
int64_t recurrent_packed_bytes(const RecurrentDesc& desc);
// W [directions, gates * hidden, width], R [directions, gates * hidden, hidden]. `packed` is 64-byte aligned.
void recurrent_pack(const RecurrentDesc& desc, const float* w, const float* r, void* packed);

// All but x may be null: without `packed`, w and r are packed in scratch.
struct RecurrentArgs {
  const float *x = nullptr, *w = nullptr, *r = nullptr, *b = nullptr;
  const int32_t* lengths = nullptr;
  const float *h0 = nullptr, *c0 = nullptr, *peepholes = nullptr;
  const void* packed = nullptr;
  float *y = nullptr, *y_h = nullptr, *y_c = nullptr;
};
int64_t recurrent_scratch_bytes(const RecurrentDesc& desc, bool packed, int threads);
// `scratch` is 64-byte aligned. The same bits for any number of threads. Errors: a length outside [0, steps].
Status recurrent(const RecurrentDesc& desc, const RecurrentArgs& args, void* scratch, ThreadPool& pool);

// ---- internal to this folder
// ------------------------------------------------------------------------------------

// One row of a step: x and rec are what input and state give to each gate, [gates * n].
struct GateArgs {
  int64_t n = 0;
  const tenon::Activation* act = nullptr;
  float clip = INFINITY;
  bool coupled = false;
  const float* x = nullptr;
  float* rec = nullptr;
  const float* rb = nullptr;  // GRU with linear_before_reset: the bias beside Rh h
  const float* p = nullptr;
  float *h = nullptr, *c = nullptr;
  float* scaled = nullptr;  // GRU: r h
};
void rnn_gates(const GateArgs& a);
void lstm_gates(const GateArgs& a);
void gru_linear_gates(const GateArgs& a);
// In two halves where Rh multiplies r h: the first leaves z in rec, the second finds Rh (r h) in rec's third
// part.
void gru_reset_gates(const GateArgs& a);
void gru_hidden_gates(const GateArgs& a);

}  // namespace tenon::cpu
