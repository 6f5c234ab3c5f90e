#include "base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace tenon {

FileLock::FileLock(const std::string& path) {
  std::error_code error;
  if (const auto folder = std::filesystem::path(path).parent_path(); !folder.empty()) std::filesystem::create_directories(folder, error);
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
}

FileLock::~FileLock() {
  if (fd_ >= 0) close(fd_);
}

bool FileLock::wait() {
  while (fd_ >= 0) {
    if (flock(fd_, LOCK_EX) == 0) return true;
    if (errno != EINTR) break;
  }
  return false;
}

bool FileLock::try_now() { return fd_ >= 0 && flock(fd_, LOCK_EX | LOCK_NB) == 0; }

}  // namespace tenon
