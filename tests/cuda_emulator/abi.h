// What an emulated kernel and the emulator say to each other. Kernels are compiled with this header in front of them, so
// it is small, includes nothing and is plain C++17.
#pragma once

struct EmuDim3 {
  unsigned x, y, z;
};

// The part of a running thread that its kernel sees.
struct EmuThread {
  EmuDim3 index;    // threadIdx
  unsigned number;  // index as one number
};

struct EmuBlock {
  EmuDim3 index, size, grid;  // blockIdx, blockDim, gridDim
  void* shared;               // dynamic shared memory
  unsigned shared_bytes;
  bool waited;                // a thread called pdl_wait()
};

// What the lanes of a warp bring to a shuffle, and take away.
struct EmuShuffle {
  unsigned long long value, result;
  int source;  // lane
};

// The operands of warp-wide matrix instructions, as each lane holds them.
struct EmuLoadMatrix {
  const void* row;  // lane 8*m + r: row r of matrix m
  unsigned* result;
  int matrices;
  bool transposed;
};
struct EmuMma {
  void* d;  // 4 floats, or 4 ints; in and out
  const unsigned *a, *b;
};
struct EmuVote {
  bool vote;
  unsigned result;
};

constexpr unsigned kEmuPointer = 0x10000;

#define EMU_TLS extern __thread __attribute__((tls_model("initial-exec")))

extern "C" {
EMU_TLS EmuThread* emu_thread;
EMU_TLS EmuBlock* emu_block;

// Waits until `threads` threads of the block are here; 0: all that still run, who must then all be at `line`. With `wait`
// false it only counts as one of them. The result is how many came with a true `vote`.
int emu_barrier(int number, int threads, bool wait, bool vote, const char* file, int line);
// Waits until the lanes of `mask` that still run are here; the last to come calls `finish` with what each lane brought
// (null for lanes that are not part of it), while all others stand still.
void emu_collective(unsigned mask, void* brought, void (*finish)(void** lanes, unsigned mask), const char* what,
                    const char* file, int line);
// Lets others run: what a loop that waits for somebody calls.
void emu_yield();
// Stops the launch with this error.
void emu_fail(const char* message, const char* file, int line);

// For emu_collective().
void emu_shuffle(void** lanes, unsigned mask);
void emu_ballot(void** lanes, unsigned mask);
void emu_load_matrix(void** lanes, unsigned mask);
void emu_mma_f16(void** lanes, unsigned mask);
void emu_mma_bf16(void** lanes, unsigned mask);
void emu_mma_tf32(void** lanes, unsigned mask);
void emu_mma_e4m3(void** lanes, unsigned mask);
void emu_mma_e5m2(void** lanes, unsigned mask);
void emu_mma_s8(void** lanes, unsigned mask);
void emu_mma_u8(void** lanes, unsigned mask);
void emu_mma_s8_u8(void** lanes, unsigned mask);
void emu_mma_u8_s8(void** lanes, unsigned mask);

// Narrow floats, rounded to nearest even.
unsigned short emu_to_f16(float v);
float emu_from_f16(unsigned short bits);
unsigned short emu_to_bf16(float v);
unsigned char emu_to_e4m3(float v);  // what is too large becomes the largest, here and below
unsigned char emu_to_e5m2(float v);
float emu_from_e4m3(unsigned char bits);

// cp.async: `from_bytes` of `bytes` come from there, the rest are zeros.
void emu_copy_async(void* to, const void* from, int bytes, int from_bytes, const char* file, int line);
void emu_copy_commit();
void emu_copy_wait(int groups);  // until no more than that many groups are under way; -1: nothing at all, committed or not
}
