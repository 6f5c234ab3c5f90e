// Longer texts with holes, by name.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace tenon::cuda {

using Names = std::map<std::string, std::string>;
// expand("$type* $x_row;", {{"type", "float"}, {"x", "a"}}) gives "float* a_row;". Names are letters and digits. REQUIRES:
// each name in the text is given.
std::string expand(std::string_view text, const Names& names);

}  // namespace tenon::cuda
