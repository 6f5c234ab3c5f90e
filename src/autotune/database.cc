#include "autotune/database.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "base/file_lock.h"
#include "base/machine.h"
#include "base/mapped_file.h"

namespace tenon {

static constexpr std::string_view kTitle = "# tenon tuning database ", kHeader = "# tenon tuning database 1";

// ---- lines ---------------------------------------------------------------------------------------------------------

// Text as one field of a line: tabs and line ends would cut it.
static std::string field(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
    if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

static TuningKey as_fields(const TuningKey& k) {
  return {field(k.device), field(k.target), field(k.version), field(k.signature), field(k.variant)};
}

static std::string line_of(const TuningKey& k, const TuningResult& r) {
  const std::vector<std::string> parts = {k.device, k.target, k.version, k.signature, k.variant, r.failure.empty() ? cat(r.seconds) : "failed",
                                          r.failure.empty() ? cat(r.spread) : r.failure};
  return join(parts, "\t");
}

static bool parse_line(std::string_view line, TuningKey& key, TuningResult& result) {
  const std::vector<std::string> f = split(line, '\t');
  if (f.size() != 7 || std::any_of(f.begin(), f.begin() + 5, [](const std::string& s) { return s.empty(); })) return false;
  key = as_fields({f[0], f[1], f[2], f[3], f[4]});
  if (f[5] == "failed") return result = {0, 0, field(f[6])}, !result.failure.empty();
  return parse_double(f[5], result.seconds) && parse_double(f[6], result.spread) && std::isfinite(result.seconds) &&
         std::isfinite(result.spread) && result.seconds > 0 && result.spread >= 0;
}

Result<TuningDatabase> TuningDatabase::parse(std::string_view text, const std::string& name) {
  TuningDatabase db;
  bool titled = false;
  int64_t number = 0;
  for (const std::string& raw : split(text, '\n')) {
    ++number;
    const std::string line(trim(raw));
    if (line.empty()) continue;
    if (starts_with(line, kTitle)) {
      if (line != kHeader)
        return Status(Code::incompatible, cat("'", escape(name), "', line ", number, ": this Tenon reads '", kHeader, "', the file is '", escape(line), "'"),
                      "name another file with --tuning-db");
      titled = true;
      continue;
    }
    TuningKey key;
    TuningResult result;
    if (parse_line(line, key, result)) {
      db.add(std::move(key), std::move(result));
    } else {
      db.foreign_.push_back(line);
      db.complaints_.push_back(cat("'", escape(name), "', line ", number, " is no measurement and is passed over: ", escape(line.substr(0, 60)), line.size() > 60 ? "…" : ""));
    }
  }
  if (!titled && (db.size() > 0 || !db.foreign_.empty()))
    return Status(Code::data_loss, cat("'", escape(name), "' is no tuning database: no line says '", kHeader, "'"), "name another file with --tuning-db");
  return db;
}

std::string TuningDatabase::to_text() const {
  std::vector<std::string> lines = foreign_;
  for (const auto& [key, result] : entries_) lines.push_back(line_of(key, result));
  std::sort(lines.begin(), lines.end());
  lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  std::string out = cat(kHeader, "\n");
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

// ---- entries -------------------------------------------------------------------------------------------------------

const TuningResult* TuningDatabase::find(TuningKey key) const {
  const auto it = entries_.find(as_fields(key));
  return it == entries_.end() ? nullptr : &it->second;
}

const TuningResult* TuningDatabase::find_on_any_device(TuningKey key) const {
  std::string last;
  for (auto it = entries_.begin(); it != entries_.end(); it = entries_.upper_bound({last, "\xff", "", "", ""})) {
    last = key.device = it->first.device;
    if (const TuningResult* r = find(key)) return r;
  }
  return nullptr;
}

void TuningDatabase::add(TuningKey key, TuningResult result) {
  result.failure = field(result.failure);
  const auto [it, added] = entries_.try_emplace(as_fields(key), result);
  if (added) return;
  TuningResult& known = it->second;
  const auto rank = [](const TuningResult& r) { return std::make_tuple(!r.failure.empty(), r.seconds, r.spread, r.failure); };
  if (rank(result) < rank(known)) known = std::move(result);
}

// ---- files ---------------------------------------------------------------------------------------------------------

Result<TuningDatabase> TuningDatabase::load(const std::string& path) {
  auto file = MappedFile::open(path);
  if (!file.ok() && file.status().code() == Code::not_found) return TuningDatabase();
  const std::span<const uint8_t> bytes = TRY(file)->bytes();
  return parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

Result<TuningDatabase> TuningDatabase::save_into(const std::string& path) const {
  // Held while a file is read and written anew. A file of its own: the database itself is replaced.
  FileLock lock(path + ".lock");
  if (!lock.wait()) return Status(Code::io, cat("cannot lock '", escape(path), ".lock': ", std::strerror(errno)), "name another file with --tuning-db");
  TuningDatabase all = TRY(load(path));
  all.entries_.insert(entries_.begin(), entries_.end());
  TRY(write_file_atomically(path, all.to_text()));
  return all;
}

std::string default_tuning_database() {
  const std::string folder = cache_folder();
  return folder.empty() ? folder : folder + "/tuning.txt";
}

}  // namespace tenon
