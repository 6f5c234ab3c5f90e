// Attention in fp32: softmax(cap(q k' * scale) + mask) v, a block of queries at a time over blocks of keys,
// so that the scores never leave the caches.
#pragma once

#include <cstdint>

#include "backend/cpu/kernels/isa.h"
#include "base/thread_pool.h"

namespace tenon::cpu {

// Where the rows of heads lie: floats from one batch, head and row to the next. A row's columns are adjacent.
struct HeadLayout {
  int64_t batch = 0, head = 0, row = 0;
};

enum class AttentionMask : uint8_t { none, added, boolean };

struct AttentionDesc {
  Isa isa = Isa::baseline;
  int64_t batch = 0, heads = 0, kv_heads = 0;  // kv_heads divides heads
  int64_t q_len = 0, kv_len = 0, head = 0, v_head = 0;
  HeadLayout q, k, v, y;
  float scale = 1, softcap = 0;  // softcap > 0: softcap * tanh(score / softcap)
  // A mask of floats is added, -inf shuts a key out whatever its score is; a boolean one keeps where it is
  // true.
  AttentionMask mask = AttentionMask::none;
  int64_t mask_len = 0;          // keys from here on are shut out
  int64_t mask_strides[3] = {};  // elements from one batch, head and query to the next; keys are adjacent
  // Query i stands at `past` + i, or, with lengths, at the batch's length - q_len + i.
  int64_t past = 0;
  bool causal = false;            // no key behind the query
  int64_t left = -1, right = -1;  // keys that far from the query at most; -1: all
};

struct AttentionArgs {
  const float *q = nullptr, *k = nullptr, *v = nullptr;
  const void* mask = nullptr;      // floats or bytes
  const int64_t* valid = nullptr;  // how many keys each batch has, at most kv_len; null: kv_len
  float* y = nullptr;
};

// A query that may see no key gives zeros. The same bits for any number of threads. Scratch is 64-byte
// aligned.
int64_t attention_scratch_bytes(const AttentionDesc& desc, int threads);
void attention(const AttentionDesc& desc, const AttentionArgs& args, void* scratch, ThreadPool& pool);

// to [batch, heads, past_len + len, size]: the rows of `past`, which stand so as well, and behind them those
// of `fresh`.
void join_heads(ThreadPool& pool, int64_t batch, int64_t heads, int64_t size, const float* past,
                int64_t past_len, const float* fresh, const HeadLayout& layout, int64_t len, float* to);

}  // namespace tenon::cpu
