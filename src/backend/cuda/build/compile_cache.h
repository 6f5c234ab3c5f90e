// Compiled kernels on disk, by content. Whatever is wrong with the folder or a file in it only costs time.
#pragma once

#include <string>
#include <vector>

namespace tenon::cuda {

// A name for what a result depends on.
std::string compile_key(const std::vector<std::string>& parts);
bool read_cached(const std::string& key, std::string& cubin, std::string& log);
void write_cached(const std::string& key, const std::string& cubin, const std::string& log);

}  // namespace tenon::cuda
