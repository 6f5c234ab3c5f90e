// Command: one subcommand of the program. Each has a file of its own and a line in main.cc's table.
#pragma once

#include "console.h"
#include "options.h"

namespace tenon::cli {

// What the process ends with; interface for scripts, so never renumbered.
enum Exit : int {
  kOk = 0,
  kRunTime = 1,
  kUsage = 2,
  kInvalidModel = 3,
  kNoKernel = 4,
  kAccuracy = 5,
  kConditionHeld = 6,
  kUnavailable = 7,
  kInterrupted = 130,
};
int exit_code(const Status& status);

struct Command {
  const char* name;
  const char* summary;
  const char* examples;  // one a line, shown first in the help
  void (*declare)(Options& options);
  // The exit code; most commands return kOk and leave failures to the Status.
  Result<int> (*run)(const Options& options);
};

extern const Command build_command, run_command, bench_command, inspect_command, compare_command, check_command,
    ops_command, opt_command, doctor_command, profile_command;

}  // namespace tenon::cli
