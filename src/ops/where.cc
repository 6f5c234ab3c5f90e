// Where: y = x where the condition holds, else y, with numpy broadcasting.
#include "ops/op.h"

namespace tenon::ops {

static DType value_type(const Attrs&, const std::vector<DType>& types) {
  return types[1];
}

extern const Op op_where{
    .name = "Where",
    .version = 16,
    .compatible_from = 9,
    .inputs = {{"condition", kBool, 'B'}, {"X", kNumeric | kBool}, {"Y", kNumeric | kBool}},
    .outputs = {{"output"}},
    .scalar = [](const ScalarArgs& a) { return select(a.x(0), a.x(1), a.x(2)); },
    .scalar_type = value_type,
    .fusion = Fusion::broadcast,
    .samples = {{{{{2, 3, 5}, DType::boolean, 0, 1}, {{5}}, {{3, 1}}}},
                {{{{4}, DType::boolean, 0, 1}, {{}, DType::i64, -9, 9}, {{4}, DType::i64, -9, 9}}},
                {{{{0, 2}, DType::boolean, 0, 1}, {{2}}, {{1}}}}},
};

}  // namespace tenon::ops
