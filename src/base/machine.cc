#include "base/machine.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "base/text.h"

namespace tenon {

int usable_cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (const size_t colon = line.find(':'); starts_with(line, "model name") && colon != line.npos)
      return std::string(trim(std::string_view(line).substr(colon + 1)));
  return "";
}

std::string cache_folder() {
  const auto set = [](const char* name) {
    const char* v = std::getenv(name);
    return std::string(v ? v : "");
  };
  if (const std::string v = set("TENON_CACHE"); !v.empty()) return v;
  if (const std::string v = set("XDG_CACHE_HOME"); !v.empty()) return v + "/tenon";
  if (const std::string v = set("HOME"); !v.empty()) return v + "/.cache/tenon";
  return "";
}

}  // namespace tenon
