#include "backend/cuda/build/nvrtc.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "backend/cuda/build/compile_cache.h"

namespace tenon::cuda {
namespace {

namespace fs = std::filesystem;

// A cache folder of its own.
struct Nvrtc : testing::Test {
  fs::path folder = fs::temp_directory_path() / cat("tenon-nvrtc-test-", getpid());
  void SetUp() override { setenv("TENON_CACHE", folder.c_str(), 1); }
  void TearDown() override {
    unsetenv("TENON_CACHE");
    fs::remove_all(folder);
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> out;
    if (fs::exists(folder))
      for (const auto& e : fs::recursive_directory_iterator(folder))
        if (e.is_regular_file()) out.push_back(e.path());
    return out;
  }
};

#define NEED_NVRTC \
  if (!nvrtc_description().ok()) GTEST_SKIP() << nvrtc_description().status().to_string()

constexpr const char* kRelu =
    "extern \"C\" __global__ void relu(const float* x, float* y, int n) {\n"
    "  PDL_WAIT;\n"
    "  const int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "  if (i < n) y[i] = max_nan(x[i], 0.f);\n"
    "}\n";

TEST_F(Nvrtc, CompilesForEveryChipWithoutOne) {
  NEED_NVRTC;
  for (const Chip& c : chips()) {
    auto r = compile_cuda(kRelu, c);
    ASSERT_TRUE(r.ok()) << r.status().to_string();
    EXPECT_EQ(r->cubin.substr(0, 4), "\x7f" "ELF");
    ASSERT_EQ(r->kernels.size(), 1u) << r->log;
    EXPECT_EQ(r->kernels[0].kernel, "relu");
    EXPECT_GT(r->kernels[0].registers, 0);
    EXPECT_EQ(r->kernels[0].spilled, 0);
  }
}

TEST_F(Nvrtc, ErrorsCarryTheCompilersWords) {
  NEED_NVRTC;
  auto r = compile_cuda("extern \"C\" __global__ void f() { nonsense(); }", chips()[0]);
  ASSERT_FALSE(r.ok());
  EXPECT_NE(r.status().message().find("nonsense"), std::string::npos);
}

TEST_F(Nvrtc, RefusesSpillsWhenAsked) {
  NEED_NVRTC;
  const std::string source = cat("/* ", getpid(), " */ extern \"C\" __global__ void __launch_bounds__(1024, 2) f(float* p) {\n"
                                 "  float v[200];\n"
                                 "  UNROLL for (int i = 0; i < 200; ++i) v[i] = p[i];\n"
                                 "  for (int k = 0; k < 9; ++k) UNROLL for (int i = 0; i < 200; ++i) v[i] = v[i] * v[(i * 7 + 1) % 200] + p[k];\n"
                                 "  UNROLL for (int i = 0; i < 200; ++i) p[i] = v[i];\n"
                                 "}\n");
  NvrtcOptions options;
  ASSERT_TRUE(compile_cuda(source, chips()[0], options).ok());
  options.refuse_slow = true;
  auto r = compile_cuda(source, chips()[0], options);
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.status().code(), Code::no_kernel);
  EXPECT_NE(r.status().message().find("spills"), std::string::npos);
}

TEST_F(Nvrtc, SerialisedProductsAreSlow) {
  NEED_NVRTC;
  // The sums are needed between two products, so each has to be waited for.
  const std::string source = cat("/* ", getpid(), R"( */ extern "C" __global__ void f(float* p, unsigned long long a, unsigned long long b) {
    float v[4] = {p[0], p[1], p[2], p[3]};
    asm volatile("wgmma.fence.sync.aligned;");
    for (int i = 0; i < 4; ++i) {
      asm volatile("wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%0, %1, %2, %3}, %4, %5, 1, 1, 1, 0, 0;"
                   : "+f"(v[0]), "+f"(v[1]), "+f"(v[2]), "+f"(v[3]) : "l"(a), "l"(b + i));
      v[0] += 1.f;
    }
    asm volatile("wgmma.commit_group.sync.aligned;");
    asm volatile("wgmma.wait_group.sync.aligned 0;");
    for (int i = 0; i < 4; ++i) p[i] = v[i];
  })");
  auto r = compile_cuda(source, *chip_of_target("cuda:sm_90a"), {{}, /*refuse_slow=*/false, /*use_disk=*/false});
  ASSERT_TRUE(r.ok()) << r.status().to_string();
  EXPECT_NE(slowness(*r).find("serialized"), std::string::npos) << r->log;
}

TEST_F(Nvrtc, EqualTextsAreCompiledOnceByAllThreads) {
  NEED_NVRTC;
  const std::string source = cat("/* ", getpid(), " threads */", kRelu);
  std::vector<std::string> cubins(4);
  std::vector<std::thread> threads;
  for (std::string& c : cubins)
    threads.emplace_back([&c, &source] {
      auto r = compile_cuda(source, chips()[0]);
      c = r.ok() ? r->cubin : r.status().to_string();
    });
  for (std::thread& t : threads) t.join();
  for (const std::string& c : cubins) EXPECT_EQ(c, cubins[0]);
  EXPECT_EQ(cubins[0].substr(0, 4), "\x7f" "ELF");
  EXPECT_EQ(files().size(), 1u);
}

TEST_F(Nvrtc, CacheGivesBackWhatItGotAndSurvivesDamage) {
  const std::string key = compile_key({"a", "b"}), cubin("\0machine\0code", 13), log = "the log";
  EXPECT_NE(key, compile_key({"ab"}));
  EXPECT_NE(key, compile_key({"a", "b", ""}));
  std::string c, l;
  EXPECT_FALSE(read_cached(key, c, l));
  write_cached(key, cubin, log);
  ASSERT_TRUE(read_cached(key, c, l));
  EXPECT_EQ(c, cubin);
  EXPECT_EQ(l, log);
  ASSERT_EQ(files().size(), 1u);  // no temporary file is left
  const fs::path file = files()[0];
  const auto whole = fs::file_size(file);
  for (uint64_t size = 0; size < whole; ++size) {
    fs::resize_file(file, size);
    EXPECT_FALSE(read_cached(key, c, l)) << size;
  }
  write_cached(key, cubin, log);
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).seekp(-1, std::ios::end).put('x');
  EXPECT_FALSE(read_cached(key, c, l));
}

TEST_F(Nvrtc, TheCacheDropsWhatWasUsedLongestAgo) {
  setenv("TENON_CACHE_MIB", "1", 1);
  const std::string large(300 * 1024, 'x');
  std::string c, l;
  const auto key = [](int i) { return compile_key({cat(i)}); };
  for (int i = 0; i < 3; ++i) {
    write_cached(key(i), large, "");
    // As if it had been a while ago.
    fs::last_write_time(folder / "cuda" / key(i), fs::file_time_type::clock::now() - std::chrono::hours(10 - i));
  }
  EXPECT_EQ(compile_cache_state().files, 3);
  EXPECT_TRUE(read_cached(key(0), c, l));  // used again
  write_cached(key(3), large, "");
  EXPECT_TRUE(read_cached(key(0), c, l));
  EXPECT_FALSE(read_cached(key(1), c, l));
  EXPECT_TRUE(read_cached(key(2), c, l));
  EXPECT_TRUE(read_cached(key(3), c, l));
  EXPECT_LE(compile_cache_state().bytes, int64_t(1) << 20);
  // Many threads at once, each with files of its own; nothing of it fails.
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 8; ++i) {
        std::string cubin, log;
        write_cached(key(100 * t + i), large, "log");
        if (read_cached(key(100 * t + i), cubin, log)) {
          EXPECT_EQ(cubin, large);
        }
      }
    });
  for (std::thread& t : threads) t.join();
  EXPECT_LE(compile_cache_state().bytes, int64_t(1) << 20);
  setenv("TENON_CACHE_MIB", "0", 1);  // no limit
  for (int i = 0; i < 6; ++i) write_cached(key(i), large, "");
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(read_cached(key(i), c, l));
  unsetenv("TENON_CACHE_MIB");
  EXPECT_EQ(compile_cache_state().limit, int64_t(1) << 30);
}

TEST_F(Nvrtc, ACacheThatCannotBeWrittenIsNoError) {
  setenv("TENON_CACHE", "/proc/nowhere", 1);
  write_cached("key", "c", "l");
  std::string c, l;
  EXPECT_FALSE(read_cached("key", c, l));
}

TEST(NvrtcLog, Figures) {
  const auto k = parse_stats(
      "ptxas info    : 0 bytes gmem\n"
      "ptxas info    : Compiling entry function 'a' for 'sm_90a'\n"
      "ptxas info    : Function properties for a\n"
      "ptxas         .     16 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads\n"
      "ptxas info    : Used 168 registers, used 1 barriers, 1024 bytes smem, 400 bytes cmem[0]\n"
      "ptxas info    : Compiling entry function 'b' for 'sm_90a'\n"
      "ptxas info    : Used 9 registers, 12 bytes cmem[0]\n");
  ASSERT_EQ(k.size(), 2u);
  EXPECT_EQ(k[0].kernel, "a");
  EXPECT_EQ(k[0].spilled, 20);
  EXPECT_EQ(k[0].registers, 168);
  EXPECT_EQ(k[0].shared, 1024);
  EXPECT_EQ(k[1].registers, 9);
  EXPECT_EQ(k[1].shared, 0);
}

}  // namespace
}  // namespace tenon::cuda
