// The tuning database: measured times of kernels, as text that can be read, merged and shared.
//
//   # tenon tuning database 1
//   DEVICE <tab> TARGET <tab> VERSION <tab> SIGNATURE <tab> VARIANT <tab> SECONDS <tab> SPREAD
//   DEVICE <tab> TARGET <tab> VERSION <tab> SIGNATURE <tab> VARIANT <tab> failed <tab> WHY
//
// Lines are sorted. Two files become one by putting one behind the other: of two lines about the same kernel the least time
// counts, and a time counts more than a failure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace tenon {

// Which kernel, where, made by what.
struct TuningKey {
  std::string device;     // in words, with all that its speed depends on
  std::string target;     // "cuda:sm_90a"
  std::string version;    // of Tenon and of the compilers behind it
  std::string signature;  // lowering/signature.h
  std::string variant;
  auto operator<=>(const TuningKey&) const = default;
};

struct TuningResult {
  double seconds = 0;     // median
  double spread = 0;      // seconds between the quartiles
  std::string failure;    // why the kernel does not run; then there are no times
  auto operator<=>(const TuningResult&) const = default;
};

class TuningDatabase {
 public:
  // A file that is not there is an empty database. Lines that say nothing known are kept, and told in complaints(). Errors:
  // io; data_loss, it is no tuning database; incompatible, one of another version.
  static Result<TuningDatabase> load(const std::string& path);
  // `name` is for messages.
  static Result<TuningDatabase> parse(std::string_view text, const std::string& name);
  std::string to_text() const;

  // Null: nobody measured it. White space in keys counts as one space.
  const TuningResult* find(TuningKey key) const;
  // Any device's: the first in the order of devices. For building where the target's device is absent.
  const TuningResult* find_on_any_device(TuningKey key) const;
  void add(TuningKey key, TuningResult result);
  size_t size() const { return entries_.size(); }
  // "tuning.txt:7: not a measurement: …"
  const std::vector<std::string>& complaints() const { return complaints_; }

  // Adds this database to the file and gives what the file then holds. Builds that do so at once do not lose each other's
  // lines, and what one has written another does not replace, so that all that read it agree. Errors: as load(), io.
  Result<TuningDatabase> save_into(const std::string& path) const;

 private:
  std::map<TuningKey, TuningResult> entries_;
  std::vector<std::string> foreign_, complaints_;
};

// tuning.txt of cache_folder(); empty where there is none.
std::string default_tuning_database();

}  // namespace tenon
