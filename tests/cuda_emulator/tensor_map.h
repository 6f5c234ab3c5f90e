// A tensor map as the emulated driver encodes it and emulated kernels read it. Kernels are compiled with this in front of
// them, so it includes nothing and is plain C++17.
#pragma once

struct EmuTensorMap {
  char* base;  // the device's address; where the bytes lie once a kernel sees it
  unsigned long long strides[4];  // of dimensions 1 and up, bytes
  unsigned dims[5];
  unsigned short box[5];          // im2col: channels and pixels
  short lower[3], upper[3];
  unsigned char steps[5], rank, element_bytes, swizzle, im2col;
  unsigned mark;
  static constexpr unsigned kMark = 0x7e50a9u;
};
static_assert(sizeof(EmuTensorMap) <= 128, "a tensor map has 128 bytes");
