#include "ops/common/random.h"

#include <bit>
#include <cmath>
#include <numbers>

#include "ops/common/dtype_attr.h"

namespace tenon {

static uint64_t seed_of(const Attrs& attrs) {
  constexpr uint64_t kDefault = 0x7e4e5eed;
  return attrs.has("seed") ? std::bit_cast<uint32_t>(attrs.f("seed")) : kDefault;
}

OpRandom::OpRandom(const Attrs& attrs) : state_(seed_of(attrs)) {}

uint64_t OpRandom::next() {
  state_ += 0x9e3779b97f4a7c15;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

double OpRandom::normal() {  // Box and Muller
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

Status infer_random(InferArgs& a) {
  const DType type = TRY(dtype_attr(a.attrs, "dtype", DType::f32, kFloats));
  for (int64_t d : a.attrs.ints("shape"))
    if (d < 0) return invalid_model("shape ", a.attrs.ints("shape"), " is negative");
  a.set(0, type, to_sym(a.attrs.ints("shape")));
  return {};
}

Status infer_random_like(InferArgs& a) {
  const DType type = TRY(dtype_attr(a.attrs, "dtype", a.dtype(0), a.op.outputs[0].types));
  if (!a.ranked(0)) return a.set_unranked(0, type), Status();
  a.set(0, type, a.shape(0));
  return {};
}

Status reference_random_normal(RefArgs& a) {
  OpRandom random(a.attrs);
  const double mean = double(a.attrs.f("mean")), scale = double(a.attrs.f("scale"));
  for (int64_t i = 0; i < a.y(0).size(); ++i) a.y(0).set(i, mean + scale * random.normal());
  return {};
}

Status reference_random_uniform(RefArgs& a) {
  OpRandom random(a.attrs);
  const double low = double(a.attrs.f("low")), high = double(a.attrs.f("high"));
  for (int64_t i = 0; i < a.y(0).size(); ++i) a.y(0).set(i, low + (high - low) * random.uniform());
  return {};
}

}  // namespace tenon
