// Concat and Split: rows of one operand are pieces of the others behind each other. One thread for each piece
// of 16 bytes, or as wide as the pieces' sizes allow; each finds the operand it belongs to.
#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

static bool concerns(const KernelRequest& r) {
  return op_is(r.node, "Concat") || op_is(r.node, "Split");
}

// A kernel has at most this many operands beside the joined one.
static constexpr size_t kMostPieces = 24;

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const bool split = op_is(r.node, "Split");
  int bytes = unit_bytes(type_of(r, 0));
  if (bytes == 0) return unsupported("no kernel for elements of ", bits(type_of(r, 0)), " bits");
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape& joined = split ? dims.in(0) : dims.out(0);
  const size_t pieces = split ? r.node.outputs.size() : r.node.inputs.size(),
               axis = axis_of(r.node.attrs.i("axis"), joined.size());
  Program program;
  TRY(index_with_32_bits(program.recipe, {joined}));

  // How long each piece of a row is, and where it starts.
  std::vector<Dim> length, start;
  Dim end = 0;
  int factor = 16 / bytes;
  for (size_t p = 0; p < pieces; ++p) {
    if (split && !wanted(r, p)) return unsupported("one of its outputs is left out");
    const SymShape& s = split ? dims.out(p) : dims.in(p);
    length.push_back(product(s, axis));
    start.push_back(end);
    end = end + length.back();
    factor = power_of_two_in(length.back(), factor);
  }
  bytes *= factor;
  const Dim row = floor_div(product(joined, axis), Dim(factor)), rows = product(joined, 0, axis);
  const std::string type = unit_type(bytes), source = cat("const ", type, "*");
  for (size_t first = 0; first < pieces; first += kMostPieces) {
    const size_t last = std::min(pieces, first + kMostPieces);
    const Dim begin = floor_div(start[first], Dim(factor));
    const Dim stop = last == pieces ? row : floor_div(start[last], Dim(factor));
    KernelWriter k(cat(split ? "split" : "concat", first / kMostPieces), 256);
    const std::string all = split ? k.input(0, source) : k.output(0, type + "*");
    std::string body = cat("const unsigned i = blockIdx.x * 256u + threadIdx.x;\nif (i >= ",
                           unsigned_size(k, rows * (stop - begin)), ") return;\n");
    const auto at = unravel(k, {rows, stop - begin}, "i", "d", body);
    body += cat("const unsigned row = ", at[0], ", c = ", at[1], " + ", unsigned_size(k, begin),
                ", at = row * ", unsigned_size(k, row), " + c;\n");
    for (size_t p = first; p < last; ++p) {
      if (length[p].is(0)) continue;
      const std::string own = split ? k.output(int(p), type + "*") : k.input(int(p), source);
      const std::string place = cat(own, "[row * ", unsigned_size(k, floor_div(length[p], Dim(factor))),
                                    " + (c - ", unsigned_size(k, floor_div(start[p], Dim(factor))), ")]");
      if (p + 1 < last)
        body += cat("if (c < ", unsigned_size(k, floor_div(start[p + 1], Dim(factor))), ") {\n");
      else
        body += "{\n";
      body += split ? cat(place, " = ", all, "[at];\n") : cat(all, "[at] = ", place, ";\n");
      body += "return;\n}\n";
    }
    k.body = body;
    program.source += k.text();
    program.recipe.launches.push_back(k.launch({blocks_for(rows * (stop - begin))}, {256}));
  }
  program.variant = cat(split ? "split" : "concat", ".", bytes);
  return program;
}

extern const Family kConcat{"concat", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
