// Elementwise operators and fused groups of them: one thread for a vector of neighbouring elements, scalar programs as
// straight-line code. Broadcast operands are read by strides over collapsed dimensions.
#include <algorithm>
#include <numeric>

#include "backend/cuda/build/source.h"

namespace tenon::cuda {

namespace {

constexpr int kThreads = 256;
// Where vectors of one launch exceed this by far, each thread takes several, so that more loads are under way.
constexpr int64_t kManyVectors = int64_t(kThreads) * 132 * 16;

// What is fixed before any text is written.
struct Plan {
  ScalarRegion region;
  std::vector<int> used;       // inputs that the program reads, in order
  std::vector<int> absorbed;   // constants of one element, written into the program
  CollapsedLoop loop;          // strides: those of `used`
  int width = 1;               // elements of a vector
  int unroll = 1;              // vectors of a thread
  bool wide = false;           // 64-bit indices
  bool tail = false;           // one collapsed dimension that may not be a multiple of the width
  Dim elements;
};

bool concerns(const KernelRequest& r) { return is_scalar_node(r.node) || r.node.attrs.s("kind") == "pointwise"; }

// A constant of one element becomes a number in the text, and the inputs that are left are listed.
void take_constants(const KernelRequest& r, Plan& p) {
  for (size_t i = 0; i < p.region.inputs.size(); ++i) {
    if (p.region.inputs[i] == DType::none) continue;
    const ValueId v = r.node.inputs[i];
    const bool number = r.graph.is_constant(v) && r.graph.constant(v).size() == 1;
    bool read = false;
    for (ScalarInst& inst : p.region.program.code) {
      if (inst.prim != Prim::input || inst.input != int(i)) continue;
      read = true;
      if (!number) continue;
      const Tensor& t = r.graph.constant(v);
      inst = {Prim::constant, inst.type};
      if (is_float(t.dtype())) inst.imm = t.at(0);
      else inst.int_imm = t.int_at(0);
    }
    if (number) p.absorbed.push_back(int(i));
    else if (read) p.used.push_back(int(i));
  }
}

bool multiple_of(const Dim& d, int n) { return mod(d, Dim(n)).is(0); }

// The widest vector with which every operand that is contiguous along the innermost dimension is read and written.
int vector_width(const Plan& p) {
  int largest = 1;
  auto count = [&](DType t) { largest = std::max(largest, bits(t) / 8); };
  for (size_t k = 0; k < p.used.size(); ++k)
    if (p.loop.strides[k].back().is(1)) count(p.region.inputs[size_t(p.used[k])]);
  for (DType t : p.region.outputs) count(t);
  int width = 16 / largest;
  if (p.loop.dims.size() == 1 && !p.loop.dims[0].is(1)) return width;  // a tail is dealt with
  while (width > 1 && !multiple_of(p.loop.dims.back(), width)) width /= 2;
  return width;
}

Result<Plan> plan_for(const KernelRequest& r) {
  Plan p;
  p.region = TRY(scalar_region(r.graph, r.node));
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape& out = dims.out(0);
  for (size_t i = 0; i < r.node.outputs.size(); ++i) {
    if (r.node.outputs[i] == kNoValue) return unsupported("an output of the group is absent");
    if (!(dims.out(i) == out)) return unsupported("its outputs have different shapes");
    if (device_type(p.region.outputs[i]).empty()) return unsupported(name(p.region.outputs[i]), " has no form in device memory");
  }
  take_constants(r, p);
  std::vector<SymShape> strides;
  for (int i : p.used) strides.push_back(broadcast_strides(dims.in(size_t(i)), out));
  strides.push_back(sym_row_major_strides(out));
  p.loop = collapse(out, strides);
  p.loop.strides.pop_back();
  p.elements = product(out);
  // Indices may run past the end by what the last block has too much.
  p.wide = p.elements.is_const() && p.elements.constant() >= (int64_t(1) << 31) - 65536;
  p.width = vector_width(p);
  p.tail = p.loop.dims.size() == 1 && !multiple_of(p.loop.dims[0], p.width);
  if (p.elements.is_const() && p.elements.constant() / p.width > kManyVectors) p.unroll = 4;
  return p;
}

// ---- the text ----------------------------------------------------------------------------------------------------

enum class Read { once, vector, splat, gather };

class Text {
 public:
  Text(const Plan& p) : p_(p), k_("pointwise", kThreads), index_(p.wide ? "long long" : "int") {}

  Result<Program> write() {
    for (size_t k = 0; k < p_.used.size(); ++k) declare_input(k);
    for (size_t j = 0; j < p_.region.outputs.size(); ++j)
      k_.output(int(j), cat(device_type(p_.region.outputs[j]), "*"));
    vectors_ = k_.size(p_.tail ? ceil_div(p_.loop.dims[0], p_.width) : product(vector_dims()), p_.wide);
    if (p_.tail) count_ = k_.size(p_.loop.dims[0], p_.wide);

    std::string& b = k_.body;
    b += "PDL_WAIT;\nPDL_LAUNCH;\n";
    for (size_t k = 0; k < p_.used.size(); ++k)
      if (reads_[k] == Read::once) b += cat("const ", type(k), " s", k, " = in", p_.used[k], "[0];\n");
    for (size_t k = 0; k < p_.used.size(); ++k)
      if (reads_[k] != Read::once) b += cat(variable_type(k), " x", k, "[", p_.unroll, "];\n");
    b += cat("const ", index_, " first = (", index_, ")blockIdx.x * ", kThreads * p_.unroll, " + (", index_, ")threadIdx.x;\n");
    // All loads stand before the first store, or the compiler would keep them in turn.
    in_loop([&] {
      write_coordinates();
      for (size_t k = 0; k < p_.used.size(); ++k) write_load(k);
    });
    std::string statements;
    std::vector<std::string> inputs(p_.region.inputs.size());
    for (size_t k = 0; k < p_.used.size(); ++k) {
      const char* each = reads_[k] == Read::vector || reads_[k] == Read::gather ? "[u].v[e]" : "[u]";
      inputs[size_t(p_.used[k])] = reads_[k] == Read::once ? cat("s", k) : cat("x", k, each);
    }
    const std::vector<std::string> outputs = TRY(write_scalar(p_.region.program, inputs, "t", statements));
    in_loop([&] {
      for (size_t j = 0; j < outputs.size(); ++j) b += cat("Vec<", out_type(j), ", ", p_.width, "> y", j, ";\n");
      b += cat("UNROLL\nfor (int e = 0; e < ", p_.width, "; ++e) {\n", statements);
      for (size_t j = 0; j < outputs.size(); ++j) b += cat("y", j, ".v[e] = narrow<", out_type(j), ">(", outputs[j], ");\n");
      b += "}\n";
      for (size_t j = 0; j < outputs.size(); ++j)
        b += p_.tail ? cat("store_part(out", j, " + i * ", p_.width, ", y", j, ", ", count_, " - i * ", p_.width, ");\n")
                     : cat("store_vec(out", j, " + i * ", p_.width, ", y", j, ");\n");
    });

    Program out;
    out.variant = cat("pointwise.vec", p_.width);
    out.source = k_.text();
    const Dim vectors = p_.tail ? ceil_div(p_.loop.dims[0], p_.width) : product(vector_dims());
    out.recipe.launches.push_back(k_.launch({ceil_div(vectors, kThreads * p_.unroll)}, {kThreads}));
    if (!p_.elements.is_const()) out.recipe.below_2g.push_back(p_.elements + Dim(65536));
    out.absorbed_inputs = p_.absorbed;
    return out;
  }

 private:
  std::string type(size_t k) const { return device_type(p_.region.inputs[size_t(p_.used[k])]); }
  std::string out_type(size_t j) const { return device_type(p_.region.outputs[j]); }
  std::string variable_type(size_t k) const {
    return reads_[k] == Read::splat ? type(k) : cat("Vec<", type(k), ", ", p_.width, ">");
  }
  SymShape vector_dims() const {
    SymShape d = p_.loop.dims;
    d.back() = floor_div(d.back(), Dim(p_.width));
    return d;
  }

  void declare_input(size_t k) {
    k_.input(p_.used[k], cat("const ", type(k), "*"));
    const SymShape& s = p_.loop.strides[k];
    const bool scalar = std::all_of(s.begin(), s.end(), [](const Dim& d) { return d.is(0); });
    reads_.push_back(scalar           ? Read::once
                     : s.back().is(1) ? Read::vector
                     : s.back().is(0) ? Read::splat
                                      : Read::gather);
  }

  template <class F>
  void in_loop(F&& write) {
    k_.body += cat("UNROLL\nfor (int u = 0; u < ", p_.unroll, "; ++u) {\nconst ", index_, " i = first + u * ", kThreads, ";\nif (i < ",
                   vectors_, ") {\n");
    write();
    k_.body += "}\n}\n";
  }

  // c0, c1 ...: the coordinates of vector i, the innermost in vectors.
  void write_coordinates() {
    const SymShape dims = vector_dims();
    if (dims.size() == 1) return void(k_.body += cat("const ", index_, " c0 = i;\n"));
    std::string rest = "i";
    for (size_t d = dims.size(); d-- > 0;) {
      if (d == 0) {
        k_.body += cat("const ", index_, " c0 = ", rest, ";\n");
        break;
      }
      const std::string size = k_.size(dims[d], p_.wide);
      k_.body += cat("const ", index_, " c", d, " = ", rest, " % ", size, ";\nconst ", index_, " r", d, " = ", rest, " / ", size, ";\n");
      rest = cat("r", d);
    }
  }

  // Where vector i of input k begins, in elements.
  std::string offset(size_t k) {
    const SymShape& s = p_.loop.strides[k];
    std::string out;
    for (size_t d = 0; d < s.size(); ++d) {
      if (s[d].is(0)) continue;
      const Dim step = d + 1 == s.size() ? s[d] * Dim(p_.width) : s[d];
      out += cat(out.empty() ? "" : " + ", "c", d, step.is(1) ? "" : cat(" * ", k_.size(step, p_.wide)));
    }
    return out.empty() ? "0" : out;
  }

  void write_load(size_t k) {
    const std::string from = cat("in", p_.used[k]), variable = cat("x", k, "[u]");
    std::string& b = k_.body;
    switch (reads_[k]) {
      case Read::once: break;
      case Read::splat: b += cat(variable, " = ", from, "[", offset(k), "];\n"); break;
      case Read::vector:
        b += p_.tail ? cat(variable, " = load_part<", p_.width, ">(", from, " + ", offset(k), ", ", count_, " - i * ", p_.width, ");\n")
                     : cat(variable, " = load_vec<", p_.width, ">(", from, " + ", offset(k), ");\n");
        break;
      case Read::gather:
        b += cat("UNROLL\nfor (int e = 0; e < ", p_.width, "; ++e) ",
                 p_.tail ? cat("if (i * ", p_.width, " + e < ", count_, ") ") : "", variable, ".v[e] = ", from, "[", offset(k),
                 " + e * ", k_.size(p_.loop.strides[k].back(), p_.wide), "];\n");
        break;
    }
  }

  const Plan& p_;
  KernelWriter k_;
  const char* index_;
  std::vector<Read> reads_;
  std::string vectors_, count_;
};

KernelAnswer supports(const KernelRequest& r, const Chip&) {
  auto plan = plan_for(r);
  if (!plan.ok()) return {false, plan.status().message()};
  auto program = Text(*plan).write();
  return program.ok() ? KernelAnswer{true, ""} : KernelAnswer{false, program.status().message()};
}

Result<Program> generate(const KernelRequest& r, const Chip&) {
  const Plan plan = TRY(plan_for(r));
  return Text(plan).write();
}

}  // namespace

extern const Family kPointwise{"pointwise", concerns, supports, generate};

}  // namespace tenon::cuda
