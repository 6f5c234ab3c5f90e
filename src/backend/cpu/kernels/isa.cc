// Detection of the instruction-set level, through Highway's view of the processor.
#include "backend/cpu/kernels/isa.h"

#include "backend/cpu/kernels/targets.h"
#include "hwy/highway.h"

namespace tenon::cpu {

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::baseline:
      return "baseline";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "?";
}

bool isa_supported(Isa isa) {
  static const int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
  switch (isa) {
    case Isa::baseline:
      return true;
    case Isa::avx2:
      return (targets & HWY_AVX2) != 0;
    case Isa::avx512:
      return (targets & HWY_AVX3) != 0;
  }
  return false;
}

Isa best_isa() {
  if (isa_supported(Isa::avx512)) return Isa::avx512;
  return isa_supported(Isa::avx2) ? Isa::avx2 : Isa::baseline;
}

std::vector<Isa> supported_isas() {
  std::vector<Isa> all;
  for (Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (isa_supported(isa)) all.push_back(isa);
  }
  return all;
}

}  // namespace tenon::cpu
