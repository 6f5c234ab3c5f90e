// Products and convolutions with operands or results of f16 and bf16: the fp32 families do them, on operands that are widened
// before each run, with sums and fused functions in float; the result is rounded once, if it is of 16 bits. Packed weights are fp32.
#include <map>

#include "backend/cpu/families.h"
#include "backend/cpu/kernels/parallel.h"
#include "backend/cpu/kernels/pointwise.h"

namespace tenon::cpu {

extern const Family kConv, kMatMul;

static bool is_half(DType t) {
  return t == DType::f16 || t == DType::bf16;
}

static DType result_type(const KernelRequest& r) {
  return r.graph.info(r.node.outputs[0]).dtype;
}

static bool concerns(const KernelRequest& r) {
  if (!kConv.concerns(r) && !kMatMul.concerns(r)) return false;
  if (is_half(result_type(r))) return true;
  for (size_t i = 0; i < r.node.inputs.size(); ++i)
    if (is_half(type_of(r, i))) return true;
  return false;
}

static Tensor widened(const Tensor& t) {
  if (!is_half(t.dtype())) return t;
  Tensor out = Tensor::make(DType::f32, t.shape());
  for (int64_t i = 0; i < t.size(); ++i) out.set(i, t.at(i));
  return out;
}
static ValueInfo widened(ValueInfo v) {
  if (is_half(v.dtype)) v.dtype = DType::f32;
  if (v.constant) v.constant = widened(v.constant);
  return v;
}

// Between types that are all f32 now.
static void drop_casts(Graph& body) {
  std::map<ValueId, ValueId> same;
  std::vector<Node> kept;
  for (Node& n : body.nodes) {
    for (ValueId& v : n.inputs)
      if (auto it = same.find(v); it != same.end()) v = it->second;
    if (op_is(n, "Cast") && body.info(n.inputs[0]).dtype == body.info(n.outputs[0]).dtype) same[n.outputs[0]] = n.inputs[0];
    else kept.push_back(std::move(n));
  }
  body.nodes = std::move(kept);
  for (ValueId& v : body.outputs)
    if (auto it = same.find(v); it != same.end()) v = it->second;
}

// The node alone, in a graph of its own in which everything of 16 bits is f32. Constants keep their data only
// where `constants`: what was absorbed is gone when an engine is loaded.
static std::shared_ptr<const Graph> widened_graph(const Graph& g, const Node& node, bool constants) {
  auto out = std::make_shared<Graph>();
  Node copy = node;
  const auto add = [&](ValueId& v) {
    if (v == kNoValue) return;
    ValueInfo info = g.info(v);
    if (!constants) info.constant = {};
    v = out->add_value(g.value(v).name, widened(info));
  };
  for (ValueId& v : copy.inputs) add(v);
  for (ValueId& v : copy.outputs) add(v);
  if (const GraphPtr body = node.attrs.graph("body")) {
    auto wide = std::make_shared<Graph>(*body);
    for (Value& v : wide->values) v.info = widened(v.info);
    drop_casts(*wide);
    copy.attrs.set("body", GraphPtr(wide));
  }
  out->nodes.push_back(std::move(copy));
  return out;
}

static const Family& family_of(const KernelRequest& r) {
  return kConv.concerns(r) ? kConv : kMatMul;
}

static KernelAnswer supports(const KernelRequest& r) {
  const auto floats = [](DType t) { return t == DType::none || t == DType::f32 || is_half(t); };
  for (size_t i = 0; i < r.node.inputs.size(); ++i)
    if (!floats(type_of(r, i))) return no(cat("no kernel for ", name(type_of(r, i)), " beside 16 bits"));
  if (!floats(result_type(r))) return no(cat("no kernel for results of ", name(result_type(r))));
  const auto wide = widened_graph(r.graph, r.node, true);
  return family_of(r).supports({*wide, wide->nodes[0], false, r.profile, {}});
}

static constexpr std::string_view kPrefix = "half_products.";

static Result<KernelImage> compile(const KernelRequest& r, Isa isa) {
  const auto wide = widened_graph(r.graph, r.node, true);
  KernelImage image = TRY(family_of(r).compile({*wide, wide->nodes[0], false, r.profile, {}}, isa));
  image.kernel = cat(kPrefix, image.kernel);
  image.strides_output = false;  // the results are rounded into dense rows
  return image;
}

namespace {

// Widens what the fp32 launch reads, runs it, and rounds what it wrote.
class HalfLaunch : public Launch {
 public:
  HalfLaunch(std::unique_ptr<Launch> inner, Descs in, const TensorDesc& out, std::span<const int> absorbed)
      : inner_(std::move(inner)), out_type_(out.dtype), n_out_(num_elements(out.shape)) {
    bytes_ = int64_t(round_up(size_t(inner_->scratch_bytes()), 64));
    const auto part = [&](int64_t n) {
      const int64_t at = bytes_;
      bytes_ += int64_t(round_up(size_t(n) * 4, 64));
      return at;
    };
    if (is_half(out_type_)) out_at_ = part(n_out_);
    for (size_t i = 0; i < in.size(); ++i) {
      const bool read =
          is_half(in[i].dtype) && std::find(absorbed.begin(), absorbed.end(), int(i)) == absorbed.end();
      elements_.push_back(read ? num_elements(in[i].shape) : -1);
      at_.push_back(read ? part(elements_.back()) : -1);
      types_.push_back(in[i].dtype);
    }
    pointers_.resize(in.size());
  }
  int64_t scratch_bytes() const override { return bytes_; }
  Status run(const LaunchArgs& a) override {
    ThreadPool& pool = *a.stream.pool();
    char* memory = static_cast<char*>(a.scratch);
    // From a place on, as one block.
    const auto convert = [&](BlockFn f, char* to, int to_bytes, const char* from, int from_bytes, int64_t n) {
      parallel_ranges(pool, n, 1, [&](int64_t begin, int64_t end, int) {
        f({to + begin * to_bytes,
           {from + begin * from_bytes, nullptr, nullptr},
           {1, 0, 0},
           size_t(end - begin),
           0});
      });
    };
    for (size_t i = 0; i < at_.size(); ++i) {
      pointers_[i] = at_[i] < 0 ? a.inputs[i] : memory + at_[i];
      if (at_[i] >= 0)
        convert(load_kernel(types_[i]), memory + at_[i], 4, static_cast<const char*>(a.inputs[i]), 2, elements_[i]);
    }
    void* out = is_half(out_type_) ? memory + out_at_ : a.outputs[0];
    TRY(inner_->run({pointers_.data(), &out, a.scratch, a.stream}));
    if (is_half(out_type_))
      convert(store_kernel(out_type_), static_cast<char*>(a.outputs[0]), 2, memory + out_at_, 4, n_out_);
    return {};
  }

 private:
  std::unique_ptr<Launch> inner_;
  DType out_type_;
  int64_t n_out_, out_at_ = 0, bytes_ = 0;
  std::vector<int64_t> elements_, at_;  // of the widened inputs; -1: handed on as they are
  std::vector<DType> types_;
  std::vector<const void*> pointers_;
};

class HalfKernel : public Kernel {
 public:
  HalfKernel(std::shared_ptr<const Graph> graph, std::unique_ptr<Kernel> inner, std::vector<int> absorbed)
      : graph_(std::move(graph)), inner_(std::move(inner)), absorbed_(std::move(absorbed)) {}
  LaunchResult bind(Descs in, Descs out, Stream& stream) const override {
    std::vector<TensorDesc> wide_in(in.begin(), in.end()), wide_out(out.begin(), out.end());
    for (auto* list : {&wide_in, &wide_out})
      for (TensorDesc& d : *list) {
        if (is_half(d.dtype)) d.dtype = DType::f32;
        d.value = nullptr;
      }
    std::unique_ptr<Launch> inner = TRY(inner_->bind(wide_in, wide_out, stream));
    return std::unique_ptr<Launch>(std::make_unique<HalfLaunch>(std::move(inner), in, out[0], absorbed_));
  }

 private:
  std::shared_ptr<const Graph> graph_;  // what the inner kernel's node belongs to
  std::unique_ptr<Kernel> inner_;
  std::vector<int> absorbed_;
};

}  // namespace

static Result<std::unique_ptr<Kernel>> load(const KernelSource& s, Isa isa) {
  const auto wide = widened_graph(s.graph, s.node, false);
  KernelImage image = s.image;
  image.kernel = image.kernel.substr(std::min(image.kernel.size(), kPrefix.size()));
  const Family& family = family_of({s.graph, s.node});
  auto inner = TRY(family.load({*wide, wide->nodes[0], image}, isa));
  return std::unique_ptr<Kernel>(
      std::make_unique<HalfKernel>(wide, std::move(inner), s.image.absorbed_inputs));
}

extern const Family kHalfProducts{"half_products", concerns, supports, compile, load};

}  // namespace tenon::cpu
