// find_rotary: rotary position embedding spelled out becomes one tenon.Fused node of kind "rotary".
//
// Why: every exporter spells it as two halves cut out, one of them negated, put together the other way around, and two products:
// five passes over memory where one does. Only where PassOptions::has_kernel says yes: what runs in the caches of a CPU gains
// nothing by it.
//
//   %a: f32[b, h, s, 64] = Mul(%x, %cos)
//   %low: f32[b, h, s, 32] = Slice(%x, [0], [32], [3])
//   %high: f32[b, h, s, 32] = Slice(%x, [32], [64], [3])     or both by Split
//   %n: f32[b, h, s, 32] = Neg(%high)
//   %r: f32[b, h, s, 64] = Concat(%n, %low) {axis=3}
//   %b: f32[b, h, s, 64] = Mul(%r, %sin)
//   %y: f32[b, h, s, 64] = Add(%a, %b)
//
// The cosines and sines are as wide as a head and broadcast over the other dimensions. Behind the layout passes, which know how to
// move Transposes through the parts. Source: Su and others, "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021.
#pragma once

#include "passes/pipeline.h"

namespace tenon {

Result<Graph> find_rotary(Graph g, const PassOptions& options);

}  // namespace tenon
