// tenon doctor: what this machine offers, and what is missing.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>

#include "backend/compiler.h"
#include "backend/cuda/build/compile_cache.h"
#include "backend/cuda/build/nvrtc.h"
#include "backend/cuda/chip.h"
#include "backend/cuda/driver.h"
#include "base/machine.h"
#include "command.h"
#include "engine/engine_file.h"
#include "json.h"

namespace tenon::cli {

static void declare(Options&) {}

// The first value of a key in a file of "key : value" lines, such as /proc/cpuinfo.
static std::string value_of(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (starts_with(line, key)) {
      const size_t colon = line.find(':');
      if (colon != line.npos && trim(line.substr(0, colon)) == key) return std::string(trim(line.substr(colon + 1)));
    }
  return "";
}

static std::vector<std::string> cpu_features() {
  // Those that kernels ask for, now or later.
  static const char* const kNames[] = {"sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512bw", "avx512vl",
                                       "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"};
  const std::vector<std::string> flags = split(value_of("/proc/cpuinfo", "flags"), ' ');
  const std::set<std::string> have(flags.begin(), flags.end());
  std::vector<std::string> out;
  for (const char* n : kNames)
    if (have.contains(n)) out.push_back(n);
  return out;
}

static Result<int> run(const Options& o) {
  ordered_json j = {{"schema", "tenon.doctor/1"}, {"tenon", kTenonVersion}};
  const double gib = double(sysconf(_SC_PHYS_PAGES)) * double(sysconf(_SC_PAGE_SIZE)) / 1073741824;
  j["cpu"] = {{"model", cpu_model()}, {"features", cpu_features()}, {"cores", usable_cores()},
              {"cores_online", sysconf(_SC_NPROCESSORS_ONLN)}};
  j["memory_gib"] = gib;
  j["devices"] = ordered_json::array();
  for (const std::string& device : device_names()) {
    auto compiler = create_compiler(device, "");
    const std::string target = compiler.ok() ? (*compiler)->target() : "";
    auto opened = compiler.ok() ? open_device(target) : Result<std::shared_ptr<Device>>(compiler.status());
    j["devices"].push_back({{"name", device}, {"target", target}, {"available", opened.ok()},
                            {"description", opened.ok() ? (*opened)->description() : opened.status().message()}});
  }
  const auto driver = cuda::machine_driver();
  auto gpus = driver.ok() ? cuda::list_gpus(**driver) : driver.status();
  j["driver"] = driver.ok() ? cat("CUDA ", (*driver)->cuda_version / 1000, ".", (*driver)->cuda_version % 1000 / 10)
                            : "none: " + driver.status().message();
  j["gpus"] = ordered_json::array();
  if (gpus.ok())
    for (const cuda::GpuInfo& g : *gpus) {
      const cuda::Chip* chip = cuda::chip_of_capability(g.major, g.minor);
      j["gpus"].push_back({{"name", g.name}, {"compute_capability", cat(g.major, ".", g.minor)}, {"multiprocessors", g.multiprocessors},
                           {"memory_gib", double(g.memory) / 1073741824}, {"target", chip ? cat("cuda:", chip->name) : ""}});
    }
  auto nvrtc = cuda::nvrtc_description();
  j["nvrtc"] = nvrtc.ok() ? *nvrtc : "missing: " + nvrtc.status().to_string();
  const cuda::CacheState cache = cuda::compile_cache_state();
  j["kernel_cache"] = {{"folder", cache.folder}, {"files", cache.files}, {"bytes", cache.bytes}, {"limit", cache.limit}};
  if (o.has("json")) {
    print_json(j);
    return int(kOk);
  }
  auto text = [](const ordered_json& v) { return v.get<std::string>(); };
  print_line("tenon      ", kTenonVersion);
  print_line("cpu        ", text(j["cpu"]["model"]), ", ", usable_cores(), " of ", counted(sysconf(_SC_NPROCESSORS_ONLN), "core"), " usable");
  print_line("features   ", join(cpu_features(), " "));
  print_line("memory     ", fixed(gib, 1), " GiB");
  for (const auto& d : j["devices"])
    print_line("device     ", text(d["name"]), d["available"].get<bool>() ? ": " : ": not available: ", text(d["description"]),
               text(d["target"]).empty() ? "" : cat(" (target ", text(d["target"]), ")"));
  print_line("driver     ", text(j["driver"]));
  for (const auto& g : j["gpus"])
    print_line("gpu        ", text(g["name"]), ", compute capability ", text(g["compute_capability"]), ", ",
               g["multiprocessors"].get<int>(), " multiprocessors, ", fixed(g["memory_gib"].get<double>(), 1), " GiB",
               text(g["target"]).empty() ? ", no target for it" : cat(" (target ", text(g["target"]), ")"));
  if (j["gpus"].empty()) print_line("gpu        none");
  print_line("nvrtc      ", text(j["nvrtc"]));
  print_line("cache      ", cache.folder.empty() ? "none: neither HOME nor TENON_CACHE is set" : escape(cache.folder), ", ",
             counted(cache.files, "kernel"), ", ", human_bytes(uint64_t(cache.bytes)), " of ",
             cache.limit ? human_bytes(uint64_t(cache.limit)) : std::string("any size"), " (TENON_CACHE_MIB)");
  return int(kOk);
}

extern const Command doctor_command = {
    "doctor", "show what this machine offers and what is missing",
    "tenon doctor\n"
    "tenon doctor --json",
    declare, run};

}  // namespace tenon::cli
