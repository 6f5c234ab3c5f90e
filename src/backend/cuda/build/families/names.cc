#include "backend/cuda/build/families/names.h"

#include <cctype>

#include "base/status.h"

namespace tenon::cuda {

std::string expand(std::string_view text, const Names& names) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (text[i] != '$') {
      out += text[i++];
      continue;
    }
    size_t end = i + 1;
    while (end < text.size() && std::isalnum(static_cast<unsigned char>(text[end]))) ++end;
    const auto name = names.find(std::string(text.substr(i + 1, end - i - 1)));
    CHECK(name != names.end());
    out += name->second;
    i = end;
  }
  return out;
}

}  // namespace tenon::cuda
