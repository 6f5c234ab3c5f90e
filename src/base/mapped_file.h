// MappedFile: a whole file read-only in memory, shared with the page cache and with other processes.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/status.h"

namespace tenon {

class MappedFile {
 public:
  // Errors: not_found, io. An empty file maps to an empty span.
  static Result<std::shared_ptr<const MappedFile>> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

 private:
  MappedFile() = default;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  std::string path_;
};

// Writes a file whole or not at all: a temporary beside it, flushed, then renamed. Errors: io (a full disk too).
Status write_file_atomically(const std::string& path, std::span<const std::span<const uint8_t>> pieces);
Status write_file_atomically(const std::string& path, std::string_view text);

}  // namespace tenon
