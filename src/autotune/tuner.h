// Tuning: which variant each kernel of a build becomes, by measurements: those in the database first, then new ones.
#pragma once

#include "autotune/database.h"
#include "lowering/jobs.h"

namespace tenon {

constexpr int kAutoEffort = -1;  // 2 where the target's device is at hand, else 0
constexpr int kMostEffort = 5;

struct TuneOptions {
  // 0 takes the cost model's word and looks into no database. From 1 on what the database knows is used, and of the first
  // 2, 4, 8, 16 or all variants of each kernel those that it does not know are measured.
  int effort = 0;
  double budget = 60;    // seconds for compiling and measuring candidates; what is left then goes by the model
  std::string database;  // a file; empty: default_tuning_database()
  int ordinal = 0;       // which device of the target's kind
  // Opens the device to measure on; null: open_device().
  std::function<Result<std::shared_ptr<Device>>(const std::string& target)> open = {};
};

struct TuneProgress {
  int64_t done = 0, total = 0;  // kernels that are settled, of those that have a choice
  int64_t known = 0;            // of those done: settled by the database alone
  double seconds_left = 0;      // of the budget
};
// Returning false stops with `cancelled`; what was measured is saved.
using TuneWatch = std::function<bool(const TuneProgress&)>;

// What came of it, counted in kernels that differ (signatures).
struct TuneReport {
  int effort = 0;
  std::string device;       // that was measured on; empty: none
  std::string database;     // the file; empty: none
  int64_t choices = 0;      // kernels with more than one variant
  int64_t known = 0;        // settled by the database
  int64_t measured = 0;     // by measurements of this build
  int64_t over_budget = 0;  // left to the model, or to some of the measurements, as the time was up
  int64_t unsized = 0;      // left to the model: nobody gave their sizes
  double seconds = 0;
  std::vector<std::string> complaints;  // about the database, or a device that failed
};

// Sets the variant of each job that has a choice, and its step's evidence.
// Errors: cancelled; invalid_argument, of the options or the database that they name.
Status tune(std::vector<KernelJob>& jobs, const TuneOptions& options, TuneReport& report, const TuneWatch& watch = {});

// The variants of one step by what is known of them: the index of the one to take. The model's choice, the first, is kept
// unless another is faster by more than they are uncertain by: the larger spread, a hundredth at least, a tenth at most. Of
// equal ones the first.
size_t choose_tactic(const std::vector<Tactic>& tactics);

}  // namespace tenon
