#include "cuda_emulator/machine.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <mutex>

#include "cuda_emulator/block.h"

namespace tenon::emulator {

std::string (*describe_address)(uintptr_t address) = nullptr;

namespace {

constexpr unsigned char kUnset = 0xff;  // shared memory before it is written: NaN as a float, -1 as an integer

// Dynamic shared memory: ends where a page that faults begins.
class SharedMemory {
 public:
  static constexpr int64_t kLargest = 256 << 10, kAlign = 1024;
  SharedMemory() {
    void* p = mmap(nullptr, size_t(kLargest + kGuard), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED);
    base_ = static_cast<char*>(p);
    CHECK(mprotect(base_ + kLargest, size_t(kGuard), PROT_NONE) == 0);
  }
  ~SharedMemory() { munmap(base_, size_t(kLargest + kGuard)); }
  SharedMemory(const SharedMemory&) = delete;

  char* begin(int64_t bytes) {
    char* p = base_ + kLargest - (bytes + kAlign - 1) / kAlign * kAlign;
    std::memset(p, kUnset, size_t(base_ + kLargest - p));
    return p;
  }
  // Whether nothing was written between the end of what was asked for and the page that faults.
  bool intact(const char* begin, int64_t bytes) const {
    return std::all_of(begin + bytes, static_cast<const char*>(base_) + kLargest, [](char c) { return static_cast<unsigned char>(c) == kUnset; });
  }
  bool behind(uintptr_t address) const {
    const auto end = reinterpret_cast<uintptr_t>(base_) + kLargest;
    return address >= end && address < end + kGuard;
  }

 private:
  static constexpr int64_t kGuard = 1 << 20;
  char* base_ = nullptr;
};

SharedMemory& shared_memory() {
  static thread_local SharedMemory memory;
  return memory;
}

// ---- faults ------------------------------------------------------------------------------------------------------

struct Fault {
  uintptr_t code = 0;  // the instruction
};
thread_local Fault last_fault;
struct sigaction previous[64];

std::string describe_fault(int signal, uintptr_t address, const Block& block) {
  if (signal == SIGILL) return "an index outside of its array, or an address that is not a multiple of the access";
  if (signal == SIGFPE) return "an integer division by zero, or of the smallest number by -1";
  if (block.stack_overflowed(address)) return cat("its local memory is beyond ", FiberStack::kBytes, " bytes");
  if (shared_memory().behind(address))
    return cat("an access behind its ", block.shape().shared_bytes, " bytes of dynamic shared memory");
  const std::string known = describe_address ? describe_address(address) : "";
  if (!known.empty()) return "an access " + known;
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(address));
  return cat("an access to ", text, ", which is no memory of the device");
}

void on_fault(int signal, siginfo_t* info, void* context) {
  Block& block = this_block();
  if (!block.running()) {  // not ours
    sigaction(signal, &previous[signal], nullptr);
    return;
  }
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  last_fault.code = uintptr_t(registers[REG_RIP]);
  registers[REG_RSP] = greg_t(block.give_up(describe_fault(signal, reinterpret_cast<uintptr_t>(info->si_addr), block)));
  registers[REG_RIP] = greg_t(&emu_switch_resume);
}

// A stack for the handler, since a fiber's own may be what overflowed; the calling thread's.
struct SignalStack {
  SignalStack() {
    stack_t old;
    if (sigaltstack(nullptr, &old) == 0 && !(old.ss_flags & SS_DISABLE)) return;
    memory.resize(64 << 10);
    stack_t mine{};
    mine.ss_sp = memory.data(), mine.ss_size = memory.size();
    sigaltstack(&mine, nullptr);
  }
  ~SignalStack() {
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    if (!memory.empty()) sigaltstack(&none, nullptr);
  }
  std::vector<char> memory;
};

void catch_faults() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action{};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (int s : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) sigaction(s, &action, &previous[s]);
  });
  static thread_local SignalStack stack;
  (void)stack;
}

// "kernel:12" for an instruction of the kernel; "" where the tool that knows is not there.
std::string source_line(const HostKernel& code, uintptr_t instruction) {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void*>(instruction), &info) || code.file != info.dli_fname) return "";
  char command[600];
  std::snprintf(command, sizeof command, "addr2line -s -e '%s' 0x%llx 2>/dev/null", code.file.c_str(),
                static_cast<unsigned long long>(instruction - reinterpret_cast<uintptr_t>(info.dli_fbase)));
  FILE* f = popen(command, "r");
  char line[200] = "";
  if (f && !std::fgets(line, sizeof line, f)) line[0] = 0;
  if (f) pclose(f);
  std::string text(trim(line));
  text.resize(std::min(text.size(), text.find(' ')));  // "(discriminator 2)"
  return text.empty() || text[0] == '?' ? "" : text;
}

}  // namespace

Status check_launch(const HostKernel& code, const GridShape& s, int64_t shared_per_block) {
  constexpr int64_t kGrid[3] = {0x7fffffff, 65535, 65535}, kBlock[3] = {1024, 1024, 64};
  const auto refuse = [&](const auto&... what) { return invalid_argument("kernel '", code.name, "': ", what...); };
  for (int i = 0; i < 3; ++i) {
    if (s.grid[i] < 1 || s.grid[i] > kGrid[i]) return refuse("a grid of ", std::span(s.grid), " blocks");
    if (s.block[i] < 1 || s.block[i] > kBlock[i]) return refuse("a block of ", std::span(s.block), " threads");
  }
  const int64_t threads = s.block[0] * s.block[1] * s.block[2];
  if (threads > 1024) return refuse("a block of ", std::span(s.block), " threads");
  if (code.max_threads && threads > code.max_threads) return refuse("a block of ", threads, " threads, its __launch_bounds__ are ", code.max_threads);
  if (code.static_shared > 48 << 10) return refuse(code.static_shared, " bytes of static shared memory");
  if (s.shared < 0 || s.shared + code.static_shared > shared_per_block)
    return refuse(s.shared, " bytes of dynamic and ", code.static_shared, " of static shared memory");
  return {};
}

Status run_grid(const HostKernel& code, const GridShape& shape, void** args, Order order) {
  const auto name = [&](const Status& s) { return s.with_prefix(cat("kernel '", code.name, "': ")); };
  CHECK(shape.shared <= SharedMemory::kLargest);
  catch_faults();
  Block& block = this_block();
  CHECK(!block.running());
  const int64_t blocks = shape.grid[0] * shape.grid[1] * shape.grid[2];
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t b = order == Order::forwards ? i : blocks - 1 - i;
    const EmuDim3 index{unsigned(b % shape.grid[0]), unsigned(b / shape.grid[0] % shape.grid[1]), unsigned(b / shape.grid[0] / shape.grid[1])};
    char* shared = shared_memory().begin(shape.shared);
    if (code.statics) std::memset(code.statics(), kUnset, size_t(code.static_shared));
    last_fault = {};
    if (!block.run(code, shape, index, shared, args, order)) {
      const std::string line = last_fault.code ? source_line(code, last_fault.code) : "";
      return name(internal_error(block.error(), line.empty() ? "" : cat(" (", line, ")")));
    }
    const std::string where = cat("block (", index.x, ", ", index.y, ", ", index.z, "): ");
    if (!shared_memory().intact(shared, shape.shared))
      return name(internal_error(where, "a write behind its ", shape.shared, " bytes of dynamic shared memory"));
    if (shape.programmatic && !block.shape().waited)
      return name(internal_error(where, "launched as programmatic, it never waits for the kernel in front of it (PDL_WAIT)"));
  }
  return {};
}

}  // namespace tenon::emulator
