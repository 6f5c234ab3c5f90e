#include "options.h"

#include <algorithm>

namespace tenon::cli {

bool parse_duration(const std::string& text, double& seconds) {
  static const std::pair<const char*, double> kUnits[] = {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};
  const size_t end = std::min(text.find_first_not_of("0123456789.eE+-"), text.size());
  double number;
  if (!parse_double(text.substr(0, end), number) || !(number >= 0) || number > 1e9) return false;
  const std::string unit = end == text.size() ? "s" : text.substr(end);
  for (const auto& [name, factor] : kUnits)
    if (unit == name) return seconds = number * factor, true;
  return false;
}

bool parse_size(const std::string& text, int64_t& bytes) {
  static const std::pair<const char*, double> kUnits[] = {
      {"", 1},      {"B", 1},      {"K", 1024},    {"KiB", 1024},    {"kB", 1e3},     {"KB", 1e3},  {"M", 1048576},
      {"MiB", 1048576}, {"MB", 1e6}, {"G", 1073741824}, {"GiB", 1073741824}, {"GB", 1e9}, {"TiB", 1099511627776.0}};
  const size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  double number;
  if (!parse_double(text.substr(0, end), number) || !(number >= 0)) return false;
  for (const auto& [name, factor] : kUnits)
    if (text.substr(end) == name && number * factor < 9e18) return bytes = int64_t(number * factor), true;
  return false;
}

const Option* Options::find(const std::string& name) const {
  for (const Option& o : options_)
    if (o.name == name || (name.size() == 1 && o.letter == name[0])) return &o;
  return nullptr;
}

Status Options::unknown(const std::string& spelled) const {
  std::vector<std::string> names{"--help-all"};
  for (const Option& o : options_)
    if (o.absent.empty()) names.push_back("--" + o.name);
  const std::string near = nearest(spelled, names);
  return invalid_argument("unknown option '", escape(spelled), "'", near.empty() ? "" : cat("; did you mean '", near, "'?"));
}

Status Options::accept(const Option& o, const std::string* value) {
  if (!o.absent.empty()) return invalid_argument("--", o.name, " is not there yet: ", o.absent);
  if (o.kind == Kind::flag) {
    if (value) return invalid_argument("--", o.name, " takes no value");
    values_[o.name].push_back("");
    return {};
  }
  if (!value) return invalid_argument("--", o.name, " needs a value: --", o.name, " ", o.value);
  auto wrong = [&](const std::string& expected) {
    return invalid_argument("--", o.name, ": '", escape(*value), "' is not ", expected);
  };
  int64_t n;
  double d;
  if (o.kind == Kind::integer && (!parse_int(*value, n) || n < o.least || n > o.most))
    return wrong(o.most == INT64_MAX ? cat("a whole number of at least ", o.least) : cat("a whole number from ", o.least, " to ", o.most));
  if (o.kind == Kind::duration && !parse_duration(*value, d)) return wrong("a duration such as 3s or 500ms");
  if (o.kind == Kind::size && !parse_size(*value, n)) return wrong("a size such as 1GiB or 512MiB");
  if (!o.choices.empty() && std::find(o.choices.begin(), o.choices.end(), *value) == o.choices.end()) {
    const std::string near = nearest(*value, o.choices);
    return wrong(cat("one of ", join(o.choices, ", "), near.empty() ? "" : cat("; did you mean '", near, "'?")));
  }
  std::vector<std::string>& given = values_[o.name];
  if (!given.empty() && !o.repeatable) return invalid_argument("--", o.name, " is given twice");
  given.push_back(*value);
  return {};
}

Status Options::parse(const std::vector<std::string>& arguments) {
  bool only_positionals = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& a = arguments[i];
    if (only_positionals || a == "-" || a.empty() || a[0] != '-') {
      if (arguments_.size() == positionals_.size())
        return invalid_argument("unexpected argument '", escape(a), "'");
      arguments_.push_back(a);
      continue;
    }
    if (a == "--") {
      only_positionals = true;
      continue;
    }
    const bool is_long = starts_with(a, "--");
    const size_t equals = is_long ? a.find('=') : a.npos;
    if (!is_long && a.size() > 2 && a.find_first_not_of(a[1], 1) == a.npos) {  // -vv
      const Option* o = find(std::string(1, a[1]));
      if (!o || o->kind != Kind::flag) return unknown(a);
      for (size_t k = 1; k < a.size(); ++k) TRY(accept(*o, nullptr));
      continue;
    }
    const Option* o = is_long ? find(a.substr(2, equals == a.npos ? equals : equals - 2)) : a.size() == 2 ? find(a.substr(1)) : nullptr;
    if (!o || (is_long && o->name.size() == 1)) return unknown(a.substr(0, equals));
    if (equals != a.npos) {
      const std::string value = a.substr(equals + 1);
      TRY(accept(*o, &value));
    } else if (o->kind == Kind::flag) {
      TRY(accept(*o, nullptr));
    } else {
      const bool more = i + 1 < arguments.size() && !starts_with(arguments[i + 1], "--");
      TRY(accept(*o, more ? &arguments[++i] : nullptr));
    }
    if (o->name == "help" || o->name == "help-all") return {};
  }
  if (arguments_.size() < positionals_.size() && !positionals_[arguments_.size()].optional) return invalid_argument(positionals_[arguments_.size()].name, " is missing");
  return {};
}

size_t Options::count(const std::string& name) const {
  auto it = values_.find(name);
  return it == values_.end() ? 0 : it->second.size();
}

std::string Options::text(const std::string& name) const {
  if (auto it = values_.find(name); it != values_.end()) return it->second.back();
  const Option* o = find(name);
  CHECK(o != nullptr);
  return o->fallback;
}

std::vector<std::string> Options::texts(const std::string& name) const {
  auto it = values_.find(name);
  return it == values_.end() ? std::vector<std::string>() : it->second;
}

int64_t Options::integer(const std::string& name) const {
  int64_t n = 0;
  CHECK(parse_int(text(name), n));
  return n;
}

double Options::seconds(const std::string& name) const {
  double s = 0;
  CHECK(parse_duration(text(name), s));
  return s;
}

int64_t Options::bytes(const std::string& name) const {
  int64_t n = 0;
  const std::string given = text(name);
  CHECK(given.empty() || parse_size(given, n));
  return n;
}

std::string Options::usage() const {
  std::string out;
  for (const Positional& p : positionals_) out += p.optional ? cat("[", p.name, "] ") : cat(p.name, " ");
  return out + "[options]";
}

std::string Options::help(bool all) const {
  std::string out;
  auto row = [&](const std::string& left, const std::string& right) {
    out += cat("  ", left, std::string(left.size() < 27 ? 27 - left.size() : 1, ' '), right, "\n");
  };
  for (const Positional& p : positionals_) row(p.name, p.help);
  bool hidden = false;
  for (const Option& o : options_) {
    if (!o.absent.empty()) continue;
    if (o.rare && !all) {
      hidden = true;
      continue;
    }
    std::string left = o.letter ? cat("-", o.letter, ", --", o.name) : cat("--", o.name);
    if (o.kind != Kind::flag) left += cat(" ", o.value);
    row(left, cat(o.help, o.repeatable && o.kind != Kind::flag ? "; repeatable" : "",
                  o.fallback.empty() ? "" : cat(" [", o.fallback, "]")));
  }
  if (hidden) row("--help-all", "every option");
  return out;
}

}  // namespace tenon::cli
