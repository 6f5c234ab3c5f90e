// Latency figures of many runs, and conditions on them such as 'p99>2ms'.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace tenon::cli {

struct Latency {  // milliseconds
  int64_t count = 0;
  double mean = 0, ci95 = 0;  // the mean's 95 % confidence interval is mean - ci95 .. mean + ci95
  double min = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0, max = 0;
  double spread = 0;          // (p90 - p10) / p50
};
// Seconds in the order in which they were measured. REQUIRES: at least one.
Latency summarize(std::vector<double> seconds);
// Why the figures deserve no trust; "" when they do.
std::string why_noisy(const Latency& latency);

struct Figures {
  Latency latency;
  double throughput = 0;     // samples per second
  double host_mib = 0, device_mib = 0;
};

// METRIC OP VALUE: p99>2ms, throughput<100, memory>500MiB.
struct Condition {
  std::string text, metric, op;
  double value = 0;
};
Result<Condition> parse_condition(const std::string& text);
bool holds(const Condition& condition, const Figures& figures);
double metric_value(const Condition& condition, const Figures& figures);

}  // namespace tenon::cli
