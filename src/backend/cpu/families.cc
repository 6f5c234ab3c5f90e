#include "backend/cpu/families.h"

namespace tenon::cpu {

std::span<const Family* const> families() { return {}; }

}  // namespace tenon::cpu
