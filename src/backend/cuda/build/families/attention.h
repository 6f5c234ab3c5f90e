// Attention as its kernels see it: a tile of queries in a block, which streams over the keys with a running maximum and sum,
// so that nothing of [queries, keys] is in memory.
#pragma once

#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

// Where a row of a head lies: b * batch + h * head + i * row + offset, in elements; its columns lie side by side.
struct HeadRows {
  int index = 0;  // input, or output
  Dim batch, head, row, offset = 0;
};

struct AttentionProblem {
  DType type = DType::f32;
  bool tf32 = false;  // products of f32 may round their operands
  Dim batch, heads, q_len, kv_len;
  Dim group = 1;  // heads of q that share a head of k and v
  int head = 0, v_head = 0;
  HeadRows q, k, v, y;

  int mask = -1;  // an input that is added to the scores, or boolean; -1: none
  DType mask_type = DType::none;
  SymShape mask_strides;  // for [batch, head, query, key]
  Dim mask_len;           // keys from here on are shut out
  int valid = -1;         // an input: how many keys of a batch there are
  double scale = 1, softcap = 0;
  bool causal = false;
  int64_t left = -1, right = -1;  // how far a query sees; -1: all

  std::map<std::string, int64_t> likely;  // OperandDims::likely()

  // Scores only have to be scaled, which the exponential does.
  bool plain() const { return mask < 0 && softcap <= 0 && scale > 0; }
  // What a query sees depends on where it stands.
  bool ranged() const { return causal || left >= 0 || right >= 0; }
};

// A block's tile.
struct AttentionTile {
  int bm = 64, bn = 64, threads = 128;
};

// The widest vector that loads or stores rows, in elements.
int row_vector(const AttentionProblem& p, const HeadRows& r, int columns);

// Device functions that both kernels use.
extern const char kAttentionHelpers[];

// Statements that begin a kernel: BM, BN, THREADS, QUERIES, b, h, row0, the addresses q, k, v and y, row strides Q_ROW,
// K_ROW, V_ROW and Y_ROW, the number of `keys`; the tiles of keys [tile_begin, tile_end), of which [tile_begin, tile_whole)
// need no look at positions; sees(row, key); score(s), a product as it enters the softmax, or, where there is a mask,
// score(s, *mask_of(row, key)), where masks_of(row, key, limit) gives two, for an even key. Addresses are of `element`.
std::string attention_frame(KernelWriter& k, const AttentionProblem& p, const AttentionTile& t, const std::string& element);
// What the last tile's columns are rounded up to: fewer than bn where the number of keys is known.
int last_columns(const AttentionProblem& p, const AttentionTile& t, int multiple);
// Statements of a row's running softmax over `$COUNT` scores `$SCORE` (an lvalue with index j): they become
// exponentials; `$TOP` and `$SUM` follow; `fade` is what earlier sums and results are scaled by. $REDUCE: how many lanes share a row.
std::string softmax_step(const AttentionProblem& p, Holes holes);
// The launch of a kernel made with the frame.
KernelLaunch attention_launch(KernelWriter& k, const AttentionProblem& p, const AttentionTile& t, int64_t shared);

// f16, bf16, f32 in tf32. `variant`: one of the names, the own choice first; empty: that.
Status write_attention_mma(const AttentionProblem& p, const Chip& chip, const std::string& variant, Program& out);
std::vector<std::string> attention_variants(const AttentionProblem& p, const Chip& chip);
Status write_attention_simt(const AttentionProblem& p, const Chip& chip, Program& out);  // f32

}  // namespace tenon::cuda
