// What the files of the public API share.
#pragma once

#include <new>

#include "base/status.h"
#include "runtime/engine.h"
#include "tenon/tenon.h"

namespace tenon {

struct EngineFile::Impl {
  std::shared_ptr<const void> owner;
  std::span<const uint8_t> bytes;
};

struct Engine::Impl {
  std::shared_ptr<LoadedEngine> engine;
  std::vector<TensorInfo> inputs, outputs;
};

namespace api {

// Runs work; a lack of memory becomes a status, as no exception may leave the API.
template <class Work>
auto guarded(Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return Status(Code::out_of_memory, "out of memory", "a smaller batch or shape");
  } catch (const std::exception& error) {
    return Status(Code::internal, error.what());
  }
}

EngineFile own(std::vector<uint8_t> bytes);

}  // namespace api
}  // namespace tenon
