// The console: results to stdout; log, progress and errors to stderr. And what Ctrl-C does.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"

namespace tenon::cli {

// How much of the log is shown.
enum class Level : int8_t { quiet = -1, normal = 0, verbose = 1, debug = 2 };
void set_level(Level level);
bool shows(Level level);

// A line of the log on stderr.
void log_line(Level level, std::string_view text);
template <class... Args>
void note(const Args&... args) { log_line(Level::normal, cat(args...)); }
template <class... Args>
void detail(const Args&... args) { log_line(Level::verbose, cat(args...)); }
void warn(std::string_view text);
void print_error(const Status& status);

// A line of the result on stdout.
void print_text(std::string_view text);
template <class... Args>
void print_line(const Args&... args) { print_text(cat(args..., "\n")); }
// Whether all that was printed has reached its file. Errors: io (a full disk, a closed pipe).
Status finish_output();

// Columns of text; the first row is the heading. Columns whose name starts with '>' are set to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> heading);
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text(const char* indent = "") const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<bool> right_;
};

// Fixed digits: 0.123, 1.50; never an exponent for what people read as milliseconds.
std::string fixed(double v, int digits);
// "1 node", "2 nodes".
std::string counted(int64_t n, std::string_view noun);
// Short scientific form: 3.1e-07; 0 for nothing.
std::string scientific(double v);

// Progress of something that may take long. Silent for the first second; then a bar on a terminal, and a line for each
// stage and each tenth elsewhere. A thread of its own keeps the bar alive while a stage says nothing.
class Progress {
 public:
  Progress();
  ~Progress();
  // `note` stands behind the count: "12 s left".
  void update(const char* stage, int64_t done, int64_t total, const std::string& note = "");

 private:
  void loop();
  void show_line();
  void draw_bar();

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false, drawn_ = false;
  std::string stage_, shown_stage_, note_;
  int64_t done_ = 0, total_ = 0, shown_tenth_ = -1;
  int tick_ = 0;
  std::thread thread_;
};

// Ctrl-C ends the process at once with exit code 130, which is clean while nothing is half done outside of it. While one
// of these lives it only takes note, and the holder asks interrupted() and cleans up.
class HoldInterrupt {
 public:
  HoldInterrupt();
  ~HoldInterrupt();  // ends the process if it was interrupted meanwhile
  HoldInterrupt(const HoldInterrupt&) = delete;
};
void install_interrupt_handler();
bool interrupted();

// write_file_atomically, with interrupts held back so that no temporary file is left.
Status save_file(const std::string& path, std::span<const uint8_t> bytes);
Status save_file(const std::string& path, std::string_view text);

}  // namespace tenon::cli
