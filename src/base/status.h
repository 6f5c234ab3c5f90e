// TRY, CHECK and makers of Status, for use inside the library.
#pragma once

#include "base/text.h"
#include "tenon/status.h"

namespace tenon {

// TRY(expr): the value of a Result (or nothing, for a Status); on failure returns the Status from this function.
#define TRY(...)                                              \
  __extension__({                                             \
    auto&& try_result_ = (__VA_ARGS__);                       \
    if (!try_result_.ok()) return try_result_.status();       \
    std::forward<decltype(try_result_)>(try_result_).value(); \
  })

[[noreturn]] void check_failed(const char* file, int line, const char* what);

// CHECK(cond): for what only we can cause. Never reachable by user input.
#define CHECK(cond)                                                \
  do {                                                             \
    if (!(cond)) ::tenon::check_failed(__FILE__, __LINE__, #cond); \
  } while (0)

// Makers: invalid_model("Conv '", name, "': …").
template <class... Args>
Status make_status(Code code, const Args&... args) {
  return Status(code, cat(args...));
}
template <class... Args>
Status invalid_argument(const Args&... args) {
  return make_status(Code::invalid_argument, args...);
}
template <class... Args>
Status invalid_model(const Args&... args) {
  return make_status(Code::invalid_model, args...);
}
template <class... Args>
Status unsupported(const Args&... args) {
  return make_status(Code::unsupported, args...);
}
template <class... Args>
Status internal_error(const Args&... args) {
  return make_status(Code::internal, args...);
}

}  // namespace tenon
