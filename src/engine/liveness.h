// Liveness: where each value of an engine's graph stands, a root and an offset, and from which step to which
// roots need their memory.
//
// A view stands where its input does; an output of a Split along leading dimensions some bytes further on.
// The other way round, an input of a Concat stands within the output, so that the kernel that makes it writes
// it where it belongs. Along leading dimensions it is one run of bytes, which any kernel writes; else its
// rows are apart, for kernels that say that they can, if nobody but the Concat reads it. Only concrete shapes
// tell, so this is found out when shapes are bound.
#pragma once

#include <vector>

#include "engine/pieces.h"

namespace tenon {

// Kernels may count on operands that begin at multiples of this, with vector loads and tensor maps.
constexpr int64_t kOperandAlignment = 16;

// An input that a Concat still has to copy, though others stand within its result: rows of `bytes`, of which
// the first begins at `offset` of the output and each next one `pitch` further on.
struct CopiedPart {
  size_t input;
  int64_t offset, bytes, rows = 1, pitch = 0;
};

struct Liveness {
  // Of a value: the value in whose memory it stands, itself if it has its own; the bytes from where that one
  // begins; the bytes from a row of its last dimension to the next, 0 where they follow each other; whether
  // it is all of its root.
  std::vector<ValueId> root;
  std::vector<int64_t> offset, pitch;
  std::vector<bool> whole;
  // Of a root: the last step that reads it or what stands in it, nodes.size() for outputs; the first step
  // that writes it, -1 for inputs and constants.
  std::vector<int> last_use, defined_at;
  // Of a node: whether its operands stand within each other, so that no kernel has to run; and the copies
  // that it takes all the same.
  std::vector<bool> placed;
  std::vector<std::vector<CopiedPart>> copied;
};
// With nothing known only views are found.
Liveness find_liveness(const Graph& g, const KnownValues& known = {});

}  // namespace tenon
