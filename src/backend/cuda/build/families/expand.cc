// Expand, Tile, DepthToSpace and SpaceToDepth: copies in which the input is seen with other strides.
#include "backend/cuda/build/families/strided.h"

namespace tenon::cuda {

static bool concerns(const KernelRequest& r) {
  for (const char* name : {"Expand", "Tile", "DepthToSpace", "SpaceToDepth"})
    if (op_is(r.node, name)) return true;
  return false;
}

// y [r0, d0, r1, d1, ...] reads x with stride 0 along each repetition.
static void describe_tile(const OperandDims& dims, const std::optional<Ints>& repeats, StridedCopy& c) {
  const SymShape &x = dims.in(0), &y = dims.out(0), own = sym_row_major_strides(x);
  for (size_t d = 0; d < x.size(); ++d) {
    c.dims.push_back(repeats ? Dim((*repeats)[d]) : floor_div(y[d], max(x[d], Dim(1))));
    c.dims.push_back(x[d]);
    c.from.push_back(0);
    c.from.push_back(own[d]);
  }
}

// [N, C, H, W] with blocks of b x b pixels; the output's dimensions are given as those of the input taken
// apart.
static void describe_blocks(const Node& n, const SymShape& x, StridedCopy& c) {
  const Dim b = n.attrs.i("blocksize"), square = b * b;
  SymShape parts;
  std::vector<size_t> order;
  if (op_is(n, "SpaceToDepth")) {
    parts = {x[0], x[1], floor_div(x[2], b), b, floor_div(x[3], b), b};
    order = n.attrs.s("mode") == "CRD" ? std::vector<size_t>{0, 1, 3, 5, 2, 4}
                                       : std::vector<size_t>{0, 3, 5, 1, 2, 4};
  } else if (n.attrs.s("mode") == "CRD") {
    parts = {x[0], floor_div(x[1], square), b, b, x[2], x[3]};
    order = {0, 1, 4, 2, 5, 3};
  } else {
    parts = {x[0], b, b, floor_div(x[1], square), x[2], x[3]};
    order = {0, 3, 4, 1, 5, 2};
  }
  const SymShape own = sym_row_major_strides(parts);
  for (size_t d : order) c.dims.push_back(parts[d]), c.from.push_back(own[d]);
}

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const int bytes = unit_bytes(type_of(r, 0));
  if (bytes == 0) return unsupported("no kernel for elements of ", bits(type_of(r, 0)), " bits");
  const OperandDims dims = TRY(OperandDims::of(r));
  Program program;
  TRY(index_with_32_bits(program.recipe, {dims.in(0), dims.out(0)}));
  StridedCopy c;
  c.bytes = bytes;
  const std::string name = op_is(r.node, "Expand") ? "expand" : op_is(r.node, "Tile") ? "tile" : "blocks";
  if (name == "expand") {
    c.dims = dims.out(0);
    c.from = broadcast_strides(dims.in(0), c.dims);
  } else if (name == "tile") {
    describe_tile(dims, constant_ints(r, 1), c);
  } else {
    if (dims.in(0).size() != 4) return unsupported("only four dimensions have a kernel");
    describe_blocks(r.node, dims.in(0), c);
  }
  c.to = sym_row_major_strides(c.dims);
  c = collapsed(c);
  write_strided(program, name, c);
  program.variant = cat(name, ".", c.bytes);
  return program;
}

extern const Family kExpand{"expand", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
