#include "ops/common/cast.h"

namespace tenon {

PowerRound cast_round_mode(const Attrs& attrs) {
  const std::string& mode = attrs.s("round_mode");
  return mode == "down" ? PowerRound::down : mode == "nearest" ? PowerRound::nearest : PowerRound::up;
}

Status check_cast(const Attrs& attrs, DType to) {
  if (to == DType::str) return unsupported("casting to strings; Tenon has no string tensors");
  if (!kCastable.contains(to)) return invalid_model("cannot cast to ", name(to));
  const std::string& mode = attrs.s("round_mode");
  if (mode != "up" && mode != "down" && mode != "nearest")
    return invalid_model("attribute 'round_mode' must be up, down or nearest, not '", mode, "'");
  return {};
}

S cast_program(const ScalarArgs& a, DType to) {
  return cast(a.x(0), to, a.attrs.i("saturate", 1) != 0, cast_round_mode(a.attrs));
}

}  // namespace tenon
