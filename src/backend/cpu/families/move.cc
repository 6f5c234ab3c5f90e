// Moving data: Transpose, Gather, and strided copies (Slice, Concat, Split, Expand, Tile, and views that need a copy).
#include "backend/cpu/families.h"
#include "backend/cpu/kernels/move.h"
#include "backend/cpu/kernels/transpose.h"
#include "ops/common/pointwise.h"

namespace tenon::cpu {

// ---- transpose -----------------------------------------------------------------------------------------------------

static KernelAnswer whole_bytes(const KernelRequest& r) {
  const int b = bits(type_of(r, 0));
  return b == 8 || b == 16 || b == 32 || b == 64 ? yes() : no(cat("no kernel for elements of ", b, " bits"));
}

static Result<std::unique_ptr<Kernel>> load_transpose(const KernelSource& s, Isa) {
  return make_kernel([&node = s.node](Descs in, Descs, int threads) -> LaunchResult {
    Ints perm = node.attrs.ints("perm");
    const int64_t rank = int64_t(in[0].shape.size());
    if (!node.attrs.has("perm"))
      for (int64_t i = rank; i-- > 0;) perm.push_back(i);
    auto plan = TRY(TransposePlan::make(bits(in[0].dtype) / 8, in[0].shape, perm));
    return make_launch(0, [plan](const LaunchArgs& a, ThreadPool& pool) {
      plan.run(pool, a.inputs[0], a.outputs[0]);
      return Status();
    });
  });
}

extern const Family kTranspose{"transpose", [](const KernelRequest& r) { return op_is(r.node, "Transpose"); }, whole_bytes, nullptr,
                               load_transpose};

// ---- gather --------------------------------------------------------------------------------------------------------

static Result<std::unique_ptr<Kernel>> load_gather(const KernelSource& s, Isa) {
  return make_kernel([&node = s.node](Descs in, Descs, int threads) -> LaunchResult {
    const Shape& shape = in[0].shape;
    const int64_t rank = int64_t(shape.size()), axis = (node.attrs.i("axis") + rank) % std::max<int64_t>(rank, 1);
    if (rank == 0) return invalid_argument("cannot gather from a scalar");
    GatherDesc d;
    d.element_bytes = bits(in[0].dtype) / 8;
    d.index_type = in[1].dtype;
    d.outer = num_elements(std::span(shape).first(size_t(axis)));
    d.axis = shape[size_t(axis)];
    d.inner = num_elements(std::span(shape).subspan(size_t(axis) + 1));
    d.count = num_elements(in[1].shape);
    return make_launch(0, [d](const LaunchArgs& a, ThreadPool& pool) { return gather(pool, d, a.inputs[0], a.inputs[1], a.outputs[0]); });
  });
}

extern const Family kGather{"gather", [](const KernelRequest& r) { return op_is(r.node, "Gather"); }, whole_bytes, nullptr, load_gather};

// ---- strided copies ------------------------------------------------------------------------------------------------

namespace {
// One copy between an input and an output, each seen from an offset with strides.
struct Part {
  CopyPlan plan;
  size_t input, output;
  int64_t from, to;  // bytes
};
}  // namespace

static Result<Part> part(DType t, const Shape& shape, size_t input, int64_t from, const Shape& in_strides, size_t output, int64_t to,
                         const Shape& out_strides) {
  const int bytes = bits(t) / 8;
  return Part{TRY(CopyPlan::make(bytes, shape, in_strides, out_strides)), input, output, from * bytes, to * bytes};
}

static int64_t axis_of(const Node& n, const Shape& shape) {
  const int64_t rank = int64_t(shape.size());
  return (n.attrs.i("axis") + rank) % std::max<int64_t>(rank, 1);
}

static Result<std::vector<Part>> slice_parts(const Node&, Descs in, Descs out) {
  const Shape &x = in[0].shape, &y = out[0].shape;
  Shape strides = row_major_strides(x);
  int64_t offset = 0;
  const auto values = [&](size_t i) { return i < in.size() && in[i].dtype != DType::none ? int_values(in[i]) : Ints(); };
  const Ints starts = values(1), axes = values(3), steps = values(4);
  if (num_elements(y) == 0) return std::vector<Part>();
  for (size_t i = 0; i < starts.size(); ++i) {
    const int64_t axis = axes.empty() ? int64_t(i) : (axes[i] + int64_t(x.size())) % int64_t(x.size());
    const int64_t step = steps.empty() ? 1 : steps[i], d = x[size_t(axis)];
    const int64_t start = std::clamp<int64_t>(starts[i] < 0 ? starts[i] + d : starts[i], 0, d - 1);
    offset += start * strides[size_t(axis)];
    strides[size_t(axis)] = y[size_t(axis)] > 1 ? strides[size_t(axis)] * step : 0;
  }
  return std::vector<Part>{TRY(part(in[0].dtype, y, 0, offset, strides, 0, 0, row_major_strides(y)))};
}

static Result<std::vector<Part>> concat_parts(const Node& n, Descs in, Descs out) {
  std::vector<Part> parts;
  const Shape strides = row_major_strides(out[0].shape);
  const auto axis = size_t(axis_of(n, out[0].shape));
  int64_t at = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    if (num_elements(in[i].shape))
      parts.push_back(TRY(part(in[i].dtype, in[i].shape, i, 0, row_major_strides(in[i].shape), 0, at * strides[axis], strides)));
    at += in[i].shape[axis];
  }
  return parts;
}

static Result<std::vector<Part>> split_parts(const Node& n, Descs in, Descs out) {
  std::vector<Part> parts;
  const Shape strides = row_major_strides(in[0].shape);
  const auto axis = size_t(axis_of(n, in[0].shape));
  int64_t at = 0;
  for (size_t j = 0; j < out.size(); ++j) {
    if (out[j].dtype == DType::none) return invalid_argument("an output is left out");
    if (num_elements(out[j].shape))
      parts.push_back(TRY(part(in[0].dtype, out[j].shape, 0, at * strides[axis], strides, j, 0, row_major_strides(out[j].shape))));
    at += out[j].shape[axis];
  }
  return parts;
}

static Result<std::vector<Part>> expand_parts(const Node&, Descs in, Descs out) {
  if (num_elements(out[0].shape) == 0) return std::vector<Part>();
  return std::vector<Part>{TRY(part(in[0].dtype, out[0].shape, 0, 0, broadcast_strides(in[0].shape, out[0].shape), 0, 0,
                                    row_major_strides(out[0].shape)))};
}

// The shapes may be certain whatever Expand is asked for; it must still ask for them.
static Status check_expand(const Shape& x, const Shape& y, std::span<const int64_t> wanted) {
  const size_t rank = y.size();
  for (size_t i = 0; i < std::max(rank, wanted.size()); ++i) {  // from the last dimension on
    const int64_t own = i < x.size() ? x[x.size() - 1 - i] : 1, want = i < wanted.size() ? wanted[wanted.size() - 1 - i] : 1;
    if (i >= rank || (want == 1 ? own : want) != y[rank - 1 - i] || (own != 1 && want != 1 && own != want))
      return invalid_argument("cannot expand shape ", x, " to ", Shape(wanted.begin(), wanted.end()));
  }
  return {};
}

// y [r0, d0, r1, d1, ...] reads x with stride 0 along each repetition.
static Result<std::vector<Part>> tile_parts(const Node&, Descs in, Descs out) {
  const Shape &x = in[0].shape, &y = out[0].shape, own = row_major_strides(x);
  if (num_elements(y) == 0) return std::vector<Part>();
  Shape shape, strides;
  for (size_t d = 0; d < x.size(); ++d) {
    shape.insert(shape.end(), {y[d] / x[d], x[d]});
    strides.insert(strides.end(), {0, own[d]});
  }
  return std::vector<Part>{TRY(part(in[0].dtype, shape, 0, 0, strides, 0, 0, row_major_strides(shape)))};
}

using PartsOf = Result<std::vector<Part>> (*)(const Node&, Descs in, Descs out);
static PartsOf parts_of(const Node& n) {
  static const std::pair<const char*, PartsOf> list[] = {
      {"Slice", slice_parts}, {"Concat", concat_parts}, {"Split", split_parts}, {"Expand", expand_parts}, {"Tile", tile_parts}};
  for (auto [name, f] : list)
    if (op_is(n, name)) return f;
  return nullptr;
}

static KernelAnswer supports_copy(const KernelRequest& r) {
  if (op_is(r.node, "Split"))
    for (ValueId v : r.node.outputs)
      if (v == kNoValue) return no("one of its outputs is left out");
  return whole_bytes(r);
}

static Result<std::unique_ptr<Kernel>> load_copy(const KernelSource& s, Isa) {
  return make_kernel([&node = s.node](Descs in, Descs out, int threads) -> LaunchResult {
    auto parts = TRY(parts_of(node)(node, in, out));
    const bool expand = op_is(node, "Expand");
    return make_launch(0, [parts = std::move(parts), expand, x = in[0].shape, y = out[0].shape,
                           length = expand ? num_elements(in[1].shape) : 0](const LaunchArgs& a, ThreadPool& pool) {
      if (expand) TRY(check_expand(x, y, {static_cast<const int64_t*>(a.inputs[1]), size_t(length)}));
      for (const Part& p : parts)
        p.plan.run(pool, static_cast<const char*>(a.inputs[p.input]) + p.from, static_cast<char*>(a.outputs[p.output]) + p.to);
      return Status();
    });
  }, op_is(s.node, "Slice") ? 0b11110u : 0u);
}

extern const Family kCopy{"copy", [](const KernelRequest& r) { return parts_of(r.node) != nullptr; }, supports_copy, nullptr, load_copy};

// ---- pad -----------------------------------------------------------------------------------------------------------

static Result<std::unique_ptr<Kernel>> load_pad(const KernelSource& s, Isa) {
  return make_kernel([&node = s.node](Descs in, Descs, int threads) -> LaunchResult {
    const auto rank = in[0].shape.size();
    const Ints pads = int_values(in[1]);
    Ints axes;
    if (in.size() > 3 && in[3].dtype != DType::none) axes = int_values(in[3]);
    else
      for (size_t i = 0; i < rank; ++i) axes.push_back(int64_t(i));
    Shape begin(rank, 0), end(rank, 0);
    for (size_t i = 0; i < axes.size(); ++i) {
      const auto d = size_t((axes[i] + int64_t(rank)) % int64_t(rank));
      begin[d] = pads[i];
      end[d] = pads[axes.size() + i];
    }
    static const std::pair<const char*, PadMode> modes[] = {
        {"constant", PadMode::constant}, {"edge", PadMode::edge}, {"reflect", PadMode::reflect}, {"wrap", PadMode::wrap}};
    PadMode mode = PadMode::constant;
    for (auto [name, m] : modes)
      if (node.attrs.s("mode") == name) mode = m;
    auto plan = TRY(PadPlan::make(mode, bits(in[0].dtype) / 8, in[0].shape, begin, end));
    const bool has_value = in.size() > 2 && in[2].dtype != DType::none;
    return make_launch(0, [plan, has_value](const LaunchArgs& a, ThreadPool& pool) {
      static const int64_t zero = 0;
      plan.run(pool, a.inputs[0], has_value ? a.inputs[2] : &zero, a.outputs[0]);
      return Status();
    });
  }, 0b1010u);
}

extern const Family kPad{"pad", [](const KernelRequest& r) { return op_is(r.node, "Pad"); }, whole_bytes, nullptr, load_pad};

}  // namespace tenon::cpu
