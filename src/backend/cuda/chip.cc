#include "backend/cuda/chip.h"

namespace tenon::cuda {

// Those of the professional cards; GeForce cards of sm_86, sm_89 and sm_120 sum f16 products in f32 at half the rate.
static constexpr Chip kChips[] = {
    // name, major, minor, only_this, multiprocessors, shared_per_block, registers_per_sm, wgmma, bulk_copies, gigahertz,
    // {f64, f32, tf32, f16, f8, i8, arithmetic}
    {"sm_80", 8, 0, false, 108, 163 * 1024, 65536, false, false, 1.41, {128, 128, 1024, 2048, 0, 4096, 128}},        // A100
    {"sm_86", 8, 6, false, 84, 99 * 1024, 65536, false, false, 1.7, {4, 256, 512, 1024, 0, 2048, 256}},              // A10, A40, RTX 30
    {"sm_89", 8, 9, false, 142, 99 * 1024, 65536, false, false, 2.0, {4, 256, 512, 1024, 2048, 2048, 256}},          // L4, L40, RTX 40
    {"sm_90a", 9, 0, true, 132, 227 * 1024, 65536, true, true, 1.75, {256, 256, 2048, 4096, 8192, 8192, 256}},       // H100, H200, GH200
    {"sm_100", 10, 0, false, 148, 227 * 1024, 65536, false, true, 1.85, {128, 256, 4096, 8192, 16384, 16384, 256}},  // B200
    {"sm_120", 12, 0, false, 188, 99 * 1024, 65536, false, true, 2.4, {4, 256, 512, 1024, 2048, 2048, 256}},         // RTX 50, RTX PRO 6000
};

std::span<const Chip> chips() { return kChips; }

Result<Chip> chip_of_target(const std::string& target) {
  std::string names;
  for (const Chip& c : kChips) {
    if (target == cat("cuda:", c.name)) return c;
    names += cat(names.empty() ? "" : ", ", "cuda:", c.name);
  }
  return invalid_argument("no target '", escape(target), "'; there are: ", names).with_remedy("build for one of them with --target");
}

bool runs_on(const Chip& chip, int major, int minor) {
  return chip.major == major && (chip.only_this ? chip.minor == minor : chip.minor <= minor);
}

const Chip* chip_of_capability(int major, int minor) {
  const Chip* best = nullptr;
  for (const Chip& c : kChips)
    if (runs_on(c, major, minor)) best = &c;  // they stand in rising order
  return best;
}

}  // namespace tenon::cuda
