// Resize of two neighbouring dimensions: nearest and linear, from the operator's own tables.
#include "backend/cpu/kernels/resize.h"

#include <optional>

#include "backend/cpu/families.h"
#include "ops/common/resize.h"

namespace tenon::cpu {

// The first of two neighbouring dimensions beside which no other changes: those named by `changes`.
template <class F>
static std::optional<size_t> first_of_two(size_t rank, F changes) {
  size_t first = rank, last = 0;
  for (size_t i = 0; i < rank; ++i)
    if (changes(i)) first = std::min(first, i), last = i;
  if (rank < 2 || (first < rank && last > first + 1)) return std::nullopt;
  return std::min(first, rank - 2);
}

static KernelAnswer supports(const KernelRequest& r) {
  auto mode = resize_mode(r.node.attrs);
  if (!mode.ok()) return no(mode.status().message());
  const DType t = type_of(r, 0);
  const bool f = t == DType::f32 || t == DType::f16 || t == DType::bf16;
  if (mode->kind == ResizeMode::cubic || mode->antialias) return no("cubic and antialiased resizing has no kernel");
  if (mode->coords == ResizeMode::tf_crop) return no("tf_crop_and_resize has no kernel");
  if (mode->kind == ResizeMode::linear ? !f : bits(t) < 8) return no(cat("no kernel for ", name(t)));
  const ValueInfo &x = r.graph.info(r.node.inputs[0]), &y = r.graph.info(r.node.outputs[0]);
  if (!x.ranked || !y.ranked) return no("its rank is not known");
  if (!first_of_two(x.shape.size(), [&](size_t i) { return !(x.shape[i] == y.shape[i]); })) return no("not two neighbouring dimensions are resized");
  return yes();
}

static Result<KernelImage> compile(const KernelRequest& r, Isa) {
  KernelImage image{"cpu", "resize", "", {}, {}};
  const SymShape &x = r.graph.info(r.node.inputs[0]).shape, &y = r.graph.info(r.node.outputs[0]).shape;
  image.strides_output = x.size() == 4 && x[3] == y[3] && !(x[1] == y[1]);  // channels last
  return image;
}

namespace {
struct Tables {
  ResizeDesc desc;
  bool linear = false;
  std::vector<int32_t> rows, columns;
  std::vector<float> row_weights, column_weights;
};
}  // namespace

static Status fill(const std::vector<Taps>& table, bool linear, std::vector<int32_t>& index, std::vector<float>& weight) {
  for (Taps taps : table) {
    if (linear && taps.size() > 1) std::erase_if(taps, [](const Tap& t) { return t.weight == 0; });
    if (taps.empty() || taps.size() > (linear ? 2u : 1u)) return internal_error("a resize table has ", taps.size(), " taps");
    index.push_back(int32_t(taps[0].index));
    if (!linear) continue;
    weight.push_back(float(taps[0].weight));
    index.push_back(int32_t(taps.back().index));
    weight.push_back(taps.size() > 1 ? float(taps[1].weight) : 0.0f);
  }
  return {};
}

static Result<std::unique_ptr<Kernel>> load(const KernelSource& s, Isa) {
  return make_kernel([&node = s.node](Descs in, Descs out, int threads) -> LaunchResult {
    const auto doubles = [&](size_t i) {
      std::vector<double> v;
      if (i >= in.size() || in[i].dtype == DType::none) return v;
      v.resize(size_t(num_elements(in[i].shape)));
      load_doubles(in[i].dtype, in[i].value, 0, int64_t(v.size()), v.data());
      return v;
    };
    const ResizeMode mode = TRY(resize_mode(node.attrs));
    const Ints sizes = in.size() > 3 && in[3].dtype != DType::none ? int_values(in[3]) : Ints();
    const auto plan = TRY(resize_plan(node.attrs, mode, in[0].shape, {}, doubles(2), sizes));
    auto t = std::make_shared<Tables>();
    t->linear = mode.kind == ResizeMode::linear;
    const Shape &x = in[0].shape, &y = out[0].shape;
    // A scale that leaves a size as it is may still move what is inside. Rows that lie apart are of channels-last images.
    auto first = out[0].pitch ? std::optional<size_t>(1) : first_of_two(x.size(), [&](size_t i) { return x[i] != y[i] || plan[i].scale != 1; });
    if (!first) first = first_of_two(x.size(), [&](size_t i) { return x[i] != y[i]; });
    if (!first) return invalid_argument("more than two neighbouring dimensions are resized");
    const size_t h = *first;
    const int64_t outer = num_elements(Shape(x.begin(), x.begin() + int64_t(h))), inner = num_elements(Shape(x.begin() + int64_t(h) + 2, x.end()));
    const bool last = inner != 1 || out[0].pitch;
    t->desc = {last, in[0].dtype, last ? outer : 1, last ? inner : outer, x[h], x[h + 1], y[h], y[h + 1], out[0].pitch};
    if (num_elements(y) == 0) return make_launch(0, [](const LaunchArgs&, ThreadPool&) { return Status(); });
    TRY(fill(resize_table(mode, plan[h]), t->linear, t->rows, t->row_weights));
    TRY(fill(resize_table(mode, plan[h + 1]), t->linear, t->columns, t->column_weights));
    const int64_t scratch = t->linear ? int64_t(resize_linear_scratch_bytes(t->desc, threads)) : 0;
    return make_launch(scratch, [t](const LaunchArgs& a, ThreadPool& pool) {
      if (!t->linear) resize_nearest(pool, t->desc, t->rows.data(), t->columns.data(), a.inputs[0], a.outputs[0]);
      else
        resize_linear(pool, t->desc, {t->rows.data(), t->row_weights.data(), t->columns.data(), t->column_weights.data()}, a.inputs[0],
                      a.outputs[0], a.scratch);
      return Status();
    });
  }, 0b1110u);
}

extern const Family kResize{"resize", [](const KernelRequest& r) { return op_is(r.node, "Resize"); }, supports, compile, load};

}  // namespace tenon::cpu
