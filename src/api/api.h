// What the files of the public API share.
#pragma once

#include <exception>

#include "base/memory_limit.h"
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
    return catch_bad_alloc(work);
  } catch (const std::exception& error) {
    return Status(Code::internal, error.what());
  }
}

EngineFile own(std::vector<uint8_t> bytes);

}  // namespace api
}  // namespace tenon
