// The fuzz targets on their stored inputs and on thousands of changed ones, the same each time: what a plain build checks of
// the readers. The stage `fuzz` runs the same targets under libFuzzer and the sanitizers.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/random.h"

extern "C" {
int onnx_fuzz(const uint8_t* data, size_t size);
int engine_fuzz(const uint8_t* data, size_t size);
int text_fuzz(const uint8_t* data, size_t size);
}

namespace tenon {
namespace {

struct Target {
  const char* name;
  int (*run)(const uint8_t*, size_t);
  int mutations;
};

class Mutations : public ::testing::TestWithParam<Target> {};
INSTANTIATE_TEST_SUITE_P(Targets, Mutations,
                         ::testing::Values(Target{"onnx_fuzz", onnx_fuzz, 20000}, Target{"engine_fuzz", engine_fuzz, 20000}, Target{"text_fuzz", text_fuzz, 20000}),
                         [](auto& p) { return std::string(p.param.name); });

using Bytes = std::vector<uint8_t>;

std::vector<Bytes> stored(const std::string& name) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(TENON_SOURCE_DIR) + "/tests/fuzz/" + name)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> out;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    out.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return out;
}

void change(Bytes& b, const std::vector<Bytes>& seeds, Random& random) {
  const auto below = [&](size_t n) { return size_t(random.next() % std::max<size_t>(n, 1)); };
  for (size_t times = 1 + below(4); times-- > 0;) {
    if (b.empty()) b.push_back(0);
    const size_t at = below(b.size());
    switch (below(6)) {
      case 0: b[at] ^= uint8_t(1u << below(8)); break;
      case 1: b[at] = uint8_t(random.next()); break;
      case 2: b[at] = below(2) ? 0xff : 0x7f; break;
      case 3: b.resize(at); break;
      case 4: b.insert(b.begin() + int64_t(at), 1 + below(9), uint8_t(random.next())); break;
      default: {
        const Bytes& other = seeds[below(seeds.size())];
        const size_t from = below(other.size()), n = std::min(below(64), other.size() - from);
        b.insert(b.begin() + int64_t(at), other.begin() + int64_t(from), other.begin() + int64_t(from + n));
      }
    }
  }
}

TEST_P(Mutations, AreRefusedOrWork) {
  const std::vector<Bytes> seeds = stored(GetParam().name);
  ASSERT_FALSE(seeds.empty());
  for (const Bytes& b : seeds) GetParam().run(b.data(), b.size());
  Random random(20261122);
  for (int i = 0; i < GetParam().mutations; ++i) {
    Bytes b = seeds[size_t(random.next() % seeds.size())];
    change(b, seeds, random);
    GetParam().run(b.data(), b.size());
  }
}

}  // namespace
}  // namespace tenon
