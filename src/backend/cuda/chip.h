// What is known of a chip by its name, as much as generators and cost models ask.
#pragma once

#include <span>
#include <string>

#include "base/status.h"

namespace tenon::cuda {

// Flop of one multiprocessor in one clock: sums of products by the type of the factors (f16: bf16 too), on whatever unit is
// fastest, not counting sparsity; and other arithmetic in f32.
struct FlopsPerClock {
  int f64, f32, tf32, f16, f8, i8, arithmetic;
};

struct Chip {
  const char* name;        // "sm_90a", as the compiler takes it
  int major, minor;
  bool only_this;          // code for it runs on this chip alone (sm_90a), not on later ones of its major number
  int multiprocessors;     // of the largest product, for cost models; the device tells its own
  int shared_per_block;    // bytes that a block may ask for
  int registers_per_sm;
  bool wgmma;              // warpgroup products, bulk tensor copies and clusters (Hopper)
  bool bulk_copies;        // cp.async.bulk.tensor and mbarrier transactions
  double gigahertz;        // the clock under load, for cost models
  FlopsPerClock flops;
};

std::span<const Chip> chips();
// "cuda:sm_90a" -> its chip. Errors: invalid_argument naming the chips there are.
Result<Chip> chip_of_target(const std::string& target);
// The best target for a device of this compute capability; null when none fits.
const Chip* chip_of_capability(int major, int minor);
// Whether code built for `chip` runs on a device of this compute capability.
bool runs_on(const Chip& chip, int major, int minor);

}  // namespace tenon::cuda
