// find_attention: recognises attention spelled out, softmax(q k' * scale + mask) v, as one Attention.
//
// Why: its kernel keeps the scores, which are the largest tensor of a transformer, out of memory. Reshapes and Transposes that
// only split heads vanish: q, k and v are read where they lie, in columns of [batch, length, hidden] (`columns`, where one
// product makes more than one of them) or by heads. Only where PassOptions::has_kernel says yes.
//
//   %a: f32[b, 8, s, t] = MatMul(%q, %k)           // q: [b, s, 8*64] split into heads; k: the same, transposed
//   %c: f32[b, 8, s, t] = Mul(%a, %scale)
//   %m: f32[b, 8, s, t] = Add(%c, %mask)
//   %p: f32[b, 8, s, t] = Softmax(%m)
//   %o: f32[b, 8, s, 64] = MatMul(%p, %v)           becomes      %y: f32[b, s, 512] = Attention(%q, %k, %v, %mask), and its view %o
//
// A row that sees no key is zeros, where a softmax of nothing but -inf was NaN. Attention by heads, as exporters write it, loses
// its Transposes too. Before lower_precision, so that the softmax is the kernel's, in float32; before the passes over
// layout, which take away what is left of the Transposes, and once more behind them.
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> find_attention(Graph g, const PassOptions& options);

}  // namespace tenon
