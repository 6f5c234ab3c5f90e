#include "backend/cuda/build/families/strided.h"

namespace tenon::cuda {

StridedCopy collapsed(const StridedCopy& copy) {
  const CollapsedLoop loop = collapse(copy.dims, {copy.from, copy.to});
  StridedCopy c = copy;
  c.dims = loop.dims, c.from = loop.strides[0], c.to = loop.strides[1];
  if (!c.from.back().is(1) || !c.to.back().is(1)) return c;
  int factor = std::max(1, 16 / c.bytes);
  auto limit = [&](const Dim& d) { factor = power_of_two_in(d, factor); };
  limit(c.dims.back()), limit(c.from_offset), limit(c.to_offset), limit(c.divisor);
  for (size_t d = 0; d + 1 < c.dims.size(); ++d) limit(c.from[d]), limit(c.to[d]);
  if (factor == 1) return c;
  auto shrink = [&](Dim& d) { d = floor_div(d, Dim(factor)); };
  shrink(c.dims.back()), shrink(c.from_offset), shrink(c.to_offset);
  for (size_t d = 0; d + 1 < c.dims.size(); ++d) shrink(c.from[d]), shrink(c.to[d]);
  if (!c.from_more.empty()) c.from_more = cat("(", c.from_more, ") / ", factor);
  c.bytes *= factor;
  return c;
}

void write_strided(Program& program, const std::string& name, const StridedCopy& c) {
  KernelWriter k(name, 256);
  write_strided(program, k, c);
}

void write_strided(Program& program, KernelWriter& k, const StridedCopy& c) {
  const std::string type = unit_type(c.bytes);
  const std::string x = k.input(0, cat("const ", type, "*")), y = k.output(0, type + "*");
  const Dim total = product(c.dims);
  std::string body =
      cat("const unsigned i = blockIdx.x * 256u + threadIdx.x;\nif (i >= ", unsigned_size(k, total),
          ") return;\n", c.prologue);
  const auto at = unravel(k, c.dims, "i", "d", body);
  const auto place = [&](const SymShape& strides, const Dim& offset) {
    return cat(offset_of(k, at, strides), offset.is(0) ? "" : cat(" + ", unsigned_size(k, offset)));
  };
  // A copy whose result lies in one piece needs no arithmetic for it.
  const std::string to =
      c.to == sym_row_major_strides(c.dims) && c.to_offset.is(0) ? "i" : place(c.to, c.to_offset);
  const std::string from =
      place(c.from, c.from_offset) + (c.from_more.empty() ? "" : cat(" + unsigned(", c.from_more, ")"));
  k.body = cat(body, y, "[", to, "] = ", x, "[", from, "];\n");
  program.source += k.text();
  program.recipe.launches.push_back(k.launch({blocks_for(total)}, {256}));
}

}  // namespace tenon::cuda
