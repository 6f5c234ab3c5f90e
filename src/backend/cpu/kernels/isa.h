// Isa: the instruction-set level that a kernel is compiled for; packed weights belong to one level.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace tenon::cpu {

enum class Isa : uint8_t { baseline, avx2, avx512 };

std::string_view isa_name(Isa isa);
bool isa_supported(Isa isa);        // by this processor and this build
Isa best_isa();                     // the highest supported level
std::vector<Isa> supported_isas();  // lowest first

}  // namespace tenon::cpu
