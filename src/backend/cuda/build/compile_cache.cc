#include "backend/cuda/build/compile_cache.h"

#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "backend/cuda/build/nvrtc.h"
#include "base/machine.h"
#include "base/text.h"

namespace tenon::cuda {

namespace fs = std::filesystem;

namespace {
// A file: this, the log, the machine code.
struct Header {
  char magic[8];
  uint64_t log_bytes, cubin_bytes;
  uint64_t hash;  // of all that follows
};
constexpr char kMagic[8] = {'t', 'e', 'n', 'o', 'n', 'c', 'u', '1'};

struct CachedFile {
  fs::path path;
  fs::file_time_type used;
  int64_t bytes;
};

std::vector<CachedFile> list_files(const std::string& folder) {
  std::vector<CachedFile> out;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    // Another process may remove it meanwhile.
    std::error_code gone;
    const auto used = it->last_write_time(gone);
    const auto bytes = gone ? 0 : it->file_size(gone);
    if (!gone) out.push_back({it->path(), used, int64_t(bytes)});
  }
  return out;
}

int64_t size_limit() {
  constexpr int64_t kDefaultMib = 1024, kMostMib = int64_t(1) << 30;
  int64_t mib = kDefaultMib;
  const char* set = std::getenv("TENON_CACHE_MIB");
  if (set && *set && (!parse_int(set, mib) || mib < 0 || mib > kMostMib)) mib = kDefaultMib;
  return mib << 20;
}

// Removes what was used longest ago until nine tenths of the limit are left, so that not every file that is written has to
// make room for itself. Files that a process left half written count like others. Who removes what another just wanted to
// remove does no harm; whoever reads a file that is removed has it open.
void trim(const std::string& folder) {
  const int64_t limit = size_limit();
  if (limit == 0) return;
  std::vector<CachedFile> files = list_files(folder);
  int64_t total = 0;
  for (const CachedFile& f : files) total += f.bytes;
  if (total <= limit) return;
  std::sort(files.begin(), files.end(), [](auto& a, auto& b) { return std::tie(a.used, a.path) < std::tie(b.used, b.path); });
  for (const CachedFile& f : files) {
    if (total <= limit / 10 * 9) break;
    std::error_code error;
    fs::remove(f.path, error);
    total -= f.bytes;
  }
}
}  // namespace

CacheState compile_cache_state() {
  CacheState s{compile_cache_folder(), 0, 0, size_limit()};
  for (const CachedFile& f : list_files(s.folder)) ++s.files, s.bytes += f.bytes;
  return s;
}

std::string compile_cache_folder() {
  const std::string folder = cache_folder();
  return folder.empty() ? folder : folder + "/cuda";
}

std::string compile_key(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& p : parts) all += cat(p.size(), ":", p);
  const XXH128_hash_t h = XXH3_128bits(all.data(), all.size());
  char text[40];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(h.high64),
                static_cast<unsigned long long>(h.low64));
  return text;
}

bool read_cached(const std::string& key, std::string& cubin, std::string& log) {
  const std::string folder = compile_cache_folder();
  if (folder.empty()) return false;
  std::ifstream file(folder + "/" + key, std::ios::binary);
  if (!file) return false;
  const std::string all((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  Header h;
  if (all.size() < sizeof h) return false;
  std::memcpy(&h, all.data(), sizeof h);
  const uint64_t rest = all.size() - sizeof h;
  if (std::memcmp(h.magic, kMagic, sizeof kMagic) != 0 || h.log_bytes > rest || h.cubin_bytes != rest - h.log_bytes) return false;
  if (XXH3_64bits(all.data() + sizeof h, rest) != h.hash) return false;
  log = all.substr(sizeof h, h.log_bytes);
  cubin = all.substr(sizeof h + h.log_bytes);
  std::error_code error;  // a folder that cannot be written is no error
  fs::last_write_time(folder + "/" + key, fs::file_time_type::clock::now(), error);
  return true;
}

void write_cached(const std::string& key, const std::string& cubin, const std::string& log) {
  const std::string folder = compile_cache_folder();
  if (folder.empty()) return;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return;
  // Under a name of its own first, so that nobody reads half a file.
  static std::atomic<int> count = 0;
  const std::string path = folder + "/" + key, temporary = cat(path, ".", getpid(), ".", count++);
  const std::string body = log + cubin;
  Header h{};
  std::memcpy(h.magic, kMagic, sizeof kMagic);
  h.log_bytes = log.size();
  h.cubin_bytes = cubin.size();
  h.hash = XXH3_64bits(body.data(), body.size());
  std::ofstream file(temporary, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&h), sizeof h);
  file.write(body.data(), std::streamsize(body.size()));
  file.close();
  if (file.good()) fs::rename(temporary, path, error);
  if (!file.good() || error) fs::remove(temporary, error);
  trim(folder);
}

}  // namespace tenon::cuda
