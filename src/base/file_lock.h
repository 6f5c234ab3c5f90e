// An advisory lock between processes: a file of its own, held as long as the object lives, given up by the system when a process
// dies.
#pragma once

#include <string>
#include <utility>

namespace tenon {

class FileLock {
 public:
  FileLock() = default;
  // Opens or makes the file, and the folder that it lies in; does not lock yet.
  explicit FileLock(const std::string& path);
  FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileLock& operator=(FileLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileLock();

  // False: the file cannot be opened, and errno says why; nothing below works then.
  bool usable() const { return fd_ >= 0; }
  bool wait();
  // At once: whether it is held now.
  bool try_now();

 private:
  int fd_ = -1;
};

}  // namespace tenon
