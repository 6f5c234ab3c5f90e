// Binding: a plan at concrete input shapes: launches, and where each value stands in memory.
#pragma once

#include <optional>

#include "engine/liveness.h"
#include "engine/memory_plan.h"
#include "runtime/plan.h"
#include "runtime/symbols.h"

namespace tenon {

// Where something that a run makes stands: in its place's arena, or in the memory of a graph output that is not written yet.
struct Spot {
  int output = -1;      // -1: the arena
  int64_t offset = -1;  // -1: nowhere of these
};

// A step ready to run with known shapes, or one whose shapes are only known when it is reached ("late").
struct BoundStep {
  std::unique_ptr<Launch> launch;
  Spot scratch;                                // of the launch
  std::vector<const void*> in;
  std::vector<void*> out;
  bool late = false;
  int count = -1;                              // of a kernel that counts(): its place in Binding::counts
  bool skip = false;                           // a copy of what is there already
  size_t source = 0;                           // of a copy of a graph input: which input
  std::vector<TensorDesc> bound_in, bound_out;  // late: what `launch` was bound to
};

struct Binding {
  std::vector<Shape> input_shapes;
  SymbolValues symbols;
  std::vector<bool> known;                 // is the shape of a value known before the run
  std::vector<Shape> shape;                // where known, and of late values during a run
  Liveness live;                           // at these shapes: where values stand within each other, and how long
  std::vector<Spot> spot;                  // of a root
  std::vector<int> output_of;              // of a root: the graph output whose buffer it is written to; -1: none
  std::vector<bool> lends;                 // of a graph output: its memory has others in it before
  std::vector<const void*> data;           // of a value; null while unknown
  std::vector<Tensor> held;                // late values and shape arithmetic
  std::vector<bool> uncounted;             // values of which the plan knows only how large they can be
  std::vector<BoundStep> steps;
  MemoryPlan memory[2];                    // by Place
  bool any_late = false;

  // What kernels have found whose results' size the data decides: on the device, and as brought back. Null where there are none.
  Tensor counts, counts_here;

  // Steps [0, inputs_end) bring inputs to the device, those up to recorded_end can be recorded.
  size_t inputs_end = 0, recorded_end = 0;
  int runs_in_place = 0;                   // runs since addresses last changed
  std::unique_ptr<Recording> recording;

  const void* placed_arena[2] = {nullptr, nullptr};
  std::vector<const void*> placed_in, placed_out;
};

// Puts the node in front of a message that does not begin with it.
Status name_node(const Node& node, const Status& s);
// What the engine's graph says differs from what follows from its inputs.
Status wrong_graph(const Node& node, const std::string& says, const std::string& is);
// Output shapes by inference on concrete inputs. Nothing where even those do not tell. Errors: inference's own; what the
// graph says of types differs, so that kernels chosen for it would read or write beyond their memory.
Result<std::vector<std::optional<Shape>>> infer_concrete(const Graph& g, const Node& node, const std::vector<ValueInfo>& inputs);
// `value` is in the host's memory, or null.
ValueInfo concrete_info(DType t, const Shape& shape, const void* value);

}  // namespace tenon
