#include "cuda_emulator/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace tenon::emulator {

namespace {
constexpr int64_t kRegion = int64_t(1) << 36;  // addresses, not memory
constexpr int64_t kPage = 4096;
constexpr unsigned char kUnset = 0xff;

int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

char* reserve() {
  void* p = mmap(nullptr, size_t(kRegion), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? nullptr : static_cast<char*>(p);
}
}  // namespace

std::unique_ptr<Memory> Memory::create() {
  std::unique_ptr<Memory> m(new Memory);
  m->shown_ = reserve();
  m->real_ = reserve();
  return m->shown_ && m->real_ ? std::move(m) : nullptr;
}

Memory::~Memory() {
  for (char* p : {shown_, real_})
    if (p) munmap(p, size_t(kRegion));
}

void* Memory::allocate(int64_t bytes, int64_t align, int owner) {
  if (bytes < 0 || bytes > kRegion / 2) return nullptr;
  const int64_t pages = std::max(round_up(bytes, kPage), kPage);
  std::lock_guard lock(mutex_);
  // The first place with a free page before and behind.
  int64_t at = kPage;
  for (const auto& [begin, p] : pieces_) {
    if (begin - at >= pages + kPage) break;
    at = p.end + kPage;
  }
  if (at + pages + kPage > kRegion) return nullptr;
  if (mprotect(real_ + at, size_t(pages), PROT_READ | PROT_WRITE)) return nullptr;
  std::memset(real_ + at, kUnset, size_t(pages));
  const int64_t start = at + pages - std::max(round_up(bytes, align), align);
  pieces_[at] = {at, at + pages, start, bytes, owner};
  return shown_ + start;
}

bool Memory::release(void* address) {
  const int64_t offset = static_cast<char*>(address) - shown_;
  std::lock_guard lock(mutex_);
  const Piece* p = find(offset);
  if (!p || p->start != offset) return false;
  const int64_t begin = p->begin, bytes = p->end - p->begin;
  madvise(real_ + begin, size_t(bytes), MADV_DONTNEED);
  mprotect(real_ + begin, size_t(bytes), PROT_NONE);
  pieces_.erase(begin);
  return true;
}

// The piece whose pages hold this offset, or end there: an address may stand right behind a buffer.
const Memory::Piece* Memory::find(int64_t offset) const {
  auto it = pieces_.upper_bound(offset);
  if (it == pieces_.begin()) return nullptr;
  const Piece& p = std::prev(it)->second;
  return offset <= p.end ? &p : nullptr;
}

int Memory::owner_of(const void* address) const {
  const int64_t offset = static_cast<const char*>(address) - shown_;
  if (offset < 0 || offset >= kRegion) return -1;
  std::lock_guard lock(mutex_);
  const Piece* p = find(offset);
  return p && offset >= p->start && offset <= p->start + p->bytes ? p->owner : -1;
}

size_t Memory::buffers() const {
  std::lock_guard lock(mutex_);
  return pieces_.size();
}

int64_t Memory::bytes() const {
  std::lock_guard lock(mutex_);
  int64_t sum = 0;
  for (const auto& [begin, p] : pieces_) sum += p.bytes;
  return sum;
}

Result<char*> Memory::translate(const void* address, int64_t bytes) const {
  const int64_t offset = static_cast<const char*>(address) - shown_;
  if (offset < 0 || offset >= kRegion) return invalid_argument("an address that is not of this device's memory");
  std::lock_guard lock(mutex_);
  const Piece* p = find(offset);
  if (!p) return invalid_argument("an address of device memory that is not allocated, or no longer");
  if (offset < p->start || bytes < 0 || offset + bytes > p->start + p->bytes)
    return invalid_argument(bytes, " bytes from ", offset - p->start, " of a buffer of ", p->bytes, " bytes");
  return real_ + offset;
}

std::string Memory::describe(uintptr_t address) const {
  const auto base = reinterpret_cast<uintptr_t>(real_);
  const auto shown = reinterpret_cast<uintptr_t>(shown_);
  if (address >= shown && address < shown + uintptr_t(kRegion)) return "by an address that was not given as an argument";
  if (address < base || address >= base + uintptr_t(kRegion)) return "";
  const int64_t offset = int64_t(address - base);
  auto it = pieces_.upper_bound(offset);
  const Piece* before = it == pieces_.begin() ? nullptr : &std::prev(it)->second;
  const Piece* behind = it == pieces_.end() ? nullptr : &it->second;
  if (before && offset < before->start)
    return cat(before->start - offset, " bytes before a buffer of ", before->bytes, " bytes");
  const int64_t past = before ? offset - (before->start + before->bytes) : kRegion, ahead = behind ? behind->start - offset : kRegion;
  if (past == kRegion && ahead == kRegion) return "to device memory where no buffer is";
  return past <= ahead ? cat(past, " bytes behind a buffer of ", before->bytes, " bytes") : cat(ahead, " bytes before a buffer of ", behind->bytes, " bytes");
}

Status Memory::check() {
  std::lock_guard lock(mutex_);
  Status first;
  const auto look = [&](int64_t begin, int64_t end, const char* where, const Piece& p) {
    if (std::all_of(real_ + begin, real_ + end, [](char c) { return static_cast<unsigned char>(c) == kUnset; })) return;
    std::memset(real_ + begin, kUnset, size_t(end - begin));
    if (first.ok()) first = internal_error("something was written ", where, " a buffer of ", p.bytes, " bytes");
  };
  for (const auto& [begin, p] : pieces_) {
    look(p.begin, p.start, "before", p);
    look(p.start + p.bytes, p.end, "behind", p);
  }
  return first;
}

}  // namespace tenon::emulator
