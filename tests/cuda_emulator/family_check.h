// For the tests of kernel families: one graph with several types and sizes.
#pragma once

#include "base/random.h"
#include "cuda_emulator/on_emulator.h"

namespace tenon::emulator {

// `graph` stands after `graph "m" `; $T in it is each of `types` in turn. The kernel's name must look like
// `kernel`.
inline void expect_agrees(const char* kernel, const std::string& graph,
                          std::initializer_list<const char*> types, std::vector<Sizes> sizes = {{}},
                          std::vector<Tensor> inputs = {}) {
  for (const char* type : types) {
    std::string text = "graph \"m\" " + graph;
    for (size_t at; (at = text.find("$T")) != std::string::npos;) text.replace(at, 2, type);
    AgreeOptions options;
    options.kernel = kernel;
    options.sizes = sizes;
    options.inputs = inputs;
    EXPECT_TRUE(agrees_on_emulator(text, options)) << text;
  }
}

// Numbers of which one in eight is NaN, an infinity or a zero.
inline Tensor specials(DType type, Shape shape) {
  Tensor t = Tensor::make(type, std::move(shape));
  Random random(7);
  const double special[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0};
  for (int64_t i = 0; i < t.size(); ++i) {
    const uint64_t r = random.next();
    t.set(i, r % 8 == 0 ? special[r / 8 % 5] : double(r % 1000) / 250 - 2);
  }
  return t;
}

// Integers from [low, high].
inline Tensor integers(DType type, Shape shape, int64_t low, int64_t high) {
  Tensor t = Tensor::make(type, std::move(shape));
  Random random(9);
  for (int64_t i = 0; i < t.size(); ++i)
    t.set_int(i, low + int64_t(random.next() % uint64_t(high - low + 1)));
  return t;
}

}  // namespace tenon::emulator
