// Memory of the emulated device. Its addresses are those of a region that nobody may touch; the bytes lie elsewhere, and
// only what runs for the device translates. So whoever reads or writes device memory from the host faults.
//
// Each buffer has pages of its own between pages that fault, and ends right before one, or as near as its alignment lets.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/status.h"

namespace tenon::emulator {

class Memory {
 public:
  static std::unique_ptr<Memory> create();  // null when the process may not have so many addresses
  ~Memory();
  Memory(const Memory&) = delete;

  // Filled with bytes that are NaN as floats and -1 as integers. Null when it is full.
  void* allocate(int64_t bytes, int64_t align = 64, int owner = 0);
  // The GPU that a live buffer, or its end, was allocated for; negative where there is none.
  int owner_of(const void* address) const;
  // False where no buffer begins.
  bool release(void* address);
  // Where the bytes of a device address lie. Errors: invalid_argument, saying why `bytes` from there are not a live
  // buffer's.
  Result<char*> translate(const void* address, int64_t bytes) const;
  // What a fault at this address was: "4 bytes behind a buffer of 64"; "" where it is none of this memory.
  std::string describe(uintptr_t address) const;
  // Errors: something was written between buffers since the last call.
  Status check();
  // Buffers that have not been released.
  size_t buffers() const;
  int64_t bytes() const;  // in them

 private:
  struct Piece {
    int64_t begin, end;    // pages, as offsets
    int64_t start, bytes;  // the buffer in them
    int owner;
  };
  Memory() = default;
  const Piece* find(int64_t offset) const;

  char *shown_ = nullptr, *real_ = nullptr;
  mutable std::mutex mutex_;
  std::map<int64_t, Piece> pieces_;  // by where their pages begin
};

}  // namespace tenon::emulator
