// What keeps a hostile size from taking the process down: a limit for one buffer, and exhausted memory as a Status.
#pragma once

#include <cstdint>
#include <new>
#include <stdexcept>

#include "base/status.h"

namespace tenon {

// The most bytes that one buffer may have; at first the machine's memory. Tests and fuzzers set it lower.
int64_t buffer_limit();
void set_buffer_limit(int64_t bytes);

Status out_of_memory();

// Calls f, whose result is a Status or a Result. The standard library reports exhausted memory and impossible sizes by
// exceptions; they end here. Put around what follows the data of a file or of a run.
template <class F>
auto catch_bad_alloc(F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  } catch (const std::length_error&) {
    return out_of_memory();
  }
}

}  // namespace tenon
