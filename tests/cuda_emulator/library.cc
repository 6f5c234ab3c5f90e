#include "cuda_emulator/library.h"

#include <dlfcn.h>
#include <link.h>
#include <unistd.h>
#include <xxhash.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

#include "base/mapped_file.h"

// From CMake: where this file lies, a folder of the build, the project's compiler.
#if !defined(TENON_EMULATOR_SOURCES) || !defined(TENON_EMULATOR_CACHE) || !defined(TENON_EMULATOR_COMPILER)
#error "TENON_EMULATOR_SOURCES, TENON_EMULATOR_CACHE, TENON_EMULATOR_COMPILER"
#endif

extern "C" void* __tls_get_addr(size_t index[2]);

namespace tenon::emulator {

namespace fs = std::filesystem;

namespace {

// The traps tell what a GPU faults at and the host would let pass: addresses that are not a multiple of the access, and
// indices outside of arrays whose size is known. Integers wrap, as they do on a GPU, and products followed by a sum are
// not fused, since not every host can.
constexpr const char* kOptions =
    "-O1 -g1 -gdwarf-4 -std=c++17 -shared -fPIC -fvisibility=hidden -fno-exceptions -fno-rtti -fno-asynchronous-unwind-tables -nostdlib "
    "-pipe -w -fwrapv -fno-strict-aliasing -ffp-contract=off -fsanitize=bounds,alignment -fsanitize-undefined-trap-on-error";

struct Counters {
  std::mutex mutex;
  LibraryCost cost;
};
Counters& counters() {
  static Counters c;
  return c;
}

Result<std::string> read_text(const std::string& path) {
  auto file = TRY(MappedFile::open(path));
  return std::string(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
}

// The headers that stand in front of each kernel; they change what is compiled, so they are part of its name.
const Result<std::string>& headers() {
  static const Result<std::string> text = []() -> Result<std::string> {
    std::string all;
    for (const char* name : {"abi.h", "emulated_ptx.h", "tensor_map.h", "emulated_hopper.h"}) all += TRY(read_text(cat(TENON_EMULATOR_SOURCES "/", name)));
    return all;
  }();
  return text;
}

std::string cache_folder() {
  const char* named = std::getenv("TENON_EMULATOR_CACHE");
  return named && *named ? named : TENON_EMULATOR_CACHE;
}

struct KernelName {
  std::string name;
  int64_t max_threads;
};

// The kernels that a source defines, with their __launch_bounds__.
std::vector<KernelName> kernels_in(const std::string& source) {
  static constexpr std::string_view kBounds = "__launch_bounds__(";
  std::vector<KernelName> names;
  const auto is_name = [](char c) { return isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  for (size_t at = 0; (at = source.find("__global__", at)) != source.npos;) {
    at += 10;
    // The name stands before the first parenthesis that is not an attribute's.
    for (size_t open = source.find('(', at); open != source.npos; open = source.find('(', open + 1)) {
      size_t end = open;
      while (end > at && isspace(static_cast<unsigned char>(source[end - 1]))) --end;
      size_t begin = end;
      while (begin > at && is_name(source[begin - 1])) --begin;
      const std::string name = source.substr(begin, end - begin);
      if (name.empty() || starts_with(name, "__")) continue;
      const size_t bounds = source.find(kBounds, at);
      names.push_back({name, bounds < open ? std::strtoll(source.c_str() + bounds + kBounds.size(), nullptr, 10) : 0});
      break;
    }
  }
  return names;
}

// Compiles `text` to the file `path`, which is there whole or not at all.
Status compile(const std::string& text, const std::string& path) {
  const auto begin = std::chrono::steady_clock::now();
  const std::string mine = cat(path, ".", getpid()), source = mine + ".cc", log = mine + ".log";
  std::ofstream(source) << text;
  const std::string command = cat("'" TENON_EMULATOR_COMPILER "' ", kOptions, " -o '", mine, "' '", source, "' > '", log, "' 2>&1");
  const int result = std::system(command.c_str());
  const std::string words = read_text(log).ok() ? std::string(trim(*read_text(log))) : "";
  std::error_code ignored;
  fs::remove(log, ignored);
  if (result != 0) return internal_error("the generated source does not compile for the host; it lies in '", source, "'\n", words);
  fs::rename(source, path + ".cc", ignored);
  std::error_code error;
  fs::rename(mine, path, error);
  if (error) return internal_error("cannot write '", path, "': ", error.message());
  std::lock_guard lock(counters().mutex);
  ++counters().cost.compiled;
  counters().cost.compile_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return {};
}

// The size of a loaded object's thread-local memory, which is the static shared memory of its kernels.
int64_t thread_local_bytes(void* handle) {
  struct Search {
    ElfW(Addr) base;
    int64_t bytes = 0;
  } search{};
  link_map* map = nullptr;
  if (dlinfo(handle, RTLD_DI_LINKMAP, &map) || !map) return 0;
  search.base = map->l_addr;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        auto& s = *static_cast<Search*>(data);
        if (info->dlpi_addr != s.base) return 0;
        for (int i = 0; i < info->dlpi_phnum; ++i)
          if (info->dlpi_phdr[i].p_type == PT_TLS) s.bytes = int64_t(info->dlpi_phdr[i].p_memsz);
        return 1;
      },
      &search);
  return search.bytes;
}

Result<std::shared_ptr<const KernelLibrary>> open_library(const std::string& path, const std::vector<KernelName>& kernels) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) return internal_error("an emulated kernel does not load: ", dlerror());
  auto module = std::make_shared<KernelLibrary>();
  const int64_t statics = thread_local_bytes(handle);
  size_t number = 0;
  const bool has_statics = statics > 0 && dlinfo(handle, RTLD_DI_TLS_MODID, &number) == 0 && number;
  for (const auto& [name, max_threads] : kernels) {
    HostKernel code{name, path, nullptr, {}, max_threads, {}, statics};
    code.entry = reinterpret_cast<void (*)(void**)>(dlsym(handle, (name + "__enter").c_str()));
    const auto parameter = reinterpret_cast<unsigned (*)(unsigned)>(dlsym(handle, (name + "__parameter").c_str()));
    if (!code.entry || !parameter) return internal_error("an emulated module has no kernel '", name, "'");
    for (unsigned i = 0; const unsigned p = parameter(i); ++i) code.parameters.push_back({int(p & ~kEmuPointer), (p & kEmuPointer) != 0});
    if (has_statics) code.statics = [number] { return __tls_get_addr(std::array<size_t, 2>{number, 0}.data()); };
    module->kernels.push_back(std::move(code));
  }
  return std::shared_ptr<const KernelLibrary>(std::move(module));
}

}  // namespace

const HostKernel* KernelLibrary::find(const std::string& name) const {
  for (const HostKernel& c : kernels)
    if (c.name == name) return &c;
  return nullptr;
}

LibraryCost library_cost() {
  std::lock_guard lock(counters().mutex);
  return counters().cost;
}

Result<std::shared_ptr<const KernelLibrary>> load_library(const std::string& prelude, const std::string& source) {
  const std::vector<KernelName> kernels = kernels_in(source);
  std::string text = cat("#include \"" TENON_EMULATOR_SOURCES "/emulated_hopper.h\"\n#line 1 \"prelude\"\n", prelude, "\n#line 1 \"kernel\"\n", source, "\n");
  for (const auto& [k, max_threads] : kernels)
    text += cat("extern \"C\" __attribute__((visibility(\"default\"))) void ", k, "__enter(void** args) { emu_call(&", k, ", args); }\n",
                "extern \"C\" __attribute__((visibility(\"default\"))) unsigned ", k, "__parameter(unsigned i) { return emu_parameter(&", k, ", i); }\n");
  if (!headers().ok()) return headers().status();
  const std::string all = cat(TENON_EMULATOR_COMPILER, " ", kOptions, "\n", *headers(), text);
  const XXH128_hash_t h = XXH3_128bits(all.data(), all.size());
  char key[40];
  std::snprintf(key, sizeof key, "%016llx%016llx", static_cast<unsigned long long>(h.high64), static_cast<unsigned long long>(h.low64));

  // One lock for each text, so that several threads compile several texts.
  struct Slot {
    std::mutex mutex;
    std::shared_ptr<const KernelLibrary> module;
  };
  static std::mutex slots_mutex;
  static std::map<std::string, std::shared_ptr<Slot>> slots;
  std::shared_ptr<Slot> slot;
  {
    std::lock_guard lock(slots_mutex);
    std::shared_ptr<Slot>& s = slots[key];
    if (!s) s = std::make_shared<Slot>();
    slot = s;
  }
  std::lock_guard lock(slot->mutex);
  if (slot->module) return slot->module;
  std::error_code ignored;
  fs::create_directories(cache_folder(), ignored);
  const std::string path = cat(cache_folder(), "/", key, ".so");
  if (fs::exists(path, ignored)) {
    std::lock_guard counting(counters().mutex);
    ++counters().cost.from_cache;
  } else {
    TRY(compile(text, path));
  }
  slot->module = TRY(open_library(path, kernels));
  return slot->module;
}

}  // namespace tenon::emulator
