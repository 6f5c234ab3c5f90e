#include "base/status.h"

#include <cstdio>
#include <cstdlib>

namespace tenon {

const char* code_name(Code code) {
  switch (code) {
    case Code::ok: return "ok";
    case Code::internal: return "internal";
    case Code::invalid_argument: return "invalid_argument";
    case Code::invalid_model: return "invalid_model";
    case Code::unsupported: return "unsupported";
    case Code::no_kernel: return "no_kernel";
    case Code::accuracy: return "accuracy";
    case Code::unavailable: return "unavailable";
    case Code::not_found: return "not_found";
    case Code::io: return "io";
    case Code::out_of_memory: return "out_of_memory";
    case Code::data_loss: return "data_loss";
    case Code::incompatible: return "incompatible";
    case Code::cancelled: return "cancelled";
  }
  return "unknown";
}

static const std::string kEmpty;

Status::Status(Code code, std::string message, std::string remedy) {
  if (code != Code::ok) rep_ = std::make_shared<Rep>(Rep{code, std::move(message), std::move(remedy)});
}

const std::string& Status::message() const { return rep_ ? rep_->message : kEmpty; }
const std::string& Status::remedy() const { return rep_ ? rep_->remedy : kEmpty; }

std::string Status::to_string() const {
  if (ok()) return "ok";
  return remedy().empty() ? message() : message() + "\n  try: " + remedy();
}

Status Status::with_prefix(const std::string& prefix) const {
  return ok() ? *this : Status(code(), prefix + message(), remedy());
}

Status Status::with_remedy(const std::string& remedy) const {
  return ok() ? *this : Status(code(), message(), remedy);
}

void check_failed(const char* file, int line, const char* what) {
  std::fprintf(stderr, "tenon: internal error: CHECK(%s) failed at %s:%d\n", what, file, line);
  std::abort();
}

}  // namespace tenon
