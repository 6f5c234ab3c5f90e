#include "engine/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace tenon {

static int64_t round_up(int64_t bytes) { return (bytes + 63) / 64 * 64; }

static int64_t most_alive(const std::vector<Lifetime>& lifetimes) {
  std::vector<std::pair<int, int64_t>> events;  // step, change
  for (const Lifetime& l : lifetimes) {
    events.emplace_back(l.first, round_up(l.bytes));
    events.emplace_back(l.last + 1, -round_up(l.bytes));
  }
  std::sort(events.begin(), events.end());
  int64_t alive = 0, most = 0;
  for (auto [step, change] : events) most = std::max(most, alive += change);
  return most;
}

MemoryPlan plan_memory(const std::vector<Lifetime>& lifetimes) {
  MemoryPlan plan;
  plan.offsets.assign(lifetimes.size(), 0);
  plan.lower_bound = most_alive(lifetimes);
  std::vector<size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return lifetimes[a].bytes > lifetimes[b].bytes; });

  std::vector<size_t> placed;  // sorted by offset
  for (size_t i : order) {
    const Lifetime& l = lifetimes[i];
    const int64_t need = round_up(l.bytes);
    int64_t at = 0;
    for (size_t p : placed) {
      const Lifetime& other = lifetimes[p];
      if (other.last < l.first || l.last < other.first) continue;
      if (at + need <= plan.offsets[p]) break;
      at = std::max(at, plan.offsets[p] + round_up(other.bytes));
    }
    plan.offsets[i] = at;
    plan.peak = std::max(plan.peak, at + need);
    if (need == 0) continue;
    auto where = std::upper_bound(placed.begin(), placed.end(), at, [&](int64_t v, size_t p) { return v < plan.offsets[p]; });
    placed.insert(where, i);
  }
  return plan;
}

}  // namespace tenon
