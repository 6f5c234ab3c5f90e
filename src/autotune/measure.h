// Measuring: kernels of one request against each other, on the device, through the contract alone. Whether their results
// are right is not asked here.
#pragma once

#include "backend/compiler.h"

namespace tenon {

struct Timing {
  double seconds = 0;  // of one launch, the median of the repeats
  double spread = 0;   // seconds between the quartiles
};

struct MeasureOptions {
  // Asked between repeats: true ends the measuring. What has no repeat by then has `cancelled`.
  std::function<bool()> out_of_time;
};

// Runs each image on random operands of the profile's optimum, always the same ones, taking turns so that a device that
// warms up or slows down treats all alike. Many launches make a repeat, recorded where the stream can, so that the cost of
// launching does not hide what a short kernel takes. Operands stay in the device's caches between launches.
// REQUIRES: has_sizes(request). Errors of an image: its own, where it does not load, bind or run; cancelled; of all:
// unsupported, where an operand's value is known in the run alone; out_of_memory, for the operands.
std::vector<Result<Timing>> measure(Device& device, const KernelRequest& request, const std::vector<const KernelImage*>& images,
                                    const MeasureOptions& options = {});

}  // namespace tenon
