// ScatterElements and ScatterND. First the data is copied; then either each column's updates are applied one
// after another in the reference's order, or, where many updates only replace, the last update of each place
// is found first and then written by itself. So equal inputs give equal bits, whatever the indices.
#include "backend/cuda/build/families/indices.h"
#include "backend/cuda/build/families/strided.h"

namespace tenon::cuda {

static bool concerns(const KernelRequest& r) {
  return op_is(r.node, "ScatterElements") || op_is(r.node, "ScatterND");
}

// Updates of a column that one thread may apply alone: replacing them, and at all.
static constexpr int64_t kFew = 32, kMost = 4096;

namespace {
// Updates as [steps, columns]: those of different columns never meet. For ScatterElements a column is a line
// along the axis, else an element of the slices.
struct Plan {
  Dim steps = 1, columns = 1;
  Dim targets = 1, run = 1;  // places that an index can name, and the elements at each
  // Writers of the statements that, for `step` and `column`, find `place` (and `found`) in elements, `target`
  // among the targets, and `update`, the update's number.
  std::string (*find)(KernelWriter&, const KernelRequest&, const OperandDims&);
};

std::string find_in_elements(KernelWriter& k, const KernelRequest& r, const OperandDims& dims) {
  const SymShape &x = dims.in(0), &n = dims.in(1);
  const size_t axis = axis_of(r.node.attrs.i("axis"), x.size());
  const AxisView v = view_around(n, axis);
  const SymShape strides = sym_row_major_strides(x);
  SymShape others, steps;
  for (size_t d = 0; d < n.size(); ++d)
    if (d != axis) others.push_back(n[d]), steps.push_back(strides[d]);
  std::string body;
  const auto place = unravel(k, others, "column", "c", body);
  const auto line = unravel(k, {v.outer, v.inner}, "column", "l", body);
  body +=
      cat("const unsigned update = ", offset_of(k, {line[0], "step", line[1]}, {v.n * v.inner, v.inner, 1}),
          ";\n");
  body += read_tuple(k, k.input(1, cat("const ", device_type(type_of(r, 1)), "*")), "update", {x[axis]},
                     {strides[axis]});
  return cat(body, "place += ", offset_of(k, place, steps), ";\nconst unsigned target = place;\n");
}

std::string find_in_slices(KernelWriter& k, const KernelRequest& r, const OperandDims& dims) {
  const SymShape &x = dims.in(0), strides = sym_row_major_strides(x);
  const size_t tuple = size_t(dims.in(1).back().constant());
  const SymShape sizes(x.begin(), x.begin() + long(tuple)),
      steps(strides.begin(), strides.begin() + long(tuple));
  const std::string run = unsigned_size(k, product(x, tuple));
  std::string body = read_tuple(k, k.input(1, "const long long*"), cat("step * ", tuple, "u"), sizes, steps);
  return cat(body, "const unsigned target = ", run, " ? place / ", run, " : 0u, update = step * ", run,
             " + column;\nplace += column;\n");
}

Result<Plan> plan_of(const KernelRequest& r, const OperandDims& dims) {
  const SymShape &x = dims.in(0), &n = dims.in(1);
  if (op_is(r.node, "ScatterElements")) {
    if (x.empty()) return unsupported("cannot scatter into a scalar");
    const AxisView v = view_around(n, axis_of(r.node.attrs.i("axis"), x.size()));
    return Plan{v.n, v.outer * v.inner, product(x), 1, find_in_elements};
  }
  if (!n.back().is_const()) return unsupported("how many indices a tuple has is not known");
  const size_t tuple = size_t(n.back().constant());
  return Plan{product(n, 0, n.size() - 1), product(x, tuple), product(x, 0, tuple), product(x, tuple),
              find_in_slices};
}
}  // namespace

// What becomes of an element y[place] with this update. Each step rounds to memory, as the reference does.
static Result<std::string> combined(DType t, const std::string& reduction, const std::string& y,
                                    const std::string& update) {
  if (reduction.empty() || reduction == "none") return update;
  const std::string type = device_type(t), a = compute_type(t);
  if (type.empty() || a.empty() || t == DType::boolean) return unsupported("no kernel to reduce ", name(t));
  const std::string left = loaded(t, a, y), right = loaded(t, a, update);
  if (reduction == "add" || reduction == "mul") {
    // Signed integers wrap.
    const std::string op = reduction == "add" ? " + " : " * ";
    if (is_int(t))
      return cat("(", type, ")((unsigned long long)(", left, ")", op, "(unsigned long long)(", right, "))");
    return cat("narrow<", type, ">(", left, op, right, ")");
  }
  return cat("narrow<", type, ">(", reduction == "max" ? "Max" : "Min", "()(", left, ", ", right, "))");
}

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const DType t = type_of(r, 0);
  const int bytes = unit_bytes(t);
  if (bytes == 0) return unsupported("no kernel for elements of ", bits(t), " bits");
  const OperandDims dims = TRY(OperandDims::of(r));
  Program program;
  TRY(index_with_32_bits(program.recipe, dims, r));
  const Plan p = TRY(plan_of(r, dims));
  const std::string& reduction = r.node.attrs.s("reduction");
  const bool replaces = reduction.empty() || reduction == "none";
  const bool few = p.steps.is_const() && p.steps.constant() <= kFew;
  if (!replaces && p.steps.is_const() && p.steps.constant() > kMost)
    return unsupported("it combines up to ", p.steps.constant(),
                       " updates in one place; kernels apply them in order, up to ", kMost);

  StridedCopy all;
  all.bytes = bytes;
  all.dims = {product(dims.in(0))};
  all.from = all.to = {1};
  write_strided(program, "scatter_copy", collapsed(all));

  const std::string type = replaces ? unit_type(bytes) : device_type(t);
  const Dim count = few || !replaces ? p.columns : p.steps * p.columns;
  KernelWriter k("scatter", 256);
  std::string body =
      cat("const unsigned i = blockIdx.x * 256u + threadIdx.x;\nif (i >= ", unsigned_size(k, count),
          ") return;\n");
  const std::string find = p.find(k, r, dims);
  const std::string updates = k.input(2, cat("const ", type, "*")), y = k.output(0, type + "*");
  const std::string value = TRY(combined(t, reduction, y + "[place]", updates + "[update]"));
  if (few || !replaces) {
    k.body =
        cat(body, "const unsigned column = i;\nfor (unsigned step = 0; step < ", unsigned_size(k, p.steps),
            "; ++step) {\n", find, "if (found) ", y, "[place] = ", value, ";\n}\n");
    program.source += k.text();
    program.recipe.launches.push_back(k.launch({blocks_for(count)}, {256}));
    program.variant = "scatter.columns";
  } else {
    // last[target]: the number of the last update of it, -1 for none.
    const bool slices = op_is(r.node, "ScatterND");
    program.recipe.scratch = p.targets * Dim(4);
    KernelWriter clear("scatter_clear", 256), mark("scatter_mark", 256);
    clear.body = cat("const unsigned i = blockIdx.x * 256u + threadIdx.x;\nif (i < ",
                     unsigned_size(clear, p.targets), ") ", clear.scratch(0, "int*"), "[i] = -1;\n");
    const Dim marks = slices ? p.steps : count;
    const auto split = [&](KernelWriter& w, const Dim& columns) {
      std::string text;
      const auto at = unravel(w, {p.steps, columns}, "i", "u", text);
      return cat(text, "const unsigned step = ", at[0], ", column = ", at[1], ";\n");
    };
    const std::string bound = unsigned_size(mark, marks);
    mark.body = cat("const unsigned i = blockIdx.x * 256u + threadIdx.x;\nif (i >= ", bound, ") return;\n",
                    split(mark, slices ? Dim(1) : p.columns), p.find(mark, r, dims), "if (found) atomic_max(",
                    mark.scratch(0, "int*"), " + target, int(step));\n");
    k.body = cat(body, split(k, p.columns), find, "if (found && ", k.scratch(0, "const int*"),
                 "[target] == int(step)) ", y, "[place] = ", value, ";\n");
    program.source += clear.text() + mark.text() + k.text();
    program.recipe.launches.push_back(clear.launch({blocks_for(p.targets)}, {256}));
    program.recipe.launches.push_back(mark.launch({blocks_for(marks)}, {256}));
    program.recipe.launches.push_back(k.launch({blocks_for(count)}, {256}));
    program.variant = "scatter.last";
  }
  program.source = kIndexHelpers + program.source;
  return program;
}

extern const Family kScatter{"scatter", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
