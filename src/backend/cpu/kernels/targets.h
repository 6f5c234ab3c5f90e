// Which instruction sets the kernels are compiled for: SSE4 as the baseline, AVX2 and AVX-512. Include before any
// other hwy header.
#pragma once

// The baseline is chosen here and not by compiler flags: each target's code carries its own attributes.
#if defined(__x86_64__)
#define HWY_BASELINE_TARGETS HWY_SSE4
#define HWY_DISABLED_TARGETS (HWY_SCALAR | HWY_EMU128 | HWY_SSSE3 | HWY_AVX3_DL)
#endif
