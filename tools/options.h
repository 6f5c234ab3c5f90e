// Options: what a subcommand takes. Declaring an option gives its parsing, its help and "did you mean".
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace tenon::cli {

enum class Kind : uint8_t {
  flag,      // no value
  text,
  integer,
  duration,  // 3s, 500ms, 2m; a plain number is seconds
  size,      // 1GiB, 512MB, 4096
};

struct Option {
  std::string name;                  // without the dashes
  char letter = 0;                   // short form, 0: none
  Kind kind = Kind::text;
  std::string value;                 // how the value is shown: FILE
  std::string help;
  std::string fallback = {};         // the default, shown in the help; "" is none
  bool repeatable = false;
  bool rare = false;                 // only shown by --help-all
  std::vector<std::string> choices = {};
  int64_t least = 0, most = INT64_MAX;  // of integers
  std::string absent = {};           // why this version does not take the option yet; such options are not shown
};

struct Positional {
  std::string name;                  // MODEL.onnx
  std::string help;
  bool optional = false;             // only the last may be
};

class Options {
 public:
  void add(Option option) { options_.push_back(std::move(option)); }
  void add(Positional positional) { positionals_.push_back(std::move(positional)); }

  // Errors: invalid_argument with the nearest valid spelling. Stops early, without complaint, at -h and --help-all.
  Status parse(const std::vector<std::string>& arguments);

  bool has(const std::string& name) const { return values_.contains(name); }  // given, not a default
  size_t count(const std::string& name) const;
  // "" where an optional one is left out.
  std::string argument(size_t i) const { return i < arguments_.size() ? arguments_[i] : std::string(); }
  std::string text(const std::string& name) const;             // the last one given, else the default
  std::vector<std::string> texts(const std::string& name) const;
  // REQUIRES: of that kind; parse() has checked the text.
  int64_t integer(const std::string& name) const;
  double seconds(const std::string& name) const;
  int64_t bytes(const std::string& name) const;

  std::string help(bool all) const;  // the lists of arguments and options
  std::string usage() const;         // "MODEL.onnx [options]"

 private:
  const Option* find(const std::string& name) const;
  Status unknown(const std::string& spelled) const;
  Status accept(const Option& option, const std::string* value);

  std::vector<Option> options_;
  std::vector<Positional> positionals_;
  std::map<std::string, std::vector<std::string>> values_;
  std::vector<std::string> arguments_;
};

// "3s" to seconds, "1GiB" to bytes. False when the text is neither.
bool parse_duration(const std::string& text, double& seconds);
bool parse_size(const std::string& text, int64_t& bytes);

}  // namespace tenon::cli
