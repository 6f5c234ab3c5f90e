// Scaled dot-product attention in double: the arithmetic of every attention operator, once they have sorted
// out their inputs.
#pragma once

#include <functional>
#include <vector>

#include "ops/op.h"

namespace tenon {

struct AttentionProblem {
  int64_t batch = 0, q_heads = 0, kv_heads = 0, q_len = 0, kv_len = 0, head = 0, v_head = 0;
  std::vector<double> q;  // [batch, q_heads, q_len, head]
  std::vector<double> k;  // [batch, kv_heads, kv_len, head]; each serves q_heads / kv_heads heads of q
  std::vector<double> v;  // [batch, kv_heads, kv_len, v_head]
  double scale = 1;
  double softcap = 0;  // > 0: logits become softcap * tanh(logit / softcap)
  // Adds what masks and position say to a row of kv_len logits: -inf shuts a key out. May be empty.
  std::function<void(int64_t b, int64_t h, int64_t i, double* bias)> bias;
  // One more logit a head that takes part in the sum of the softmax only. May be empty.
  std::vector<double> sink;
};

// The logits at a stage of the computation: scaled product, after softcap, after bias, after softmax.
enum class AttentionStage { product, capped, biased, probabilities };

// Y [batch, q_heads, q_len, v_head] = softmax(cap(q k' scale) + bias) v. A query that may see no key gives
// zeros. Where `logits` is given it receives the stage asked for, [batch, q_heads, q_len, kv_len].
std::vector<double> attention(const AttentionProblem& p, AttentionStage stage = AttentionStage::probabilities,
                              std::vector<double>* logits = nullptr);

// [batch, length, heads * size] to [batch, heads, length, size], and back.
std::vector<double> split_heads(const std::vector<double>& x, int64_t batch, int64_t length, int64_t heads);
std::vector<double> merge_heads(const std::vector<double>& x, int64_t batch, int64_t heads, int64_t length);
// Two arrays [outer, a, inner] and [outer, b, inner] joined in the middle.
std::vector<double> join_middle(const std::vector<double>& x, const std::vector<double>& y, int64_t outer);

// Q, K and V as rank 3 (heads side by side) or rank 4, seen as dims of one problem.
struct HeadDims {
  Dim batch, heads, length, size;
};
// `heads` counts the heads of a rank 3 input. Errors: a rank that is neither, a hidden size that does not
// divide.
Result<HeadDims> head_dims(InferArgs& a, size_t input, int64_t heads);

}  // namespace tenon
