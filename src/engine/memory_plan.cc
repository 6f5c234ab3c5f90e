#include "engine/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace tenon {

static int64_t round_up(int64_t bytes) { return (bytes + 63) / 64 * 64; }

static int64_t most_alive(const std::vector<Lifetime>& lifetimes, const std::vector<int>& rooms) {
  std::vector<std::pair<int, int64_t>> events;  // step, change
  for (size_t i = 0; i < lifetimes.size(); ++i) {
    if (rooms[i] >= 0) continue;
    events.emplace_back(lifetimes[i].first, round_up(lifetimes[i].bytes));
    events.emplace_back(lifetimes[i].last + 1, -round_up(lifetimes[i].bytes));
  }
  std::sort(events.begin(), events.end());
  int64_t alive = 0, most = 0;
  for (auto [step, change] : events) most = std::max(most, alive += change);
  return most;
}

MemoryPlan plan_memory(const std::vector<Lifetime>& lifetimes, const std::vector<Room>& rooms) {
  MemoryPlan plan;
  plan.offsets.assign(lifetimes.size(), 0);
  plan.rooms.assign(lifetimes.size(), -1);
  std::vector<size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return lifetimes[a].bytes > lifetimes[b].bytes; });

  std::vector<std::vector<size_t>> placed(rooms.size() + 1);  // by room, the arena last; sorted by offset
  const auto lowest = [&](const Lifetime& l, const std::vector<size_t>& there) {
    int64_t at = 0;
    for (size_t p : there) {
      const Lifetime& other = lifetimes[p];
      if (other.last < l.first || l.last < other.first) continue;
      if (at + round_up(l.bytes) <= plan.offsets[p]) break;
      at = std::max(at, plan.offsets[p] + round_up(other.bytes));
    }
    return at;
  };
  for (size_t i : order) {
    const Lifetime& l = lifetimes[i];
    size_t room = 0;
    int64_t at = 0;
    for (; room < rooms.size(); ++room) {
      if (l.last >= rooms[room].until || l.bytes > rooms[room].bytes) continue;
      at = lowest(l, placed[room]);
      if (at + l.bytes <= rooms[room].bytes) break;
    }
    if (room < rooms.size()) plan.rooms[i] = int(room);
    else plan.peak = std::max(plan.peak, (at = lowest(l, placed[room])) + round_up(l.bytes));
    plan.offsets[i] = at;
    if (l.bytes == 0) continue;
    auto where = std::upper_bound(placed[room].begin(), placed[room].end(), at, [&](int64_t v, size_t p) { return v < plan.offsets[p]; });
    placed[room].insert(where, i);
  }
  plan.lower_bound = most_alive(lifetimes, plan.rooms);
  return plan;
}

}  // namespace tenon
