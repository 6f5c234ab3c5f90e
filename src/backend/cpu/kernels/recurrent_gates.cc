// The gates of RNN, GRU and LSTM: elementwise over the hidden units of one row.
#include "backend/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels/recurrent_gates.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "backend/cpu/kernels/math-inl.h"
#include "backend/cpu/kernels/recurrent.h"
#include "backend/cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::cpu::HWY_NAMESPACE {
namespace {

using Act = tenon::Activation;

// All but the usual two. By reference, as vectors in arguments have another ABI for each target.
HWY_NOINLINE void rare_activation(const Act& f, VF& v) {
  const DF d;
  const VF zero = hn::Zero(d), one = hn::Set(d, 1.0f), a = hn::Set(d, float(f.alpha)),
           b = hn::Set(d, float(f.beta));
  switch (f.kind) {
    case Act::relu:
      v = hn::IfThenElse(hn::Lt(v, zero), zero, v);
      return;
    case Act::affine:
      v = hn::MulAdd(a, v, b);
      return;
    case Act::leaky_relu:
      v = hn::IfThenElse(hn::Lt(v, zero), hn::Mul(a, v), v);
      return;
    case Act::thresholded_relu:
      v = hn::IfThenElse(hn::Gt(v, a), v, zero);
      return;
    case Act::scaled_tanh:
      v = hn::Mul(a, tanh_f32(d, hn::Mul(b, v)));
      return;
    case Act::hard_sigmoid:
      v = clamp_keep_nan(d, hn::MulAdd(a, v, b), 0.0f, 1.0f);
      return;
    case Act::elu:
      v = hn::IfThenElse(hn::Lt(v, zero), hn::Mul(a, expm1_f32(d, v)), v);
      return;
    case Act::softsign:
      v = hn::Div(v, hn::Add(one, hn::Abs(v)));
      return;
    case Act::softplus: {
      const VF positive = hn::IfThenElse(hn::Lt(v, zero), zero, v);
      v = hn::Add(positive, log1p_f32(d, exp_f32(d, hn::Neg(hn::Abs(v)))));
      return;
    }
    case Act::clip:
      v = hn::IfThenElse(hn::Lt(v, a), a, hn::IfThenElse(hn::Gt(v, b), b, v));
      return;
    case Act::tanh:
    case Act::sigmoid:
      return;
  }
}

HWY_INLINE VF activate(const Act& f, VF v) {
  const DF d;
  if (f.kind == Act::sigmoid) return sigmoid_f32(d, v);
  if (f.kind == Act::tanh) return tanh_f32(d, v);
  rare_activation(f, v);
  return v;
}

// Loads and stores at one place of the row: whole vectors, or the first `left` lanes of the last.
struct Place {
  int64_t i;
  size_t left;  // 0: a whole vector

  HWY_INLINE VF load(const float* p) const {
    return left ? load_n(DF(), p + i, left) : hn::LoadU(DF(), p + i);
  }
  HWY_INLINE void store(VF v, float* p) const {
    if (left)
      store_n(v, DF(), p + i, left);
    else
      hn::StoreU(v, DF(), p + i);
  }
};

template <class F>
HWY_INLINE void each_place(int64_t n, const F& f) {
  const int64_t lanes = int64_t(hn::Lanes(DF()));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) f(Place{i, 0});
  if (i < n) f(Place{i, size_t(n - i)});
}

HWY_INLINE VF clipped(const GateArgs& a, VF v) {
  return a.clip < INFINITY ? clamp_keep_nan(DF(), v, -a.clip, a.clip) : v;
}
// What enters gate g.
HWY_INLINE VF entering(const GateArgs& a, const Place& at, int64_t g) {
  return hn::Add(at.load(a.x + g * a.n), at.load(a.rec + g * a.n));
}
HWY_INLINE VF peeping(const GateArgs& a, const Place& at, int64_t g, VF cell, VF v) {
  return a.p ? hn::MulAdd(at.load(a.p + g * a.n), cell, v) : v;
}
// (1 - z) g + z h.
HWY_INLINE VF mix(VF z, VF g, VF h) {
  return hn::MulAdd(z, h, hn::Mul(hn::Sub(hn::Set(DF(), 1.0f), z), g));
}

}  // namespace

void rnn_gates_of_target(const GateArgs& a) {
  each_place(a.n,
             [&](Place at) HWY_ATTR { at.store(activate(a.act[0], clipped(a, entering(a, at, 0))), a.h); });
}

// Gates i, o, f, c; peepholes i, o, f.
void lstm_gates_of_target(const GateArgs& a) {
  each_place(a.n, [&](Place at) HWY_ATTR {
    const VF c = at.load(a.c);
    const VF in = activate(a.act[0], clipped(a, peeping(a, at, 0, c, entering(a, at, 0))));
    const VF forget = a.coupled ? hn::Sub(hn::Set(DF(), 1.0f), in)
                                : activate(a.act[0], clipped(a, peeping(a, at, 2, c, entering(a, at, 2))));
    const VF now = hn::MulAdd(forget, c, hn::Mul(in, activate(a.act[1], clipped(a, entering(a, at, 3)))));
    const VF out = activate(a.act[0], clipped(a, peeping(a, at, 1, now, entering(a, at, 1))));
    at.store(now, a.c);
    at.store(hn::Mul(out, activate(a.act[2], now)), a.h);
  });
}

// Gates z, r, h.
void gru_linear_gates_of_target(const GateArgs& a) {
  each_place(a.n, [&](Place at) HWY_ATTR {
    const VF z = activate(a.act[0], clipped(a, entering(a, at, 0)));
    const VF r = activate(a.act[0], clipped(a, entering(a, at, 1)));
    const VF recurrent = hn::Add(at.load(a.rec + 2 * a.n), at.load(a.rb));
    const VF g = activate(a.act[1], clipped(a, hn::MulAdd(r, recurrent, at.load(a.x + 2 * a.n))));
    at.store(mix(z, g, at.load(a.h)), a.h);
  });
}
void gru_reset_gates_of_target(const GateArgs& a) {
  each_place(a.n, [&](Place at) HWY_ATTR {
    const VF z = activate(a.act[0], clipped(a, entering(a, at, 0)));
    const VF r = activate(a.act[0], clipped(a, entering(a, at, 1)));
    at.store(z, a.rec);
    at.store(hn::Mul(r, at.load(a.h)), a.scaled);
  });
}
void gru_hidden_gates_of_target(const GateArgs& a) {
  each_place(a.n, [&](Place at) HWY_ATTR {
    const VF g = activate(a.act[1], clipped(a, entering(a, at, 2)));
    at.store(mix(at.load(a.rec), g, at.load(a.h)), a.h);
  });
}

}  // namespace tenon::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::cpu {

HWY_EXPORT(rnn_gates_of_target);
HWY_EXPORT(lstm_gates_of_target);
HWY_EXPORT(gru_linear_gates_of_target);
HWY_EXPORT(gru_reset_gates_of_target);
HWY_EXPORT(gru_hidden_gates_of_target);

void rnn_gates(const GateArgs& a) {
  HWY_DYNAMIC_DISPATCH(rnn_gates_of_target)(a);
}
void lstm_gates(const GateArgs& a) {
  HWY_DYNAMIC_DISPATCH(lstm_gates_of_target)(a);
}
void gru_linear_gates(const GateArgs& a) {
  HWY_DYNAMIC_DISPATCH(gru_linear_gates_of_target)(a);
}
void gru_reset_gates(const GateArgs& a) {
  HWY_DYNAMIC_DISPATCH(gru_reset_gates_of_target)(a);
}
void gru_hidden_gates(const GateArgs& a) {
  HWY_DYNAMIC_DISPATCH(gru_hidden_gates_of_target)(a);
}

}  // namespace tenon::cpu
#endif
