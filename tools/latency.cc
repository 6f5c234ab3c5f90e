#include "latency.h"

#include <algorithm>
#include <cmath>

#include "console.h"
#include "options.h"

namespace tenon::cli {

// Student's t at 97.5 %, for few degrees of freedom.
static double student_t(size_t degrees) {
  static const double kTable[] = {0,     12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                                  2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086};
  return degrees < std::size(kTable) ? kTable[degrees] : 1.96;
}

// Neighbouring runs are alike (clock frequency, other processes), so single runs would give too narrow an interval:
// up to 20 batches of neighbours stand for independent samples.
static double half_interval(const std::vector<double>& seconds) {
  const size_t batches = std::min<size_t>(seconds.size(), 20);
  if (batches < 2) return 0;
  std::vector<double> means;
  for (size_t b = 0; b < batches; ++b) {
    const size_t begin = b * seconds.size() / batches, end = (b + 1) * seconds.size() / batches;
    double sum = 0;
    for (size_t i = begin; i < end; ++i) sum += seconds[i];
    means.push_back(sum / double(end - begin));
  }
  double mean = 0, square = 0;
  for (double m : means) mean += m / double(batches);
  for (double m : means) square += (m - mean) * (m - mean);
  return student_t(batches - 1) * std::sqrt(square / double(batches - 1) / double(batches));
}

Latency summarize(std::vector<double> seconds) {
  Latency out;
  out.count = int64_t(seconds.size());
  double sum = 0;
  for (double s : seconds) sum += s;
  out.mean = sum / double(seconds.size()) * 1e3;
  out.ci95 = half_interval(seconds) * 1e3;
  std::sort(seconds.begin(), seconds.end());
  auto quantile = [&](double q) {  // between the two nearest runs
    const double at = q * double(seconds.size() - 1);
    const auto i = size_t(at);
    const double next = seconds[std::min(i + 1, seconds.size() - 1)];
    return (seconds[i] + (next - seconds[i]) * (at - double(i))) * 1e3;
  };
  out.min = quantile(0);
  out.p50 = quantile(0.5);
  out.p90 = quantile(0.9);
  out.p95 = quantile(0.95);
  out.p99 = quantile(0.99);
  out.max = quantile(1);
  out.spread = out.p50 > 0 ? (out.p90 - quantile(0.1)) / out.p50 : 0;
  return out;
}

std::string why_noisy(const Latency& l) {
  if (l.count < 20) return cat("only ", counted(l.count, "run"), "; measure longer with --duration");
  if (l.spread > 0.25) return cat("runs spread by ", fixed(l.spread * 100, 0), " % (p10 to p90); other work on the machine, or a changing clock");
  if (l.ci95 > 0.05 * l.mean) return cat("the mean is only known to ", fixed(l.ci95 / l.mean * 100, 0), " %; measure longer with --duration");
  return "";
}

namespace {
enum class Unit : uint8_t { time, rate, memory };
struct Metric {
  const char* name;
  Unit unit;
  double (*value)(const Figures&);
};
constexpr Metric kMetrics[] = {
    {"mean", Unit::time, [](const Figures& f) { return f.latency.mean; }},
    {"min", Unit::time, [](const Figures& f) { return f.latency.min; }},
    {"p50", Unit::time, [](const Figures& f) { return f.latency.p50; }},
    {"p90", Unit::time, [](const Figures& f) { return f.latency.p90; }},
    {"p95", Unit::time, [](const Figures& f) { return f.latency.p95; }},
    {"p99", Unit::time, [](const Figures& f) { return f.latency.p99; }},
    {"max", Unit::time, [](const Figures& f) { return f.latency.max; }},
    {"throughput", Unit::rate, [](const Figures& f) { return f.throughput; }},
    {"memory", Unit::memory, [](const Figures& f) { return f.host_mib; }},
    {"device_memory", Unit::memory, [](const Figures& f) { return f.device_mib; }},
};
const Metric* find_metric(const std::string& name) {
  for (const Metric& m : kMetrics)
    if (name == m.name) return &m;
  return nullptr;
}
}  // namespace

Result<Condition> parse_condition(const std::string& text) {
  const Status bad(Code::invalid_argument, cat("--fail-if: '", escape(text), "' is no condition"), "--fail-if 'p99>2ms'");
  const size_t at = text.find_first_of("<>");
  if (at == text.npos) return bad;
  const size_t width = at + 1 < text.size() && text[at + 1] == '=' ? 2 : 1;
  Condition c{text, std::string(trim(text.substr(0, at))), text.substr(at, width), 0};
  const std::string value(trim(text.substr(at + width)));
  const Metric* m = find_metric(c.metric);
  if (!m) {
    std::vector<std::string> names;
    for (const Metric& k : kMetrics) names.push_back(k.name);
    const std::string near = nearest(c.metric, names);
    return Status(Code::invalid_argument, cat("--fail-if: no figure '", escape(c.metric), "'", near.empty() ? "" : cat("; did you mean '", near, "'?")),
                  cat("one of ", join(names, ", ")));
  }
  int64_t bytes;
  double seconds;
  if (m->unit == Unit::time && parse_double(value, c.value)) return c;  // plain numbers are milliseconds
  if (m->unit == Unit::time && parse_duration(value, seconds)) return c.value = seconds * 1e3, c;
  if (m->unit == Unit::rate && parse_double(value, c.value)) return c;
  if (m->unit == Unit::memory && parse_size(value, bytes)) return c.value = double(bytes) / 1048576, c;
  return bad;
}

double metric_value(const Condition& c, const Figures& f) { return find_metric(c.metric)->value(f); }

bool holds(const Condition& c, const Figures& f) {
  const double v = metric_value(c, f);
  if (c.op == ">") return v > c.value;
  if (c.op == ">=") return v >= c.value;
  if (c.op == "<") return v < c.value;
  return v <= c.value;
}

}  // namespace tenon::cli
