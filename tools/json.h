// JSON out: one object on stdout.
#pragma once

#include <nlohmann/json.hpp>

#include "console.h"

namespace tenon::cli {

using nlohmann::ordered_json;

// Names of a model need not be UTF-8, so bytes that are not are replaced.
inline std::string json_text(const ordered_json& j) {
  return j.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}
inline void print_json(const ordered_json& j) { print_text(json_text(j)); }

}  // namespace tenon::cli
