// tenon: the program. Finds the subcommand, gives it its options, and turns its Status into an exit code.
#include <cstdlib>

#include "command.h"
#include "engine/engine_file.h"

namespace tenon::cli {

constexpr const Command* kCommands[] = {
    &build_command, &run_command,  &bench_command, &profile_command, &compare_command,
    &inspect_command, &check_command, &ops_command, &opt_command, &doctor_command,
};

int exit_code(const Status& status) {
  switch (status.code()) {
    case Code::ok: return kOk;
    case Code::internal:
    case Code::io:
    case Code::out_of_memory: return kRunTime;
    case Code::invalid_argument:
    case Code::not_found: return kUsage;
    case Code::invalid_model:
    case Code::unsupported:
    case Code::data_loss:
    case Code::incompatible: return kInvalidModel;
    case Code::no_kernel: return kNoKernel;
    case Code::accuracy: return kAccuracy;
    case Code::unavailable: return kUnavailable;
    case Code::cancelled: return kInterrupted;
  }
  return kRunTime;
}

static std::string program_help() {
  std::string out =
      "tenon compiles a trained ONNX network into an engine and runs it.\n\n"
      "  tenon build model.onnx -o model.engine\n"
      "  tenon run model.engine --random\n"
      "  tenon bench model.engine --threads 1\n\n";
  for (const Command* c : kCommands) out += cat("  ", c->name, std::string(10 - std::string(c->name).size(), ' '), c->summary, "\n");
  return out + "\nHelp on one: tenon COMMAND -h    Version: tenon --version\n";
}

static std::string command_help(const Command& c, const Options& options, bool all) {
  std::string out = cat("tenon ", c.name, ": ", c.summary, "\n\n");
  for (const std::string& line : split(trim(c.examples), '\n')) out += cat("  ", trim(line), "\n");
  return out + cat("\nUsage: tenon ", c.name, " ", options.usage(), "\n\n", options.help(all));
}

static void declare_common(Options& o) {
  o.add(Option{"json", 0, Kind::flag, "", "print one JSON object with a schema field"});
  o.add(Option{"quiet", 'q', Kind::flag, "", "errors only", "", false, true});
  o.add(Option{"verbose", 'v', Kind::flag, "", "more of the log; -vv for all of it", "", true, true});
  o.add(Option{"help", 'h', Kind::flag, "", "this page", "", false, true});
  o.add(Option{"help-all", 0, Kind::flag, "", "every option", "", false, true});
}

static Result<int> run_command_line(const Command& c, const std::vector<std::string>& arguments) {
  Options options;
  c.declare(options);
  declare_common(options);
  const Status parsed = options.parse(arguments);
  if (options.has("help") || options.has("help-all")) {
    print_text(command_help(c, options, options.has("help-all")));
    return int(kOk);
  }
  if (!parsed.ok()) return parsed.remedy().empty() ? parsed.with_remedy(cat("tenon ", c.name, " -h")) : parsed;
  if (options.has("quiet")) set_level(Level::quiet);
  else set_level(Level(std::min<size_t>(options.count("verbose"), 2)));
  return c.run(options);
}

static Result<int> dispatch(std::vector<std::string> arguments) {
  if (arguments.empty()) {
    print_text(program_help());
    return invalid_argument("a command is missing");
  }
  std::string name = arguments[0];
  arguments.erase(arguments.begin());
  if (name == "help" && !arguments.empty()) {
    name = arguments[0];
    arguments = {"-h"};
  }
  if (name == "help" || name == "-h" || name == "--help" || name == "--help-all") {
    print_text(program_help());
    return int(kOk);
  }
  if (name == "--version" || name == "version") {
    print_line("tenon ", kTenonVersion);
    return int(kOk);
  }
  std::vector<std::string> names;
  for (const Command* c : kCommands) {
    if (name == c->name) return run_command_line(*c, arguments);
    names.push_back(c->name);
  }
  const std::string near = nearest(name, names);
  return Status(Code::invalid_argument, cat("no command '", escape(name), "'", near.empty() ? "" : cat("; did you mean '", near, "'?")),
                near.empty() ? "tenon -h" : cat("tenon ", near, " -h"));
}

}  // namespace tenon::cli

int main(int argc, char** argv) {
  using namespace tenon;
  using namespace tenon::cli;
  install_interrupt_handler();
  Result<int> result = dispatch(std::vector<std::string>(argv + 1, argv + argc));
  const Status output = finish_output();
  if (result.ok() && !output.ok()) result = output;
  if (result.ok()) return *result;
  print_error(result.status());
  return exit_code(result.status());
}
