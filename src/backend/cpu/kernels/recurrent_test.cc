#include "backend/cpu/kernels/recurrent.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "ops/common/recurrent.h"

namespace tenon::cpu {
namespace {

struct Case {
  const char* op = "LSTM";
  int64_t steps = 5, batch = 2, width = 7, hidden = 13;
  Attrs attrs = {};
  bool bias = true, lengths = false, states = true, peepholes = false;
};

Tensor random_tensor(std::mt19937& rng, Shape shape, float scale) {
  std::uniform_real_distribution<float> u(-scale, scale);
  Tensor t = Tensor::make(DType::f32, std::move(shape));
  for (int64_t i = 0; i < t.size(); ++i) t.as<float>()[i] = u(rng);
  return t;
}

RecurrentDesc describe(const Case& c, const Attrs& attrs, int64_t dirs, Isa isa) {
  RecurrentDesc d;
  d.isa = isa;
  d.cell = !std::strcmp(c.op, "LSTM") ? Cell::lstm : !std::strcmp(c.op, "GRU") ? Cell::gru : Cell::rnn;
  d.steps = c.steps, d.batch = c.batch, d.width = c.width, d.hidden = c.hidden, d.directions = dirs;
  d.reverse = attrs.s("direction") == "reverse";
  d.by_batch = attrs.i("layout") != 0;
  d.linear_before_reset = attrs.i("linear_before_reset") != 0;
  d.input_forget = attrs.i("input_forget") != 0;
  if (attrs.has("clip")) d.clip = attrs.f("clip");
  const CellKind& kind = cell_kind(c.op);
  const auto act = *recurrent_activations(attrs, kind, dirs);
  for (size_t i = 0; i < act.size(); ++i)
    d.act[i / kind.activations.size()][i % kind.activations.size()] = act[i];
  return d;
}

void check(const Case& c) {
  SCOPED_TRACE(testing::Message() << c.op << " " << c.steps << "x" << c.batch << "x" << c.width << " hidden "
                                  << c.hidden);
  const Op& op = *find_op("", c.op);
  Attrs attrs = c.attrs;
  ASSERT_TRUE(normalize_attrs(op, attrs).ok());
  const int64_t dirs = *recurrent_directions(attrs), rows = cell_kind(c.op).gates * c.hidden;
  const bool lstm = !std::strcmp(c.op, "LSTM"), by_batch = attrs.i("layout") != 0;
  std::mt19937 rng(3);
  const Shape state = by_batch ? Shape{c.batch, dirs, c.hidden} : Shape{dirs, c.batch, c.hidden};
  std::vector<Tensor> in(lstm ? 8 : 6);
  in[0] =
      random_tensor(rng, by_batch ? Shape{c.batch, c.steps, c.width} : Shape{c.steps, c.batch, c.width}, 2);
  in[1] = random_tensor(rng, {dirs, rows, c.width}, 0.6f);
  // States neither grow nor behave chaotically, so errors do not either.
  in[2] = random_tensor(rng, {dirs, rows, c.hidden}, 1 / std::sqrt(float(std::max<int64_t>(1, c.hidden))));
  if (c.bias) in[3] = random_tensor(rng, {dirs, 2 * rows}, 0.5f);
  if (c.lengths) {
    in[4] = Tensor::make(DType::i32, {c.batch});
    for (int64_t b = 0; b < c.batch; ++b) in[4].set_int(b, b == 0 ? 0 : (c.steps + b) % (c.steps + 1));
  }
  if (c.states) in[5] = random_tensor(rng, state, 1);
  if (lstm && c.states) in[6] = random_tensor(rng, state, 1);
  if (c.peepholes) in[7] = random_tensor(rng, {dirs, 3 * c.hidden}, 1);
  std::vector<Tensor> want;
  ASSERT_TRUE(run_reference(op, attrs, in, lstm ? 3 : 2, want).ok());
  for (Isa isa : supported_isas()) {
    const RecurrentDesc d = describe(c, attrs, dirs, isa);
    std::vector<Tensor> first;
    for (int threads : {1, 3}) {
      for (bool packed : {false, true}) {
        std::vector<Tensor> got;
        for (const Tensor& t : want) got.push_back(Tensor::make(DType::f32, t.shape()));
        Tensor scratch = Tensor::make(DType::u8, {recurrent_scratch_bytes(d, packed, threads)});
        Tensor weights = Tensor::make(DType::u8, {recurrent_packed_bytes(d)});
        std::memset(scratch.data(), 0xff, size_t(scratch.bytes()));
        if (packed) recurrent_pack(d, in[1].as<float>(), in[2].as<float>(), weights.data());
        const auto floats = [&](size_t i) { return i < in.size() && in[i] ? in[i].as<float>() : nullptr; };
        RecurrentArgs a;
        a.x = floats(0), a.b = floats(3), a.h0 = floats(5), a.c0 = floats(6), a.peepholes = floats(7);
        if (packed)
          a.packed = weights.data();
        else
          a.w = floats(1), a.r = floats(2);
        if (c.lengths) a.lengths = in[4].as<int32_t>();
        a.y = got[0].as<float>(), a.y_h = got[1].as<float>(), a.y_c = lstm ? got[2].as<float>() : nullptr;
        ThreadPool pool(threads);
        ASSERT_TRUE(recurrent(d, a, scratch.data(), pool).ok());
        for (size_t k = 0; k < got.size(); ++k) {
          float largest = 1;
          for (int64_t i = 0; i < want[k].size(); ++i)
            largest = std::max(largest, std::fabs(want[k].as<float>()[i]));
          for (int64_t i = 0; i < got[k].size(); ++i)
            ASSERT_NEAR(got[k].as<float>()[i], want[k].as<float>()[i], 4e-6 * largest)
                << isa_name(isa) << " output " << k << " element " << i;
        }
        if (first.empty()) first = got;
        for (size_t k = 0; k < got.size(); ++k)
          ASSERT_TRUE(got[k].size() == 0 ||
                      !std::memcmp(got[k].data(), first[k].data(), size_t(got[k].bytes())))
              << "threads " << threads;
      }
    }
  }
}

Attrs with(Attrs a, const char* name, AttrValue v) {
  a.set(name, std::move(v));
  return a;
}

TEST(Recurrent, Sizes) {
  for (const char* op : {"LSTM", "GRU", "RNN"}) {
    for (int64_t hidden : {1, 5, 16, 33, 64})
      for (int64_t batch : {1, 3}) check({.op = op, .batch = batch, .hidden = hidden});
    check({.op = op, .steps = 1, .batch = 1, .width = 1, .hidden = 1});
    check({.op = op, .steps = 0});
    check({.op = op, .batch = 0});
    check({.op = op, .width = 0});
    check({.op = op, .steps = 40, .batch = 17, .hidden = 130});  // several chunks of steps
    check({.op = op, .bias = false, .states = false});
  }
}

TEST(Recurrent, DirectionsLayoutsAndLengths) {
  for (const char* op : {"LSTM", "GRU", "RNN"})
    for (const char* direction : {"forward", "reverse", "bidirectional"})
      for (int64_t layout : {0, 1})
        for (bool lengths : {false, true}) {
          Attrs a = with(with({}, "direction", std::string(direction)), "layout", layout);
          check({.op = op, .steps = 7, .batch = 5, .attrs = a, .lengths = lengths});
          // Several chunks of steps, both ways.
          if (lengths && a.s("direction") == "bidirectional")
            check({.op = op, .steps = 60, .batch = 9, .hidden = 150, .attrs = a, .lengths = true});
        }
}

TEST(Recurrent, Options) {
  check({.op = "LSTM", .attrs = with({}, "input_forget", int64_t(1))});
  check({.op = "LSTM", .attrs = with({}, "clip", 0.3f), .peepholes = true});
  check({.op = "GRU", .attrs = with({}, "linear_before_reset", int64_t(1)), .lengths = true});
  check({.op = "GRU", .attrs = with({}, "clip", 0.3f)});
  check({.op = "RNN", .attrs = with({}, "clip", 0.3f)});
  for (const char* f : {"Relu", "Tanh", "Sigmoid", "Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh",
                        "HardSigmoid", "Elu", "Softsign", "Softplus", "Clip"})
    check({.op = "RNN", .steps = 2, .attrs = with({}, "activations", Strings{f})});
}

TEST(Recurrent, LengthsOutOfRangeAreRefused) {
  RecurrentDesc d;
  d.steps = 2, d.batch = 1, d.width = 1, d.hidden = 1;
  const float x[2] = {}, w[4] = {}, r[4] = {};
  for (int32_t length : {-1, 3}) {
    RecurrentArgs a;
    a.x = x, a.w = w, a.r = r, a.lengths = &length;
    Tensor scratch = Tensor::make(DType::u8, {recurrent_scratch_bytes(d, false, 1)});
    ThreadPool pool(1);
    EXPECT_EQ(recurrent(d, a, scratch.data(), pool).code(), Code::invalid_argument);
  }
}

}  // namespace
}  // namespace tenon::cpu
