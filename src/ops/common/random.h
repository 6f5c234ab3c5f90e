// A small random generator, the same on every machine, and what the operators that draw random numbers share.
#pragma once

#include "ops/op.h"

namespace tenon {

// Not base/random.h, whose numbers golden inputs depend on. SplitMix64: a counter, scrambled. https://prng.di.unimi.it/splitmix64.c describes it.
class OpRandom {
 public:
  explicit OpRandom(uint64_t seed) : state_(seed) {}
  // From attribute "seed"; a fixed seed without one, so that runs repeat.
  explicit OpRandom(const Attrs& attrs);
  uint64_t next();
  double uniform() { return double(next() >> 11) * 0x1p-53; }  // [0, 1)
  double normal();                                             // mean 0, variance 1

 private:
  uint64_t state_;
};

// Output: attribute "shape" and attribute "dtype".
Status infer_random(InferArgs& a);
// Output: shape of input 0; attribute "dtype", or the type of input 0.
Status infer_random_like(InferArgs& a);
// mean + scale * normal, low + (high - low) * uniform; from the attributes of these names.
Status reference_random_normal(RefArgs& a);
Status reference_random_uniform(RefArgs& a);

}  // namespace tenon
