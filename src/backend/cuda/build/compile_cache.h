// Compiled kernels on disk, by content, and only so many: what was used longest ago goes first. Several threads and
// processes may use the folder at once; whatever is wrong with it or a file in it only costs time.
#pragma once

#include <string>
#include <vector>

namespace tenon::cuda {

// A name for what a result depends on.
std::string compile_key(const std::vector<std::string>& parts);
bool read_cached(const std::string& key, std::string& cubin, std::string& log);
void write_cached(const std::string& key, const std::string& cubin, const std::string& log);

struct CacheState {
  std::string folder;  // empty: there is none
  int64_t files = 0, bytes = 0;
  int64_t limit = 0;   // bytes: $TENON_CACHE_MIB MiB, else 1 GiB; 0: no limit
};
CacheState compile_cache_state();

}  // namespace tenon::cuda
