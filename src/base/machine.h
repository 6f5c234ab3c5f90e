// What is known of the machine that this runs on.
#pragma once

#include <string>

namespace tenon {

// Processor cores that this process may use; at least 1.
int usable_cores();
// "AMD EPYC 9654 96-Core Processor"; empty where the system does not tell.
std::string cpu_model();
// Tenon's folder for what may be deleted at any time: $TENON_CACHE, else $XDG_CACHE_HOME/tenon, else ~/.cache/tenon; empty
// where there is none.
std::string cache_folder();

}  // namespace tenon
