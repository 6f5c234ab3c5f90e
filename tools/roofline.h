// The least time that a device's peaks allow for a step's work.
#pragma once

#include "backend/backend.h"
#include "ir/work.h"

namespace tenon::cli {

struct Roofline {
  double seconds = 0;  // 0: nothing to do, or the peaks are not known
  std::string by;      // what takes so long: "memory", "products f16", "arithmetic"
};
Roofline roofline(const Work& work, const Peaks& peaks, bool tf32);
// "989 TFLOP/s in f16 products, ..., 4.92 TB/s".
std::string show_peaks(const Peaks& peaks);

}  // namespace tenon::cli
