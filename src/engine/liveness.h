// Liveness: which values of an engine's graph have memory of their own, and from which step to which they need it.
#pragma once

#include <vector>

#include "ir/graph.h"

namespace tenon {

struct Liveness {
  std::vector<ValueId> root;    // the value whose memory a view shows; itself otherwise
  std::vector<int> last_use;    // of a root: the last step that reads it or a view of it; nodes.size() for outputs
  std::vector<int> defined_at;  // of a root: the step that writes it; -1 for inputs and constants
};
Liveness find_liveness(const Graph& g);

}  // namespace tenon
