#include "cuda_emulator/block.h"

#include <bit>
#include <cstring>

extern "C" {
__thread __attribute__((tls_model("initial-exec"))) EmuThread* emu_thread;
__thread __attribute__((tls_model("initial-exec"))) EmuBlock* emu_block;
}

namespace tenon::emulator {

void ThreadQueue::push(Thread* t) {
  t->next = nullptr;
  (last ? last->next : first) = t;
  last = t;
}

Thread* ThreadQueue::pop() {
  Thread* t = first;
  first = t->next;
  if (!first) last = nullptr;
  return t;
}

void ThreadQueue::take_all(ThreadQueue& from) {
  if (from.empty()) return;
  (last ? last->next : first) = from.first;
  last = from.last;
  from = {};
}

static bool same_place(const char* file, int line, const char* other_file, int other_line) {
  return line == other_line && (file == other_file || !std::strcmp(file, other_file));
}

// ---- running -----------------------------------------------------------------------------------------------------

bool Block::run(const HostKernel& code, const GridShape& shape, const EmuDim3& index, void* shared, void** args, Order order) {
  const size_t n = size_t(shape.block[0] * shape.block[1] * shape.block[2]), warps = (n + 31) / 32;
  code_ = &code, args_ = args, order_ = order;
  auto dim3 = [](const int64_t* d) { return EmuDim3{unsigned(d[0]), unsigned(d[1]), unsigned(d[2])}; };
  block_ = {index, dim3(shape.block), dim3(shape.grid), shared, unsigned(shape.shared), false};
  if (threads_.size() != n) threads_ = std::vector<Thread>(n);
  if (warps_.size() < warps) warps_ = std::vector<Warp>(warps);
  for (size_t w = 0; w < warps; ++w) {
    const size_t lanes = std::min<size_t>(32, n - w * 32);
    warps_[w].running = lanes == 32 ? ~0u : (1u << lanes) - 1;
  }
  started_ = exited_ = 0, idle_yields_ = 0, failed_ = false;
  emu_block = &block_;
  fiber_ = take_fiber();
  running_ = true;
  emu_switch(&main_, fiber_->saved);
  running_ = false;
  emu_thread = nullptr;
  if (!failed_) return true;
  // The fibers stand where they were given up; whatever they left behind goes.
  ready_ = {};
  barriers_ = {};
  for (Warp& w : warps_) w = {};
  threads_.clear();
  free_.clear();
  for (auto& f : fibers_) free_.push_back(f.get());
  return false;
}

void Block::fiber_main() { this_block().run_threads(); }

void Block::run_threads() {
  do {
    Thread* t = next_unstarted();
    if (!t) break;
    t->fiber = fiber_;
    emu_thread = t;
    code_->entry(args_);
    leave(*t);
  } while (ready_.empty());  // those who have a fiber go first, so that few are needed
  free_.push_back(fiber_);
  void* nobody;
  if (!ready_.empty()) {
    Thread* t = ready_.pop();
    resume(t);
    emu_switch(&nobody, t->fiber->saved);
  }
  emu_thread = nullptr;
  if (exited_ < threads_.size()) fail(deadlock());
  emu_switch(&nobody, main_);
}

Thread* Block::next_unstarted() {
  const size_t n = threads_.size();
  if (started_ == n) return nullptr;
  const size_t i = order_ == Order::forwards ? started_ : n - 1 - started_;
  ++started_;
  Thread& t = threads_[i];
  t.number = unsigned(i);
  t.index.x = t.number % block_.size.x;
  t.index.y = t.number / block_.size.x % block_.size.y;
  t.index.z = t.number / block_.size.x / block_.size.y;
  t.exited = false;
  t.waits_for = nullptr;
  return &t;
}

Fiber* Block::take_fiber() {
  if (free_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>());
    free_.push_back(fibers_.back().get());
  }
  Fiber* f = free_.back();
  free_.pop_back();
  f->saved = f->stack.prepare(fiber_main);
  return f;
}

void Block::resume(Thread* t) {
  t->waits_for = nullptr;
  fiber_ = t->fiber;
  emu_thread = t;
}

void Block::go_on() {
  Fiber* from = fiber_;
  if (!ready_.empty()) {
    Thread* t = ready_.pop();
    resume(t);
    if (fiber_ != from) emu_switch(&from->saved, fiber_->saved);
  } else if (started_ < threads_.size()) {
    fiber_ = take_fiber();
    emu_switch(&from->saved, fiber_->saved);
  } else {
    emu_thread = nullptr;
    fail(deadlock());
  }
}

void Block::wait(const char* what, const char* file, int line) {
  Thread& t = current();
  t.waits_for = what, t.file = file, t.line = line;
  go_on();
}

void Block::leave(Thread& t) {
  t.exited = true;
  t.copies.clear();
  t.groups.clear();
  ++exited_;
  Warp& w = warps_[t.number / 32];
  w.running &= ~(1u << t.number % 32);
  for (unsigned bits = w.in_use; bits; bits &= bits - 1) {
    Meeting& m = w.meetings[size_t(std::countr_zero(bits))];
    if (m.arrived == (m.mask & w.running)) finish(w, m);
  }
  for (Barrier& b : barriers_)
    if (b.arrived && !b.threads && size_t(b.arrived) == threads_.size() - exited_) open(b);
}

// ---- waiting -----------------------------------------------------------------------------------------------------

int Block::barrier(int number, int threads, bool wait_here, bool vote, const char* file, int line) {
  Thread& t = current();
  if (number < 0 || number > 15) fail(cat("there is no barrier ", number, "; ", file, ":", line));
  Barrier& b = barriers_[size_t(number)];
  if (b.arrived && b.threads != threads)
    fail(cat("barrier ", number, " is for ", b.threads, " threads at ", b.file, ":", b.line, " and for ", threads, " at ", file, ":", line));
  if (b.arrived && !threads && !same_place(b.file, b.line, file, line))
    fail(cat("some threads wait in __syncthreads() at ", b.file, ":", b.line, ", others at ", file, ":", line));
  if (!b.arrived) b.threads = threads, b.file = file, b.line = line;
  ++b.arrived;
  b.votes += vote;
  if (size_t(b.arrived) == (threads ? size_t(threads) : threads_.size() - exited_)) {
    t.votes = b.votes;
    open(b);
  } else if (wait_here) {
    b.waiting.push(&t);
    wait(threads ? "a named barrier" : "__syncthreads()", file, line);
  }
  return t.votes;
}

void Block::open(Barrier& b) {
  for (Thread* t = b.waiting.first; t; t = t->next) t->votes = b.votes;
  ready_.take_all(b.waiting);
  b.arrived = b.votes = 0;
}

void Block::meet(unsigned mask, void* brought, void (*finish_all)(void**, unsigned), const char* what, const char* file, int line) {
  Thread& t = current();
  const unsigned lane = 1u << t.number % 32;
  if (!(mask & lane)) fail(cat(what, " at ", file, ":", line, " by a lane that is not in its mask"));
  Warp& w = warps_[t.number / 32];
  Meeting* m = nullptr;
  for (unsigned bits = w.in_use; bits && !m; bits &= bits - 1)
    if (Meeting& candidate = w.meetings[size_t(std::countr_zero(bits))]; candidate.mask == mask) m = &candidate;
  if (!m) {
    const int free = std::countr_one(w.in_use);
    if (free == 32) fail("lanes of a warp wait for more than 32 groups of lanes");
    w.in_use |= 1u << free;
    m = &w.meetings[size_t(free)];
    m->mask = mask, m->arrived = 0, m->finish = finish_all, m->what = what, m->file = file, m->line = line;
  } else if (m->finish != finish_all || !same_place(m->file, m->line, file, line)) {
    fail(cat("some lanes of a warp are in ", m->what, " at ", m->file, ":", m->line, ", others in ", what, " at ", file, ":", line));
  }
  m->brought[t.number % 32] = brought;
  m->arrived |= lane;
  if (m->arrived == (mask & w.running)) return finish(w, *m);
  m->waiting.push(&t);
  wait(what, file, line);
}

void Block::finish(Warp& w, Meeting& m) {
  if (m.finish) m.finish(m.brought, m.arrived);
  ready_.take_all(m.waiting);
  std::memset(m.brought, 0, sizeof m.brought);
  m.mask = m.arrived = 0;
  w.in_use &= ~(1u << (&m - w.meetings.data()));
}

void Block::yield() {
  if (ready_.empty() && started_ == threads_.size()) {
    if (++idle_yields_ > 1'000'000) fail("a loop waits for what nobody does; others: " + deadlock());
    return;
  }
  ready_.push(&current());
  go_on();
}

// ---- what went wrong ---------------------------------------------------------------------------------------------

void* Block::give_up(const std::string& what) {
  auto triple = [](const EmuDim3& d) { return cat("(", d.x, ", ", d.y, ", ", d.z, ")"); };
  error_ = cat("block ", triple(block_.index), emu_thread ? ", thread " + triple(emu_thread->index) : "", ": ", what);
  failed_ = true;
  running_ = false;
  return main_;
}

void Block::fail(const std::string& what) {
  void* nobody;
  emu_switch(&nobody, give_up(what));
}

bool Block::stack_overflowed(uintptr_t address) const { return fiber_ && fiber_->stack.overflowed(address); }

// "deadlock: threads 0-31, 64 wait in __syncthreads() at kernel:12; threads 32-63 have left the kernel".
std::string Block::deadlock() const {
  std::vector<std::pair<std::string, std::string>> groups;  // what they do, which
  for (size_t i = 0; i < threads_.size();) {
    const auto state = [&](const Thread& t) {
      return t.exited ? std::string("have left the kernel") : t.waits_for ? cat("wait in ", t.waits_for, " at ", t.file, ":", t.line) : "run";
    };
    const std::string s = state(threads_[i]);
    size_t end = i + 1;
    while (end < threads_.size() && state(threads_[end]) == s) ++end;
    auto g = groups.begin();
    while (g != groups.end() && g->first != s) ++g;
    if (g == groups.end()) g = groups.insert(g, {s, ""});
    g->second += cat(g->second.empty() ? "" : ", ", i, end - i > 1 ? cat("-", end - 1) : "");
    i = end;
  }
  std::string text;
  for (const auto& [s, which] : groups) text += cat(text.empty() ? "deadlock: threads " : "; threads ", which, " ", s);
  return text;
}

Block& this_block() {
  static thread_local Block block;
  return block;
}

}  // namespace tenon::emulator

// ---- what kernels call -------------------------------------------------------------------------------------------

using tenon::emulator::this_block;

extern "C" {
int emu_barrier(int number, int threads, bool wait, bool vote, const char* file, int line) {
  return this_block().barrier(number, threads, wait, vote, file, line);
}
void emu_collective(unsigned mask, void* brought, void (*finish)(void**, unsigned), const char* what, const char* file, int line) {
  this_block().meet(mask, brought, finish, what, file, line);
}
void emu_yield() { this_block().yield(); }
void emu_fail(const char* message, const char* file, int line) {
  this_block().fail(tenon::cat(message, " at ", file, ":", line));
}
}
