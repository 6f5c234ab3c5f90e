// The list of families. A family is a file of families/ and two lines here.
#include "backend/cuda/build/family.h"

namespace tenon::cuda {

extern const Family kPointwise;

static constexpr const Family* kFamilies[] = {
    &kPointwise,
};

std::span<const Family* const> families() { return kFamilies; }

}  // namespace tenon::cuda
