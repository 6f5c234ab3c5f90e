// What the processor does at most in a second, measured: f32 multiply-adds in registers, and copies of memory.
#pragma once

#include "base/thread_pool.h"

namespace tenon::cpu {

struct MeasuredPeaks {
  double flops = 0;  // a multiply-add counts two
  double bytes = 0;  // read plus written; 0 where there is no memory for it
};
// On all threads of the pool at once; the best of a few rounds, in about 50 ms.
MeasuredPeaks measure_peaks(ThreadPool& pool);

}  // namespace tenon::cpu
