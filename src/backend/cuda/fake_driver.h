// For tests: a driver that does nothing but record what is called; memory is the host's.
#pragma once

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "backend/cuda/driver.h"

namespace tenon::cuda::fake {

struct State {
  std::vector<std::string> calls;         // in order, without those that only ask
  std::map<std::string, int> fails;       // the next call of this name gives this error
  int major = 9, minor = 0, gpus = 1;
  int owner = 0;                          // whose all memory of the devices is
  bool pageable_access = false;
  // Of the last launch:
  LaunchConfig config{};
  std::vector<LaunchAttribute> attributes;
  std::vector<uint64_t> words;            // the first `num_words` parameters, eight bytes each
  size_t num_words = 0;
  int im2col_maps = 0, tiled_maps = 0;
  // Of the last stream_wait_value:
  const uint32_t* gate = nullptr;
  uint32_t gate_value = 0;
  int64_t allocated = 0, limit = int64_t(1) << 40;
};
inline State& state() {
  static State s;
  return s;
}

inline int note(const std::string& what) {
  State& s = state();
  s.calls.push_back(what);
  const std::string name = what.substr(0, what.find(' '));
  auto it = s.fails.find(name);
  if (it == s.fails.end()) return 0;
  const int error = it->second;
  s.fails.erase(it);
  return error;
}
inline int count(const std::string& name) {
  int n = 0;
  for (const std::string& c : state().calls) n += c == name || c.starts_with(name + " ");
  return n;
}
inline std::map<DevicePtr, size_t>& blocks() {
  static std::map<DevicePtr, size_t> all;
  return all;
}

inline const Driver& driver() {
  static Driver d = [] {
    Driver f;
    f.cuda_version = 12040;
    f.init = [](unsigned) { return 0; };
    f.version = [](int* v) { return *v = 12040, 0; };
    f.device_count = [](int* n) { return *n = state().gpus, 0; };
    f.device = [](int* device, int ordinal) { return *device = ordinal, 0; };
    f.device_name = [](char* name, int size, int) { return std::strncpy(name, "Fake GPU", size_t(size)), 0; };
    f.device_memory = [](size_t* bytes, int) { return *bytes = size_t(8) << 30, 0; };
    f.device_attribute = [](int* v, int what, int) {
      *v = what == kCapabilityMajor ? state().major : what == kCapabilityMinor ? state().minor : what == kPageableAccess ? state().pageable_access : what == kSharedPerBlock ? 232448 : what == kClockRate ? 1980000 : what == kMemoryClockRate ? 3201000 : what == kMemoryBusWidth ? 6144 : 132;
      return 0;
    };
    f.retain_context = [](Context* c, int) { return *c = reinterpret_cast<Context>(1), note("retain_context"); };
    f.release_context = [](int) { return note("release_context"); };
    f.push_context = [](Context) { return 0; };
    f.pop_context = [](Context*) { return 0; };
    f.synchronize_context = [] { return note("synchronize_context"); };
    f.alloc = [](DevicePtr* p, size_t bytes) {
      if (int e = note(cat("alloc ", bytes))) return e;
      if (state().allocated + int64_t(bytes) > state().limit) return kErrorOutOfMemory;
      state().allocated += int64_t(bytes);
      *p = reinterpret_cast<DevicePtr>(std::aligned_alloc(512, (bytes + 511) / 512 * 512));
      blocks()[*p] = bytes;
      return 0;
    };
    f.free = [](DevicePtr p) {
      state().allocated -= int64_t(blocks()[p]);
      blocks().erase(p);
      std::free(reinterpret_cast<void*>(p));
      return note("free");
    };
    f.pointer_attributes = [](unsigned n, int* what, void** values, DevicePtr p) {
      auto it = blocks().upper_bound(p);
      const bool known = it != blocks().begin() && p < std::prev(it)->first + std::prev(it)->second;
      for (unsigned i = 0; i < n; ++i)
        *static_cast<int*>(values[i]) = !known ? 0 : what[i] == kPointerMemoryType ? int(kMemoryOfDevice) : what[i] == kPointerOrdinal ? state().owner : 0;
      return 0;
    };
    f.host_alloc = [](void** p, size_t bytes, unsigned) { return *p = std::malloc(bytes), note("host_alloc"); };
    f.host_free = [](void* p) { return std::free(p), note("host_free"); };
    f.copy_to_device = [](DevicePtr to, const void* from, size_t n) { return std::memcpy(reinterpret_cast<void*>(to), from, n), note("copy_to_device"); };
    f.copy_to_device_async = [](DevicePtr to, const void* from, size_t n, StreamHandle) { return std::memcpy(reinterpret_cast<void*>(to), from, n), note("copy_to_device_async"); };
    f.copy_to_host_async = [](void* to, DevicePtr from, size_t n, StreamHandle) { return std::memcpy(to, reinterpret_cast<void*>(from), n), note("copy_to_host_async"); };
    f.copy_within_async = [](DevicePtr to, DevicePtr from, size_t n, StreamHandle) { return std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), n), note("copy_within_async"); };
    f.stream_create = [](StreamHandle* s, unsigned) {
      static uintptr_t next = 1000;  // tests name streams of their own by small numbers
      return *s = reinterpret_cast<StreamHandle>(next++), note("stream_create");
    };
    f.stream_destroy = [](StreamHandle) { return note("stream_destroy"); };
    f.stream_synchronize = [](StreamHandle) { return note("stream_synchronize"); };
    f.stream_wait = [](StreamHandle s, EventHandle, unsigned) { return note(cat("stream_wait ", uint64_t(reinterpret_cast<uintptr_t>(s)))); };
    f.stream_wait_value = [](StreamHandle, DevicePtr at, unsigned value, unsigned) {
      state().gate = reinterpret_cast<const uint32_t*>(at);
      state().gate_value = value;
      return note("stream_wait_value");
    };
    f.event_create = [](EventHandle* e, unsigned) { return *e = reinterpret_cast<EventHandle>(11), note("event_create"); };
    f.event_record = [](EventHandle, StreamHandle s) { return note(cat("event_record ", uint64_t(reinterpret_cast<uintptr_t>(s)))); };
    f.event_synchronize = [](EventHandle) { return note("event_synchronize"); };
    f.event_elapsed = [](float* ms, EventHandle, EventHandle) { return *ms = 1.5f, note("event_elapsed"); };
    f.event_destroy = [](EventHandle) { return note("event_destroy"); };
    f.begin_capture = [](StreamHandle, int mode) { return note(cat("begin_capture ", mode)); };
    f.end_capture = [](StreamHandle, GraphHandle* g) { return *g = reinterpret_cast<GraphHandle>(7), note("end_capture"); };
    f.graph_instantiate = [](GraphExec* e, GraphHandle, unsigned long long) { return *e = reinterpret_cast<GraphExec>(8), note("graph_instantiate"); };
    f.graph_launch = [](GraphExec, StreamHandle s) { return note(cat("graph_launch ", uint64_t(reinterpret_cast<uintptr_t>(s)))); };
    f.graph_exec_destroy = [](GraphExec) { return note("graph_exec_destroy"); };
    f.graph_destroy = [](GraphHandle) { return note("graph_destroy"); };
    f.module_load = [](Module* m, const void*) { return *m = reinterpret_cast<Module>(9), note("module_load"); };
    f.module_unload = [](Module) { return note("module_unload"); };
    f.module_function = [](Function* f, Module, const char* name) { return *f = reinterpret_cast<Function>(10), note(cat("module_function ", name)); };
    f.function_attribute = [](Function, int what, int value) { return note(cat("function_attribute ", what, " ", value)); };
    f.launch = [](const LaunchConfig* c, Function, void** params, void**) {
      State& s = state();
      s.config = *c;
      s.attributes.assign(c->attributes, c->attributes + c->num_attributes);
      s.words.clear();
      for (size_t i = 0; i < s.num_words; ++i) {
        uint64_t w;
        std::memcpy(&w, params[i], 8);
        s.words.push_back(w);
      }
      return note(cat("launch ", c->grid_x, " ", c->block_x));
    };
    f.encode_tiled = [](EncodedMap* m, int, unsigned, void*, const uint64_t*, const uint64_t*, const unsigned*, const unsigned*, int, int, int, int) {
      m->words[1] = ~uint64_t(0);
      return ++state().tiled_maps, note("encode_tiled");
    };
    f.encode_im2col = [](EncodedMap* m, int, unsigned, void*, const uint64_t*, const uint64_t*, const int*, const int*, unsigned, unsigned, const unsigned*, int, int, int, int) {
      m->words[1] = ~uint64_t(0);
      return ++state().im2col_maps, note("encode_im2col");
    };
    f.error_name = [](int, const char** n) { return *n = "FAKE_ERROR", 0; };
    f.error_text = [](int, const char** n) { return *n = "made up", 0; };
    return f;
  }();
  return d;
}

}  // namespace tenon::cuda::fake
