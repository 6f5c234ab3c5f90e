// Text building without iostreams: cat("Conv '", name, "': ", 3, " inputs").
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace tenon {

void append_text(std::string& out, std::string_view s);
void append_text(std::string& out, int64_t v);
void append_text(std::string& out, uint64_t v);
void append_text(std::string& out, double v);  // shortest form that reads back as the same double
void append_text(std::string& out, float v);   // likewise for float
void append_text(std::string& out, std::span<const int64_t> v);  // "[1, 3, 224]"

template <class T>
void append_any(std::string& out, const T& v) {
  if constexpr (std::is_same_v<T, bool>) append_text(out, std::string_view(v ? "true" : "false"));
  else if constexpr (std::is_same_v<T, char>) append_text(out, std::string_view(&v, 1));
  else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) append_text(out, int64_t(v));
  else if constexpr (std::is_integral_v<T>) append_text(out, uint64_t(v));
  else if constexpr (std::is_floating_point_v<T>) append_text(out, v);
  else if constexpr (std::is_convertible_v<const T&, std::string_view>) append_text(out, std::string_view(v));
  else append_text(out, std::span<const int64_t>(v));
}

template <class... Args>
std::string cat(const Args&... args) {
  std::string out;
  (append_any(out, args), ...);
  return out;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);
bool starts_with(std::string_view text, std::string_view prefix);
// Text with backslash escapes for quotes, backslashes and control bytes, without the surrounding quotes.
std::string escape(std::string_view text);
// "*" and "?" wildcards.
bool glob_match(std::string_view pattern, std::string_view text);
// The candidate nearest to `word` by edit distance, or "" when none is near: for "did you mean".
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);
// "1.5 GiB", "12 KiB".
std::string human_bytes(uint64_t bytes);

// Full-string parses; false on anything left over or out of range.
bool parse_int(std::string_view text, int64_t& out);
bool parse_double(std::string_view text, double& out);

}  // namespace tenon
