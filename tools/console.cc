#include "console.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/mapped_file.h"

namespace tenon::cli {

static Level g_level = Level::normal;

void set_level(Level level) { g_level = level; }
bool shows(Level level) { return g_level >= level; }

static bool colour() {
  static const bool yes = [] {
    const char* no = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    return isatty(2) && !(no && *no) && term && std::strcmp(term, "dumb") != 0;
  }();
  return yes;
}

static void write_stderr(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

void log_line(Level level, std::string_view text) {
  if (shows(level)) write_stderr(cat(text, "\n"));
}

void warn(std::string_view text) {
  if (shows(Level::normal)) write_stderr(cat(colour() ? "\033[33mwarning:\033[0m " : "warning: ", text, "\n"));
}

void print_error(const Status& status) {
  write_stderr(cat(colour() ? "\033[31merror:\033[0m " : "error: ", status.message(), "\n"));
  if (!status.remedy().empty()) write_stderr(cat("  try: ", status.remedy(), "\n"));
}

void print_text(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

Status finish_output() {
  if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return {};
  return make_status(Code::io, "cannot write the result to standard output: ", std::strerror(errno));
}

std::string fixed(double v, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, v);
  return buffer;
}

std::string counted(int64_t n, std::string_view noun) { return cat(n, " ", noun, n == 1 ? "" : "s"); }

std::string scientific(double v) {
  if (v == 0) return "0";
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.1e", v);
  return buffer;
}

Table::Table(std::vector<std::string> heading) {
  for (std::string& h : heading) {
    right_.push_back(starts_with(h, ">"));
    if (right_.back()) h.erase(0, 1);
  }
  rows_.push_back(std::move(heading));
}

// Columns that a text takes: bytes that continue a UTF-8 character take none.
static size_t width(std::string_view s) {
  return size_t(std::count_if(s.begin(), s.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string Table::text(const char* indent) const {
  std::vector<size_t> widths(right_.size());
  for (const auto& row : rows_)
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width(row[c]));
  std::string out;
  for (const auto& row : rows_) {
    std::string line = indent;
    for (size_t c = 0; c < row.size(); ++c) {
      const std::string pad(widths[c] - width(row[c]), ' ');
      line += right_[c] ? pad + row[c] : row[c] + pad;
      if (c + 1 < row.size()) line += "  ";
    }
    line.resize(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

// ---- progress ----------------------------------------------------------------------------------------------------

Progress::Progress() {
  if (shows(Level::normal)) thread_ = std::thread([this] { loop(); });
}

Progress::~Progress() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
  if (drawn_) write_stderr("\r\033[K");
}

void Progress::update(const char* stage, int64_t done, int64_t total, const std::string& note) {
  if (!thread_.joinable()) return;
  std::lock_guard lock(mutex_);
  stage_ = stage;
  done_ = done;
  total_ = total;
  note_ = note.empty() ? note : ", " + note;
}

void Progress::loop() {
  std::unique_lock lock(mutex_);
  if (wake_.wait_for(lock, std::chrono::seconds(1), [this] { return stop_; })) return;
  const bool terminal = isatty(2);
  do {
    terminal ? draw_bar() : show_line();
  } while (!wake_.wait_for(lock, std::chrono::milliseconds(100), [this] { return stop_; }));
}

void Progress::show_line() {
  const int64_t tenth = total_ > 0 ? done_ * 10 / total_ : 0;
  if (stage_.empty() || (stage_ == shown_stage_ && tenth == shown_tenth_)) return;
  shown_stage_ = stage_;
  shown_tenth_ = tenth;
  write_stderr(total_ > 0 ? cat(stage_, ": ", tenth * 10, " % (", done_, " of ", total_, note_, ")\n") : cat(stage_, "\n"));
}

void Progress::draw_bar() {
  constexpr int kWidth = 24;
  std::string bar(kWidth, '.');
  if (total_ > 0) {
    for (int i = 0; i < int(done_ * kWidth / total_); ++i) bar[size_t(i)] = '#';
  } else {
    bar[size_t(tick_++ % kWidth)] = '#';
  }
  write_stderr(cat("\r\033[K[", bar, "] ", stage_, total_ > 0 ? cat(" ", done_, " of ", total_, note_) : std::string()));
  drawn_ = true;
}

// ---- interrupts --------------------------------------------------------------------------------------------------

static volatile sig_atomic_t g_signal = 0;
static std::atomic<int> g_holders{0};

[[noreturn]] static void end_interrupted() {
  const char text[] = "\ninterrupted; nothing was left half written\n";
  if (write(2, text, sizeof text - 1) < 0) {
  }
  _exit(g_signal == SIGTERM ? 143 : 130);
}

static void on_signal(int signal) {
  g_signal = signal;
  if (g_holders.load() == 0) end_interrupted();
}

void install_interrupt_handler() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return g_signal != 0; }

HoldInterrupt::HoldInterrupt() { ++g_holders; }
HoldInterrupt::~HoldInterrupt() {
  if (--g_holders == 0 && interrupted()) end_interrupted();
}

Status save_file(const std::string& path, std::span<const uint8_t> bytes) {
  HoldInterrupt hold;
  return write_file_atomically(path, std::span(&bytes, 1));
}

Status save_file(const std::string& path, std::string_view text) {
  return save_file(path, std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

}  // namespace tenon::cli
