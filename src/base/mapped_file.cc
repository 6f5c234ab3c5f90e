#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tenon {

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    Code code = errno == ENOENT ? Code::not_found : Code::io;
    return make_status(code, "cannot open '", path, "': ", std::strerror(errno));
  }
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    ::close(fd);
    return make_status(Code::io, "cannot read '", path, "': not a regular file");
  }
  auto file = std::shared_ptr<MappedFile>(new MappedFile);
  file->path_ = path;
  file->size_ = size_t(st.st_size);
  if (file->size_) {
    void* p = mmap(nullptr, file->size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
      int e = errno;
      ::close(fd);
      return make_status(Code::io, "cannot map '", path, "': ", std::strerror(e));
    }
    file->data_ = static_cast<const uint8_t*>(p);
  }
  ::close(fd);
  return std::shared_ptr<const MappedFile>(std::move(file));
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<uint8_t*>(data_), size_);
}

Status write_file_atomically(const std::string& path, std::span<const std::span<const uint8_t>> pieces) {
  std::string temporary = cat(path, ".tmp.", uint64_t(getpid()));
  int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  auto failed = [&](const char* what) {
    int e = errno;
    if (fd >= 0) ::close(fd);
    unlink(temporary.c_str());
    return Status(Code::io, cat("cannot ", what, " '", path, "': ", std::strerror(e)),
                  e == ENOSPC ? "free some disk space, or write elsewhere with -o" : "");
  };
  if (fd < 0) return failed("create");
  for (auto piece : pieces)
    while (!piece.empty()) {
      ssize_t n = ::write(fd, piece.data(), std::min<size_t>(piece.size(), 1 << 30));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return failed("write");
      piece = piece.subspan(size_t(n));
    }
  if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS) return failed("flush");
  if (::close(fd) != 0) {
    fd = -1;
    return failed("close");
  }
  fd = -1;
  if (rename(temporary.c_str(), path.c_str()) != 0) return failed("rename to");
  return {};
}

Status write_file_atomically(const std::string& path, std::string_view text) {
  std::span<const uint8_t> piece(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  return write_file_atomically(path, std::span(&piece, 1));
}

}  // namespace tenon
