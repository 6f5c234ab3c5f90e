// Rotary position embedding: pairs of numbers turned by an angle that grows with the token's position.
#pragma once

#include <vector>

#include "ops/op.h"

namespace tenon {

struct RotaryProblem {
  int64_t batch = 0, length = 0, heads = 0, size = 0;  // of x: [batch, length, heads, size]
  int64_t half = 0;          // pairs that turn: the first 2 * half numbers of a head
  bool interleaved = false;  // pairs are neighbours; else half apart
};

// Turns x in place. row(b, t) says where the token's `half` cosines and sines begin.
template <class Row>
void rotate(std::vector<double>& x, const RotaryProblem& p, const std::vector<double>& cos,
            const std::vector<double>& sin, const Row& row) {
  for (int64_t b = 0; b < p.batch; ++b)
    for (int64_t t = 0; t < p.length; ++t)
      for (int64_t h = 0; h < p.heads; ++h) {
        double* v = x.data() + ((b * p.length + t) * p.heads + h) * p.size;
        const int64_t angles = row(b, t) * p.half;
        for (int64_t k = 0; k < p.half; ++k) {
          double &re = v[p.interleaved ? 2 * k : k], &im = v[p.interleaved ? 2 * k + 1 : k + p.half];
          const double c = cos[size_t(angles + k)], s = sin[size_t(angles + k)], turned = c * re - s * im;
          im = s * re + c * im;
          re = turned;
        }
      }
}

// Heads and numbers that turn, from inputs x (0) and the caches (`cos`, `cos + 1`), the same for both
// domains. Errors: ranks or sizes that do not fit. Concrete shapes only.
Result<RotaryProblem> rotary_problem(const Shape& x, const Shape& cos, const Shape& sin, int64_t num_heads,
                                     int64_t rotary_dim, bool interleaved);

}  // namespace tenon
