#include "ops/common/fourier.h"

#include <cmath>
#include <cstdint>

namespace tenon {

// std::complex's product looks for NaN; plain arithmetic is what is wanted here.
static Complex times(Complex a, Complex b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

// `roots` are the powers of exp(sign * 2 pi i / (N * step)): step of them make one N-th root.
static std::vector<Complex> transform(const std::vector<Complex>& x, const std::vector<Complex>& roots,
                                      size_t step) {
  const size_t n = x.size();
  std::vector<Complex> y(n);
  if (n % 2 || n < 4) {
    for (size_t k = 0; k < n; ++k)
      for (size_t j = 0, r = 0; j < n; ++j) {
        y[k] += times(x[j], roots[r * step]);
        r += k;
        if (r >= n) r -= n;
      }
    return y;
  }
  std::vector<Complex> even(n / 2), odd(n / 2);
  for (size_t j = 0; j < n / 2; ++j) {
    even[j] = x[2 * j];
    odd[j] = x[2 * j + 1];
  }
  even = transform(even, roots, step * 2);
  odd = transform(odd, roots, step * 2);
  for (size_t k = 0; k < n / 2; ++k) {
    const Complex o = times(odd[k], roots[k * step]);
    y[k] = even[k] + o;
    y[k + n / 2] = even[k] - o;
  }
  return y;
}

std::vector<Complex> fourier(const std::vector<Complex>& x, int sign) {
  std::vector<Complex> roots(x.size());
  for (size_t k = 0; k < roots.size(); ++k)
    roots[k] = std::polar(1.0, sign * 2 * M_PI * double(k) / double(x.size()));
  return transform(x, roots, 1);
}

}  // namespace tenon
