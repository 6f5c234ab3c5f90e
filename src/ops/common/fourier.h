// The discrete Fourier transform of one signal, in double: what DFT and STFT are made of.
#pragma once

#include <complex>
#include <vector>

namespace tenon {

using Complex = std::complex<double>;

// y[k] = sum over n of x[n] * exp(sign * 2 pi i k n / N), with sign -1 (forward) or +1 (inverse, not divided
// by N).
std::vector<Complex> fourier(const std::vector<Complex>& x, int sign);

}  // namespace tenon
