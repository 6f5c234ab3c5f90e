// Recipe: how a compiled step is run. The build half writes it beside the machine code; the run half plays it with the
// driver alone and knows no kernel by name. All sizes are Dims over the operands' dimensions, so one recipe serves a
// range of shapes.
//
// Symbols in these Dims:
//   i0_2    dimension 2 of input 0          o0_1    dimension 1 of output 0
//   p0_16   how far apart rows of output 0 begin (TensorDesc::pitch), in units of 16 bytes
//   count   in `results` alone: how many the kernel has found
//   v1_3    element 3 of input 1, an integer tensor whose value the host knows when the step is bound (value_inputs)
//   u1_3    the same, 0 where it is negative: Dims take symbols for sizes, and max(0, v1_3) for v1_3
#pragma once

#include <string>
#include <vector>

#include "base/dim.h"
#include "base/status.h"

namespace tenon::cuda {

// A view of device memory for the tensor memory accelerator, encoded when the address is known (Hopper and later).
// Dimensions stand innermost first, as the driver takes them; strides are in bytes, of dimensions 1 and up.
struct TensorMap {
  std::string type;                      // "f16", "bf16", "f32", "u8"
  std::vector<Dim> dims, strides;
  std::vector<int> box, element_strides;
  int swizzle = 0;                       // 0, 32, 64 or 128 bytes
  int l2_promotion = 128;                // bytes: 0, 64, 128, 256
  // im2col: corners of the box of base pixels, innermost spatial dimension first; empty for a tiled map.
  std::vector<int> lower, upper;
  int channels = 0, pixels = 0;
};

// One argument of a kernel, in the order of its parameters.
struct Arg {
  enum Kind : uint8_t {
    input, output,  // address of operand `index`, plus `value` bytes
    data,           // address of the step's stored tensor `index`, plus `value` bytes
    scratch,        // address in the scratch memory, `value` bytes in
    i32, i64,       // the number `value`
    f32,            // the number `number`
    tensor_map,     // `map` over the memory that `base` and `index` name
    count,          // address of an i64: how many a kernel has found whose results' size the data decides
  };
  Kind kind = i32;
  int index = 0;
  Dim value;
  double number = 0;
  Kind base = input;
  TensorMap map;
};

struct KernelLaunch {
  std::string kernel;     // its extern "C" name
  Dim grid[3] = {1, 1, 1};  // no launch when one is zero
  Dim block[3] = {1, 1, 1};
  Dim shared;             // dynamic shared memory, bytes
  int cluster = 1;        // blocks of a cluster, along x
  bool programmatic = false;  // the kernel waits for its predecessor itself (griddepcontrol.wait) before it touches memory
  std::vector<Arg> args;
};

struct Recipe {
  std::vector<KernelLaunch> launches;
  Dim scratch;                 // bytes
  uint32_t value_inputs = 0;   // bit i: binding needs the value of input i
  // Where the data decides the results' size: their shapes, in which a dimension may be the symbol `count`, and the most
  // that it can be. Empty: shapes alone decide.
  std::vector<SymShape> results;
  Dim most;
  // Each of these must stay below 2^31 for the kernels' 32-bit indices; bind() refuses shapes where one does not.
  std::vector<Dim> below_2g;

  // Bit i: no kernel takes the address or the value of input i, of `inputs` ones.
  uint32_t unread_inputs(size_t inputs) const;
  std::string to_text() const;  // one JSON object, keys sorted
  static Result<Recipe> parse(std::string_view text);
};

}  // namespace tenon::cuda
