// Which instruction sets Highway compiles: one baseline, AVX2 and AVX-512. Include before any Highway header.
#pragma once

#if defined(__x86_64__) || defined(__i386__)
#ifndef HWY_BASELINE_TARGETS
#define HWY_BASELINE_TARGETS HWY_SSE4
#endif
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SCALAR | HWY_EMU128 | HWY_SSSE3 | HWY_AVX3_DL)
#endif
#endif
