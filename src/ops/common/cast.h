// What Cast and CastLike share: the type check and the scalar program of a conversion.
#pragma once

#include "ops/op.h"

namespace tenon {

// Every type that converts to every other; strings do not.
inline constexpr DTypeSet kCastable = kAny;

// The value of `round_mode`. REQUIRES: check_cast passed.
PowerRound cast_round_mode(const Attrs& attrs);
// Errors: a type that nothing converts to, or an unknown rounding mode.
Status check_cast(const Attrs& attrs, DType to);
S cast_program(const ScalarArgs& a, DType to);

}  // namespace tenon
