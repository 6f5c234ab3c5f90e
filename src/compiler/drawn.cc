#include "compiler/drawn.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "compiler/shapes.h"
#include "ir/random_input.h"

namespace tenon {

namespace {

// A wave between -1 and 1 of period 1: parabolas, which need no library function and so are the same everywhere.
double wave(double x) {
  x = 4 * (x - std::floor(x));
  return x < 2 ? x * (2 - x) : (x - 2) * (x - 4);
}

// Numbers that hang together along the dimensions that have places: all but the batch and the few channels.
class Field {
 public:
  Field(const Shape& shape, Drawn how, Random& random) : shape_(shape), edges_(how == Drawn::edges), random_(random) {
    constexpr int64_t kFew = 5;  // fewer are channels
    for (size_t d = shape.size() > 1 ? 1 : 0; d < shape.size(); ++d)
      if (shape[d] >= kFew) places_.push_back(d);
  }

  void fill(float* to) {
    // Each batch entry and channel has waves of its own.
    int64_t area = 1;
    for (size_t d : places_) area *= shape_[d];
    std::vector<int64_t> at(shape_.size());
    int64_t total = 1;
    for (int64_t d : shape_) total *= d;
    if (total == 0) return;
    std::vector<std::vector<Wave>> planes(size_t(total / area));
    for (auto& waves : planes) waves = draw();
    for (int64_t i = 0; i < total; ++i) {
      int64_t plane = 0;
      size_t next = 0;
      double x[8] = {};
      for (size_t d = 0; d < shape_.size(); ++d) {
        if (next < places_.size() && places_[next] == d) {
          if (next < 8) x[next] = double(at[d]) / double(shape_[d]);
          ++next;
        } else {
          plane = plane * shape_[d] + at[d];
        }
      }
      double sum = 0;
      for (const Wave& w : planes[size_t(plane)]) {
        double phase = w.phase;
        for (size_t k = 0; k < std::min<size_t>(places_.size(), 8); ++k) phase += w.turns[k] * x[k];
        sum += w.height * wave(phase);
      }
      to[i] = float((edges_ ? std::floor(3 * sum) / 2 : 0.5 + sum) + 0.02 * random_.normal());
      for (size_t d = shape_.size(); d-- > 0;) {
        if (++at[d] < shape_[d]) break;
        at[d] = 0;
      }
    }
  }

 private:
  struct Wave {
    double height, phase, turns[8];
  };

  std::vector<Wave> draw() {
    constexpr int kWaves = 5;
    const double finest = edges_ ? 12 : 3;  // turns from one end to the other
    std::vector<Wave> out(kWaves);
    for (Wave& w : out) {
      w.height = (edges_ ? 0.6 : 0.35) * random_.normal();
      w.phase = random_.uniform();
      for (double& t : w.turns) t = (2 * random_.uniform() - 1) * finest;
    }
    return out;
  }

  const Shape& shape_;
  const bool edges_;
  Random& random_;
  std::vector<size_t> places_;
};

}  // namespace

Result<std::vector<Tensor>> draw_inputs(const Graph& g, const std::vector<Shape>& shapes, Drawn how, uint64_t seed) {
  std::vector<Tensor> out;
  for (size_t i = 0; i < shapes.size(); ++i) {
    const DType type = g.info(g.inputs[i]).dtype;
    out.push_back(TRY(random_input(type, shapes[i], seed + i + 1)));
    if (how == Drawn::noise || type != DType::f32) continue;
    Random random(seed + i + 1);
    Field(shapes[i], how, random).fill(out.back().as<float>());
  }
  return out;
}

// What an open size is by its place: the first dimension is a batch, the last two of four or more are sides.
static int64_t plausible(const Graph& g, const std::string& symbol, int64_t side, int64_t length) {
  int64_t most = 1;
  for (ValueId v : g.inputs) {
    const SymShape& shape = g.info(v).shape;
    for (size_t d = 1; d < shape.size(); ++d)
      if (shape[d].is_symbol() && shape[d].to_string() == symbol) most = std::max(most, shape.size() >= 4 ? side : length);
  }
  for (ValueId v : g.inputs)
    if (const SymShape& shape = g.info(v).shape; !shape.empty() && shape[0].is_symbol() && shape[0].to_string() == symbol) return 1;
  return most;
}

std::vector<std::vector<Shape>> shapes_to_ask(const Graph& g, const OptimizationProfile& profile) {
  std::vector<std::vector<Shape>> out;
  for (const auto& [side, length] : {std::pair<int64_t, int64_t>{224, 64}, {96, 16}, {32, 4}, {1, 1}}) {
    OptimizationProfile sized = profile;
    for (auto& [symbol, range] : sized.dims)
      if (range.max == kUnbounded) range.opt = plausible(g, symbol, side, length);
    std::vector<Shape> shapes = optimum_shapes(g, sized);
    if (std::find(out.begin(), out.end(), shapes) == out.end()) out.push_back(std::move(shapes));
  }
  return out;
}

}  // namespace tenon
