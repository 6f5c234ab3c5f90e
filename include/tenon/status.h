// Status and Result: how every call of Tenon says that it failed, why, and what to do next.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>

namespace tenon {

// What kind of failure it was. The program's exit codes and the exceptions of the Python package follow from it.
enum class Code {
  ok = 0,
  internal,          // a fault of ours, or of the machine while running
  invalid_argument,  // the caller's mistake: a wrong shape, an unknown option
  invalid_model,     // the ONNX file, graph or tensor file is broken or breaks the standard
  unsupported,       // legal, but not something Tenon does
  no_kernel,         // no kernel could be built for a node
  accuracy,          // results lie outside the tolerance or budget
  unavailable,       // device, driver or library is not there
  not_found,         // a file or a name does not exist
  io,                // reading or writing failed (full disk, permission)
  out_of_memory,
  data_loss,         // an engine file is damaged
  incompatible,      // an engine made for another version or another device
  cancelled,
};

const char* code_name(Code code);

// The outcome of a call. Cheap when ok (one null pointer); otherwise a code, a message that names the culprit, and
// a remedy: the next command to try (may be empty). Copies share the text. Safe to read from any thread.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message, std::string remedy = {});

  bool ok() const { return rep_ == nullptr; }
  Code code() const { return rep_ ? rep_->code : Code::ok; }
  const std::string& message() const;
  const std::string& remedy() const;
  // "message" or "message\n  try: remedy".
  std::string to_string() const;

  // The same failure, told from further out: `prefix` is put before the message.
  Status with_prefix(const std::string& prefix) const;
  Status with_remedy(const std::string& remedy) const;

  // So that TRY works on a Status and on a Result alike.
  const Status& status() const { return *this; }
  void value() const {}

 private:
  struct Rep {
    Code code;
    std::string message, remedy;
  };
  std::shared_ptr<const Rep> rep_;
};

// A value, or the Status that says why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}
  Result(Status status) : v_(std::in_place_index<1>, std::move(status)) {}

  bool ok() const { return v_.index() == 0; }
  Status status() const { return ok() ? Status() : std::get<1>(v_); }

  // REQUIRES: ok().
  T& value() & { return std::get<0>(v_); }
  const T& value() const& { return std::get<0>(v_); }
  T&& value() && { return std::get<0>(std::move(v_)); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }

 private:
  std::variant<T, Status> v_;
};

}  // namespace tenon
