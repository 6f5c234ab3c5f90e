// tenon doctor: what this machine offers, and what is missing.
#include <dlfcn.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>

#include "backend/compiler.h"
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

static int usable_cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
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

namespace {
struct Gpus {
  std::string driver;  // "12.4", or why there is none
  bool found = false;
  std::vector<std::string> names;
};
}  // namespace

// The driver is asked through its own library, which need not be there.
static Gpus find_gpus() {
  Gpus out;
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) return out.driver = "libcuda.so.1 is missing", out;
  auto init = reinterpret_cast<int (*)(unsigned)>(dlsym(library, "cuInit"));
  auto version = reinterpret_cast<int (*)(int*)>(dlsym(library, "cuDriverGetVersion"));
  auto count = reinterpret_cast<int (*)(int*)>(dlsym(library, "cuDeviceGetCount"));
  auto device_name = reinterpret_cast<int (*)(char*, int, int)>(dlsym(library, "cuDeviceGetName"));
  if (!init || !version || !count || !device_name) return out.driver = "libcuda.so.1 lacks functions of the driver", out;
  int v = 0, n = 0;
  if (const int error = init(0)) return out.driver = cat("libcuda.so.1 is there, but cuInit fails with error ", error), out;
  version(&v);
  out.driver = cat(v / 1000, ".", v % 1000 / 10);
  out.found = true;
  if (count(&n) != 0) n = 0;
  for (int i = 0; i < n; ++i) {
    char text[256] = "unknown";
    device_name(text, sizeof text, i);
    out.names.push_back(text);
  }
  return out;
}

static std::string library_state(const std::vector<const char*>& names) {
  for (const char* n : names)
    if (void* library = dlopen(n, RTLD_LAZY | RTLD_LOCAL)) {
      dlclose(library);
      return cat("found (", n, ")");
    }
  return "missing";
}

static Result<int> run(const Options& o) {
  ordered_json j = {{"schema", "tenon.doctor/1"}, {"tenon", kTenonVersion}};
  const double gib = double(sysconf(_SC_PHYS_PAGES)) * double(sysconf(_SC_PAGE_SIZE)) / 1073741824;
  j["cpu"] = {{"model", value_of("/proc/cpuinfo", "model name")}, {"features", cpu_features()}, {"cores", usable_cores()},
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
  const Gpus gpus = find_gpus();
  j["gpus"] = {{"driver_found", gpus.found}, {"driver", gpus.driver}, {"names", gpus.names}};
  j["libraries"] = {{"libcuda", gpus.found ? "found (libcuda.so.1)" : "missing"},
                    {"libnvrtc", library_state({"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"})}};
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
  print_line("driver     ", gpus.found ? cat("CUDA ", gpus.driver) : "none: " + gpus.driver);
  for (const std::string& name : gpus.names) print_line("gpu        ", name);
  if (gpus.names.empty()) print_line("gpu        none");
  for (const auto& [name, state] : j["libraries"].items()) print_line("library    ", name, ": ", text(state));
  return int(kOk);
}

extern const Command doctor_command = {
    "doctor", "show what this machine offers and what is missing",
    "tenon doctor\n"
    "tenon doctor --json",
    declare, run};

}  // namespace tenon::cli
