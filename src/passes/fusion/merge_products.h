// merge_products: products of one input by different matrices become one, where Attention reads their results.
//
// Why: one wide product fills a device that three narrow ones leave idle, and reads its input once. Attention takes its
// heads from the columns where they are, so that nothing is split. A bias behind a product comes along.
//
//   %q: f32[b, s, 8] = MatMul(%x, %wq)
//   %k: f32[b, s, 8] = MatMul(%x, %wk)
//   %v: f32[b, s, 8] = MatMul(%x, %wv)
//   %y: f32[b, s, 8] = Attention(%q, %k, %v)         becomes     %qkv: f32[b, s, 24] = MatMul(%x, %w)
//                                                               %y: f32[b, s, 8] = Attention(%qkv, %qkv, %qkv) {columns=[0, 8, 16]}
//
// Behind find_attention, before weights are rounded.
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> merge_products(Graph g, const PassOptions& options);

}  // namespace tenon
