// What float32 numbers are in a narrower type, without leaving float32: to the nearest, as conversion there and back gives, in a
// form that a compiler can vectorise.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace tenon {

// To `Dropped` bits of fraction less; ties to even.
template <int Dropped>
inline float drop_bits(float v) {
  const uint32_t bits = std::bit_cast<uint32_t>(v);
  constexpr uint32_t kHalf = (1u << (Dropped - 1)) - 1, kMask = (1u << Dropped) - 1;
  return std::bit_cast<float>((bits + kHalf + (bits >> Dropped & 1)) & ~kMask);
}

inline float narrow_bf16(float v) { return std::fabs(v) <= std::numeric_limits<float>::max() ? drop_bits<16>(v) : v; }

inline float narrow_f16(float v) {
  const float magnitude = std::fabs(v);
  // Below the normal numbers there are multiples of 2^-24, which is the last place of numbers from 0.5 to 1.
  const float small = std::copysign((magnitude + 0.75f) - 0.75f, v);
  const float normal = drop_bits<13>(v);
  const float finite = magnitude < 0x1p-14f ? small : normal;
  const float infinite = std::copysign(std::numeric_limits<float>::infinity(), v);
  return magnitude < 65520.0f ? finite : magnitude == magnitude ? infinite : v;
}

// Ten bits of fraction; ties away from zero, as the conversion in front of tensor cores has it.
inline float narrow_tf32(float v) {
  const uint32_t bits = std::bit_cast<uint32_t>(v);
  return std::fabs(v) <= std::numeric_limits<float>::max() ? std::bit_cast<float>((bits + 0x1000u) & ~0x1fffu) : v;
}

}  // namespace tenon
