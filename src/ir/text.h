// The text form of a graph: prints and parses back exactly. Tests, dumps, `tenon opt` and engine files use it.
//
//   graph "main" (%x: f32[batch, 3, 224, 224], %n: i64[]) -> (%y "prob", %z) {
//     const %W: f32[2, 2] = [1.0, 2.0, 3.0, 4.0]
//     %c: f32[batch, 64, 112, 112] = Conv(%x, %W, _) {strides=[2, 2]} "conv1" from ["conv1", "bn1"]
//     %a: f32[2], %b: f32[2] = Split(%c)  // a comment
//   }
//
// Names: %letters_digits./- as they are, others quoted: %"any \"text\"". `_` is an absent input or output.
// Operators of other domains: com.microsoft.Gelu. Types: f32[batch, 2*n+1], f32[*] of unknown rank, ? unknown; where
// they are left out after a %name, inference fills them in. Written types are taken at their word.
// Attributes: 3, 1.0 (floats always have . or e, inf, nan), "text", [1, 2], [1.0], ["a"], empty ints[] floats[]
// strings[], tensor f32[2] [1.0, 2.0], graph "body" (...) -> (...) {...}. Those equal to their default are left out.
// After the attributes the node's name, and `from` the ONNX nodes it came from (left out: only its own name).
// Data: [1, 2], 1.5 (rank 0), #7 (entry of the blob table), base64"...", and for tests `splat 0.5` and `random 7`
// (normal with deviation 1, or small integers; by that seed). `zeros` stands for data that nothing reads any more.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace tenon {

// Where the data of constants lies when it is kept beside the text.
struct BlobTable {
  std::vector<Tensor> tensors;
};

// With a table, every constant of more than a few elements goes there; equal buffers once.
std::string print(const Graph& g, BlobTable* blobs = nullptr);
// "%c: f32[2] = Relu(%x)": one node, for messages.
std::string print_node(const Graph& g, const Node& node);

// Errors: invalid_argument with line and column. What comes out has passed the verifier.
Result<Graph> parse(std::string_view text, const BlobTable* blobs = nullptr);

}  // namespace tenon
