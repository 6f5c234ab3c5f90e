// Reads two handwritten digits with the C++ API: builds an engine, saves it, loads it, and runs it on batch 1 and 2.
//
//   classify examples/digits/digits.onnx digits.engine
#include <algorithm>
#include <cstdio>
#include <vector>

#include "../digits/two_digits.h"
#include "tenon/tenon.h"

static int fail(const tenon::Status& status) {
  std::fprintf(stderr, "%s: %s\n", tenon::code_name(status.code()), status.to_string().c_str());
  return 1;
}

// The digit that has the largest of ten probabilities.
static int choose(const float* probability) { return int(std::max_element(probability, probability + 10) - probability); }

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s digits.onnx digits.engine\n", argv[0]);
    return 2;
  }

  // Build for batches of 1 to 64, and keep the engine in a file.
  auto file = tenon::Builder("cpu").parse(argv[1]).optimization_profile({{"image", {{1, 8, 64}, 1, 8, 8}}}).build();
  if (!file.ok()) return fail(file.status());
  if (auto saved = file->save(argv[2]); !saved.ok()) return fail(saved);

  // Later, or on another machine of the same kind: load and run.
  auto engine = tenon::Runtime().load(argv[2]);
  if (!engine.ok()) return fail(engine.status());
  std::printf("%s, built for %s, on %s\n", engine->name().c_str(), engine->target().c_str(), engine->device().c_str());
  auto context = engine->create_context(/*threads=*/1);
  if (!context.ok()) return fail(context.status());

  const int expected[] = {0, 7};
  for (int64_t batch = 1; batch <= 2; ++batch) {
    std::vector<float> probability(size_t(batch) * 10);
    for (const tenon::Status& status :
         {context->set_input_shape("image", {batch, 1, 8, 8}), context->set_address("image", kTwoDigits, batch * 64 * 4),
          context->set_address("probability", probability.data(), int64_t(probability.size()) * 4), context->enqueue(),
          context->synchronize()})
      if (!status.ok()) return fail(status);
    for (int64_t i = 0; i < batch; ++i) {
      const int digit = choose(&probability[size_t(i) * 10]);
      std::printf("batch %d: image %d is a %d\n", int(batch), int(i), digit);
      if (digit != expected[i]) return 1;
    }
  }

  // Errors are values that say what is wrong and what to do.
  const tenon::Status wrong = context->set_input_shape("image", {1, 1, 9, 9});
  std::printf("as expected: %s\n", wrong.to_string().c_str());
  return wrong.code() == tenon::Code::invalid_argument ? 0 : 1;
}
