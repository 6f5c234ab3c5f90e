// Conv and ConvTranspose in fp32 on channels-last data, weights packed at build time, with the elementwise nodes fused
// to them. Also Conv on a channels-first input when it has few channels (a network's first layer).
#include "backend/cpu/kernels/conv.h"

#include "backend/cpu/families/epilogue.h"
#include "ops/common/conv.h"

namespace tenon::cpu {

static bool concerns(const KernelRequest& r) {
  const std::string& kind = r.node.attrs.s("kind");
  return op_is(r.node, "Conv") || op_is(r.node, "ConvTranspose") || kind == "conv" || kind == "conv_transpose";
}

static bool transposed(const Anchor& a) { return op_is(*a.node, "ConvTranspose"); }

static int bias_input(const Anchor& a) { return a.inputs.size() > 2 ? a.inputs[2] : -1; }

static KernelAnswer supports(const KernelRequest& r) {
  const Anchor a = anchor_of(r.graph, r.node);
  for (size_t i = 0; i < r.node.inputs.size(); ++i)
    if (type_of(r, i) != DType::none && type_of(r, i) != DType::f32) return no(cat("no kernel for ", name(type_of(r, i))));
  if (const DType t = r.graph.info(r.node.outputs[0]).dtype; t != DType::f32) return no(cat("no kernel for results of ", name(t)));
  if (a.inputs[0] < 0 || a.inputs[1] < 0) return no("an operand is a constant inside the body");
  const ValueId w = r.node.inputs[size_t(a.inputs[1])];
  if (!r.graph.is_constant(w)) return no("its weights are computed at run time");
  const int64_t rank = r.graph.constant(w).rank();
  if (rank < 3 || rank > 5) return no(cat("only one to three spatial dimensions have a kernel, it has ", rank - 2));
  if (rank == 5 && transposed(a)) return no("a transposed convolution over three dimensions has no kernel");
  if (!a.node->attrs.i("channels_last")) return no("only the channels-last layout has a kernel");
  if (r.graph.constant(w).size() == 0) return no("it has no weights");
  if (a.inputs.size() > 2 && a.node->inputs[2] != kNoValue && a.inputs[2] < 0) return no("its bias is a constant inside the body");
  auto plan = EpiloguePlan::make(a, bias_input(a));
  return plan.ok() ? yes() : no(plan.status().message());
}

// Everything but sizes that only binding knows. `w` is [M, C/group, k...] or, transposed, [C, M/group, k...].
static ConvDesc describe_weights(const Anchor& a, const Shape& w, Isa isa) {
  ConvDesc d;
  d.isa = isa;
  d.groups = a.node->attrs.i("group", 1);
  d.in_c = transposed(a) ? w[0] : w[1] * d.groups;
  d.out_c = transposed(a) ? w[1] * d.groups : w[0];
  d.kernel_w = w.back();
  d.kernel_h = w.size() > 3 ? w[w.size() - 2] : 1;
  d.volume = w.size() == 5;
  if (d.volume) d.kernel_d = w[2];
  const auto read = [&](const char* name, int64_t& depth, int64_t& h, int64_t& last) {
    const Ints& v = a.node->attrs.ints(name);
    if (!v.empty()) last = v.back();
    if (v.size() > 1) h = v[v.size() - 2];
    if (v.size() > 2) depth = v[0];
  };
  read("strides", d.stride_d, d.stride_h, d.stride_w);
  read("dilations", d.dilation_d, d.dilation_h, d.dilation_w);
  return d;
}

static std::string kernel_name(const Anchor& a, const ConvDesc& d) {
  return cat("conv.", transposed(a) ? "transpose" : conv_kind_name(conv_kind(d)), ".", isa_name(d.isa));
}

// What a kernel's name says of how rows are read.
static ConvDesc::Fold fold_of(const std::string& kernel) {
  if (starts_with(kernel, "conv.folded.")) return ConvDesc::Fold::yes;
  return starts_with(kernel, "conv.igemm.") ? ConvDesc::Fold::no : ConvDesc::Fold::automatic;
}

// Reading a kernel row as one run saves pointers and copies at the borders: which is more depends on the machine and the
// sizes, but with many channels never on the pointers.
static std::vector<KernelVariant> variants(const KernelRequest& r, Isa isa) {
  constexpr int64_t kManyChannels = 64;
  const Anchor a = anchor_of(r.graph, r.node);
  ConvDesc d = describe_weights(a, r.graph.constant(r.node.inputs[size_t(a.inputs[1])]).shape(), isa);
  const std::string own = kernel_name(a, d);
  if (fold_of(own) == ConvDesc::Fold::automatic || d.in_c > kManyChannels) return {};
  d.fold = fold_of(own) == ConvDesc::Fold::yes ? ConvDesc::Fold::no : ConvDesc::Fold::yes;
  const std::string other = kernel_name(a, d);
  return other == own ? std::vector<KernelVariant>() : std::vector<KernelVariant>{{own}, {other}};
}

static Result<KernelImage> compile(const KernelRequest& r, Isa isa) {
  const Anchor a = anchor_of(r.graph, r.node);
  const Tensor& w = r.graph.constant(r.node.inputs[size_t(a.inputs[1])]);
  ConvDesc d = describe_weights(a, w.shape(), isa);
  d.fold = fold_of(r.variant);
  KernelImage image{"cpu", kernel_name(a, d), "", {}, {}};
  if (!r.variant.empty() && image.kernel != r.variant) return make_status(Code::no_kernel, "there is no variant '", escape(r.variant), "'");
  Tensor packed = TRY(Tensor::allocate(DType::u8, {transposed(a) ? conv_transpose_packed_bytes(d) : conv_packed_bytes(d)}));
  if (transposed(a)) conv_transpose_pack(d, w.as<float>(), packed.as<float>());
  else conv_pack(d, w.as<float>(), packed.as<float>());
  image.data = {packed};
  image.absorbed_inputs = {a.inputs[1]};
  image.strides_output = true;
  return image;
}

static Result<std::unique_ptr<Kernel>> load(const KernelSource& s, Isa isa) {
  const Anchor anchor = anchor_of(s.graph, s.node);
  if (s.image.data.size() != 1) return make_status(Code::data_loss, "its weights are missing");
  const EpiloguePlan plan = TRY(EpiloguePlan::make(anchor, bias_input(anchor)));
  return make_kernel([anchor, plan, isa, fold = fold_of(s.image.kernel), packed = s.image.data[0]](Descs in, Descs out, int threads) -> LaunchResult {
    const TensorDesc &x = in[size_t(anchor.inputs[0])], &w = in[size_t(anchor.inputs[1])];
    ConvDesc d = describe_weights(anchor, w.shape, isa);
    d.fold = fold;
    const bool transpose = transposed(anchor);
    const Attrs& attrs = anchor.node->attrs;
    const Shape x_shape = channels_first(x.shape, true);
    const ConvSizes sizes = transpose ? TRY(conv_transpose_sizes(attrs, x_shape, w.shape, channels_first(out[0].shape, true)))
                                      : TRY(conv_sizes(attrs, x_shape, w.shape));
    const std::vector<Window>& windows = sizes.windows;
    d.batch = x.shape[0];
    d.in_w = x.shape[x.shape.size() - 2];
    d.out_w = out[0].shape[out[0].shape.size() - 2];
    d.pad_left = windows.back().pad_begin;
    d.ld_out = out[0].pitch;
    if (windows.size() > 1) {
      const size_t at = windows.size() - 1;  // of the height
      d.in_h = x.shape[at], d.out_h = out[0].shape[at], d.pad_top = windows[at - 1].pad_begin;
    }
    if (windows.size() > 2) d.in_d = x.shape[1], d.out_d = out[0].shape[1], d.pad_front = windows[0].pad_begin;
    if (x.shape.back() != d.in_c) return invalid_argument("has ", x.shape.back(), " channels, its weights ", d.in_c);
    if (packed.bytes() < (transpose ? conv_transpose_packed_bytes(d) : conv_packed_bytes(d)))
      return invalid_argument("its packed weights are for other sizes");
    auto epilogue = std::make_shared<EpiloguePlan>(plan);
    TRY(epilogue->bind(in, out[0].shape));
    const int64_t scratch = transpose ? conv_transpose_scratch_bytes(d, threads) : conv_scratch_bytes(d, threads);
    return make_launch(scratch, [d, epilogue, packed, transpose, at = anchor.inputs[0]](const LaunchArgs& a, ThreadPool& pool) {
      EpiloguePlan::Run run;
      epilogue->fill(run, a.inputs);
      const auto* x = static_cast<const float*>(a.inputs[at]);
      auto* y = static_cast<float*>(a.outputs[0]);
      if (transpose) conv_transpose(d, x, packed.as<float>(), y, run.epilogue, a.scratch, pool);
      else conv(d, x, packed.as<float>(), y, run.epilogue, a.scratch, pool);
      return Status();
    });
  });
}

extern const Family kConv{"conv", concerns, supports, compile, load, variants};

}  // namespace tenon::cpu
