#include "backend/cuda/build/nvrtc.h"

#include <dlfcn.h>
#include <glob.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>

#include "backend/cuda/build/compile_cache.h"
#include "backend/cuda/build/prelude.h"

namespace tenon::cuda {

namespace {

// NVRTC's interface, as much as is used here. A result of 0 is success.
using Program = struct NvrtcProgram*;
struct Api {
  int (*version)(int*, int*) = nullptr;
  int (*num_archs)(int*) = nullptr;
  int (*archs)(int*) = nullptr;
  const char* (*error_string)(int) = nullptr;
  int (*create)(Program*, const char*, const char*, int, const char* const*, const char* const*) = nullptr;
  int (*destroy)(Program*) = nullptr;
  int (*compile)(Program, int, const char* const*) = nullptr;
  int (*log_size)(Program, size_t*) = nullptr;
  int (*log)(Program, char*) = nullptr;
  int (*cubin_size)(Program, size_t*) = nullptr;
  int (*cubin)(Program, char*) = nullptr;
};

struct Nvrtc {
  Api api;
  std::string path;
  int major = 0, minor = 0;
  std::vector<int> archs;
};

constexpr const char* kNames[] = {"libnvrtc.so.12", "libnvrtc.so.13"};

std::vector<std::string> matches(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> out;
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) out.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  return out;
}

// Where NVRTC may be, best first: where TENON_NVRTC says; PyPI's package in the environment that this program or
// library belongs to, or in one beside the folder that it was built in; the active environment's; the system's.
std::vector<std::string> candidates() {
  if (const char* named = std::getenv("TENON_NVRTC"); named && *named) return {named};
  std::vector<std::string> patterns;
  Dl_info self{};
  std::error_code error;
  std::vector<std::filesystem::path> homes;
  if (dladdr(reinterpret_cast<const void*>(&candidates), &self) && self.dli_fname)
    homes.push_back(std::filesystem::weakly_canonical(self.dli_fname, error));
  homes.push_back(std::filesystem::read_symlink("/proc/self/exe", error));
  for (std::filesystem::path at : homes)
    while (at.has_relative_path()) {
      at = at.parent_path();
      if (at.filename() == "site-packages") patterns.push_back(at / "nvidia/*/lib");
      patterns.push_back(at / ".venv/lib/python*/site-packages/nvidia/*/lib");
    }
  if (const char* venv = std::getenv("VIRTUAL_ENV"))
    patterns.push_back(std::filesystem::path(venv) / "lib/python*/site-packages/nvidia/*/lib");
  patterns.push_back("");  // wherever the loader looks
  patterns.push_back("/usr/local/cuda/lib64");
  patterns.push_back("/usr/local/cuda-*/lib64");
  std::vector<std::string> out;
  for (const std::string& p : patterns)
    for (const char* n : kNames) {
      if (p.empty()) out.push_back(n);
      else for (std::string& path : matches(p + "/" + n)) out.push_back(std::move(path));
    }
  return out;
}

template <class F>
bool find(void* library, const char* name, F& f) {
  f = reinterpret_cast<F>(dlsym(library, name));
  return f != nullptr;
}

Result<Nvrtc> open_nvrtc() {
  std::string why;
  for (const std::string& path : candidates()) {
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      // A bare name that is nowhere says nothing; a file that is there but does not open does.
      const char* message = dlerror();
      if (path.find('/') != path.npos && message) why = cat(" (", message, ")");
      continue;
    }
    Nvrtc n;
    n.path = path;
    Api& a = n.api;
    const bool whole = find(library, "nvrtcVersion", a.version) && find(library, "nvrtcGetErrorString", a.error_string) &&
                       find(library, "nvrtcGetNumSupportedArchs", a.num_archs) && find(library, "nvrtcGetSupportedArchs", a.archs) &&
                       find(library, "nvrtcCreateProgram", a.create) && find(library, "nvrtcDestroyProgram", a.destroy) &&
                       find(library, "nvrtcCompileProgram", a.compile) && find(library, "nvrtcGetProgramLogSize", a.log_size) &&
                       find(library, "nvrtcGetProgramLog", a.log) && find(library, "nvrtcGetCUBINSize", a.cubin_size) &&
                       find(library, "nvrtcGetCUBIN", a.cubin);
    int count = 0;
    if (!whole || a.version(&n.major, &n.minor) != 0 || a.num_archs(&count) != 0 || count <= 0) {
      why = cat(" (", path, " lacks functions of NVRTC)");
      continue;
    }
    n.archs.resize(size_t(count));
    a.archs(n.archs.data());
    return n;
  }
  return Status(Code::unavailable, cat("NVRTC, which compiles CUDA kernels, was not found", why),
                "./scripts/setup --cuda, or name libnvrtc.so in TENON_NVRTC");
}

const Result<Nvrtc>& nvrtc() {
  static const Result<Nvrtc> opened = open_nvrtc();
  return opened;
}

// Keeps a program from leaking on every way out.
struct Handle {
  const Api& api;
  Program program = nullptr;
  ~Handle() {
    if (program) api.destroy(&program);
  }
};

Result<Compiled> run_nvrtc(const Nvrtc& n, const std::string& text, const std::vector<std::string>& options) {
  const Api& api = n.api;
  auto failed = [&](const char* what, int error) { return internal_error("NVRTC fails to ", what, ": ", api.error_string(error)); };
  Handle h{api};
  if (int error = api.create(&h.program, text.c_str(), "kernel.cu", 0, nullptr, nullptr)) return failed("begin", error);
  std::vector<const char*> args;
  for (const std::string& o : options) args.push_back(o.c_str());
  const int error = api.compile(h.program, int(args.size()), args.data());
  Compiled out;
  size_t size = 0;
  if (api.log_size(h.program, &size) == 0 && size > 1) {
    out.log.resize(size);
    api.log(h.program, out.log.data());
    out.log.resize(size - 1);  // without the terminating zero
  }
  if (error) return internal_error("NVRTC refuses a kernel: ", api.error_string(error), "\n", out.log);
  size = 0;
  if (int e = api.cubin_size(h.program, &size); e || size == 0) return failed("give machine code", e);
  out.cubin.resize(size);
  if (int e = api.cubin(h.program, out.cubin.data())) return failed("give machine code", e);
  return out;
}

// One text's result; whoever comes second waits for the first.
struct Entry {
  std::mutex mutex;
  bool done = false;
  Compiled compiled;
};

std::shared_ptr<Entry> entry_of(const std::string& key) {
  static std::mutex mutex;
  static auto* entries = new std::map<std::string, std::shared_ptr<Entry>>;
  std::lock_guard lock(mutex);
  std::shared_ptr<Entry>& e = (*entries)[key];
  if (!e) e = std::make_shared<Entry>();
  return e;
}

}  // namespace

std::string slowness(const Compiled& c) {
  std::vector<std::string> found;
  for (const KernelStats& k : c.kernels)
    if (k.spilled) found.push_back(cat("kernel '", k.kernel, "' spills ", k.spilled, " bytes of registers"));
  // One serialised product brings many lines; the last one says why.
  if (const size_t at = c.log.rfind("(C75"); at != std::string::npos)
    found.push_back(cat("the assembler warns: ", c.log.substr(at, c.log.find('\n', at) - at)));
  return join(found, "; ");
}

std::vector<KernelStats> parse_stats(const std::string& log) {
  // ptxas info    : Compiling entry function 'relu' for 'sm_90a'
  //     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
  // ptxas info    : Used 12 registers, used 0 barriers, 384 bytes smem, 376 bytes cmem[0]
  std::vector<KernelStats> out;
  // The number in front of `word`.
  auto before = [](const std::string& line, const char* word) {
    const size_t at = line.find(word);
    if (at == line.npos) return 0;
    size_t begin = at;
    while (begin > 0 && isdigit(static_cast<unsigned char>(line[begin - 1]))) --begin;
    return std::atoi(line.substr(begin, at - begin).c_str());
  };
  for (const std::string& line : split(log, '\n')) {
    if (const size_t at = line.find("Compiling entry function '"); at != line.npos) {
      const size_t begin = line.find('\'', at) + 1;
      KernelStats k;
      k.kernel = line.substr(begin, line.find('\'', begin) - begin);
      out.push_back(std::move(k));
    } else if (out.empty()) {
      continue;
    } else if (line.find("spill stores") != line.npos) {
      // Those of functions that were not inlined count too.
      out.back().spilled += before(line, " bytes spill stores") + before(line, " bytes spill loads");
    } else if (line.find(": Used ") != line.npos) {
      out.back().registers = std::max(out.back().registers, before(line, " registers"));
      out.back().shared = before(line, " bytes smem");
    }
  }
  return out;
}

static std::atomic<CompileCuda> replacement = nullptr;

void replace_nvrtc(CompileCuda compile) { replacement = compile; }

Result<std::string> nvrtc_description() {
  if (replacement.load()) return std::string("replaced");
  const Result<Nvrtc>& n = nvrtc();
  if (!n.ok()) return n.status();
  return cat(n->path, " (", n->major, ".", n->minor, ")");
}

std::string nvrtc_version() {
  if (replacement.load()) return "nvrtc replaced";
  const Result<Nvrtc>& n = nvrtc();
  return n.ok() ? cat("nvrtc ", n->major, ".", n->minor) : std::string();
}

Result<Compiled> compile_cuda(const std::string& source, const Chip& chip, const NvrtcOptions& options) {
  if (CompileCuda other = replacement) return other(source, chip, options);
  if (!nvrtc().ok()) return nvrtc().status();
  const Nvrtc& n = *nvrtc();
  if (!std::count(n.archs.begin(), n.archs.end(), chip.major * 10 + chip.minor))
    return Status(Code::incompatible, cat("NVRTC ", n.major, ".", n.minor, " (", n.path, ") does not know ", chip.name),
                  "install a newer one: ./scripts/setup --cuda");
  std::vector<std::string> args = {cat("--gpu-architecture=", chip.name), "--std=c++17", "--device-as-default-execution-space",
                                   "--ptxas-options=-v", "-w"};
  args.insert(args.end(), options.extra.begin(), options.extra.end());
  const std::string text = prelude(chip) + source;
  const std::string key = compile_key({text, join(args, "\n"), nvrtc_version()});

  const std::shared_ptr<Entry> entry = entry_of(key);
  std::lock_guard lock(entry->mutex);
  if (!entry->done) {
    if (!options.use_disk || !read_cached(key, entry->compiled.cubin, entry->compiled.log)) {
      entry->compiled = TRY(run_nvrtc(n, text, args));
      if (options.use_disk) write_cached(key, entry->compiled.cubin, entry->compiled.log);
    }
    entry->compiled.kernels = parse_stats(entry->compiled.log);
    entry->done = true;
  }
  if (const std::string slow = options.refuse_slow ? slowness(entry->compiled) : ""; !slow.empty()) return Status(Code::no_kernel, slow);
  return entry->compiled;
}

}  // namespace tenon::cuda
