// Layer, RMS, instance, group and batch normalisation.
#include <cmath>

#include "backend/cpu/families.h"
#include "backend/cpu/kernels/norm.h"

namespace tenon::cpu {

static bool is_row_norm(const Node& n) { return op_is(n, "LayerNormalization") || op_is(n, "RMSNormalization"); }
static bool is_group_norm(const Node& n) { return op_is(n, "InstanceNormalization"); }

static bool concerns(const KernelRequest& r) {
  return is_row_norm(r.node) || is_group_norm(r.node) || op_is(r.node, "BatchNormalization");
}

// Whether the scale is a vector as long as the normalised part.
static bool plain_scale(const KernelRequest& r, size_t i) {
  if (i >= r.node.inputs.size() || r.node.inputs[i] == kNoValue) return true;
  const ValueInfo &x = r.graph.info(r.node.inputs[0]), &s = r.graph.info(r.node.inputs[i]);
  if (!x.ranked || !s.ranked) return false;
  const int64_t rank = int64_t(x.shape.size()), axis = (r.node.attrs.i("axis") + rank) % std::max<int64_t>(rank, 1);
  return product(s.shape) == product(x.shape, size_t(axis));
}

static KernelAnswer supports(const KernelRequest& r) {
  const DType t = type_of(r, 0);
  if (t != DType::f32 && t != DType::f16 && t != DType::bf16) return no(cat("no kernel for ", name(t)));
  if (is_row_norm(r.node)) {
    if (!plain_scale(r, 1) || !plain_scale(r, 2)) return no("its scale is broadcast");
    if (r.node.outputs.size() > 1) return no("its statistics are asked for");
    for (size_t i = 1; i < r.node.inputs.size(); ++i)
      if (type_of(r, i) != DType::none && type_of(r, i) != type_of(r, 1)) return no("scale and bias differ in type");
    return yes();
  }
  if (!r.graph.info(r.node.inputs[0]).ranked) return no("its rank is not known");
  if (is_group_norm(r.node)) return yes();
  if (r.node.attrs.i("training_mode") || r.node.outputs.size() > 1) return no("training mode");
  for (size_t i = 1; i < 5; ++i)
    if (!r.graph.is_constant(r.node.inputs[i])) return no("its statistics are not constants");
  return yes();
}

// scale and bias per channel of an inference batch norm.
static Result<KernelImage> compile(const KernelRequest& r, Isa) {
  KernelImage image{"cpu", "norm", "", {}, {}};
  if (!op_is(r.node, "BatchNormalization")) return image;
  const auto in = [&](size_t i) -> const Tensor& { return r.graph.constant(r.node.inputs[i]); };
  const int64_t c = in(1).size();
  Tensor scale = TRY(Tensor::allocate(DType::f32, {c})), bias = TRY(Tensor::allocate(DType::f32, {c}));
  for (int64_t i = 0; i < c; ++i) {
    const double k = in(1).at(i) / std::sqrt(in(4).at(i) + double(r.node.attrs.f("epsilon")));
    scale.set(i, k);
    bias.set(i, in(2).at(i) - in(3).at(i) * k);
  }
  image.data = {scale, bias};
  return image;
}

static LaunchResult bind_rows(const Node& node, Descs in, int threads) {
  const Shape& shape = in[0].shape;
  const int64_t rank = int64_t(shape.size()), axis = (node.attrs.i("axis") + rank) % std::max<int64_t>(rank, 1);
  LayerNormDesc d;
  d.type = in[0].dtype;
  d.param_type = in.size() > 1 ? in[1].dtype : DType::f32;
  d.rows = num_elements(std::span(shape).first(size_t(axis)));
  d.n = num_elements(std::span(shape).subspan(size_t(axis)));
  d.epsilon = node.attrs.f("epsilon");
  d.rms = op_is(node, "RMSNormalization");
  const bool bias = in.size() > 2 && !d.rms;
  return make_launch(int64_t(layer_norm_scratch_bytes(d, threads)), [d, bias](const LaunchArgs& a, ThreadPool& pool) {
    LayerNormArgs args;
    args.x = a.inputs[0];
    args.scale = a.inputs[1];
    args.bias = bias ? a.inputs[2] : nullptr;
    args.y = a.outputs[0];
    layer_norm(pool, d, args, a.scratch);
    return Status();
  });
}

static Result<std::unique_ptr<Kernel>> load(const KernelSource& s, Isa) {
  if (is_row_norm(s.node)) return make_kernel([&node = s.node](Descs in, Descs, int threads) { return bind_rows(node, in, threads); });
  if (is_group_norm(s.node))
    return make_kernel([&node = s.node](Descs in, Descs, int threads) -> LaunchResult {
      GroupNormDesc d;
      d.type = in[0].dtype;
      d.batch = in[0].shape[0];
      d.channels = d.groups = in[0].shape[1];
      d.inner = num_elements(std::span(in[0].shape).subspan(2));
      d.epsilon = node.attrs.f("epsilon");
      return make_launch(0, [d](const LaunchArgs& a, ThreadPool& pool) {
        group_norm(pool, d, a.inputs[0], a.inputs[1], a.inputs[2], a.outputs[0]);
        return Status();
      });
    });
  if (s.image.data.size() != 2) return make_status(Code::data_loss, "its weights are missing");
  const Tensor scale = s.image.data[0], bias = s.image.data[1];
  return make_kernel([scale, bias](Descs in, Descs, int threads) -> LaunchResult {
    const Shape& shape = in[0].shape;
    ChannelAffineDesc d{in[0].dtype, shape.empty() ? 1 : shape[0], scale.size(), 1};
    if (shape.size() > 2) d.inner = num_elements(std::span(shape).subspan(2));
    if (shape.size() > 1 && shape[1] != d.channels) return invalid_argument("has ", shape[1], " channels, its weights ", d.channels);
    return make_launch(0, [d, scale, bias](const LaunchArgs& a, ThreadPool& pool) {
      channel_affine(pool, d, a.inputs[0], scale.as<float>(), bias.as<float>(), a.outputs[0]);
      return Status();
    });
  });
}

extern const Family kNorm{"norm", concerns, supports, compile, load};

}  // namespace tenon::cpu
