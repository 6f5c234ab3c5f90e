// Convolutions of 8-bit integers: ConvInteger and QLinearConv. Constant weights are laid out at build time.
#include "backend/cpu/families.h"
#include "backend/cpu/kernels/int8.h"
#include "backend/cpu/kernels/parallel.h"
#include "ops/common/conv.h"

namespace tenon::cpu {

static bool is_integer(const Node& n) {
  return op_is(n, "ConvInteger");
}
static bool concerns(const KernelRequest& r) {
  return is_integer(r.node) || op_is(r.node, "QLinearConv");
}
static size_t weights_of(const Node& n) {
  return is_integer(n) ? 1 : 3;
}

static KernelAnswer supports(const KernelRequest& r) {
  const ValueInfo& w = r.graph.info(r.node.inputs[weights_of(r.node)]);
  if (!w.ranked) return no("the rank of its weights is not known");
  if (w.shape.size() < 3 || w.shape.size() > 5)
    return no(
        cat("only one to three spatial dimensions have a kernel, it has ", int64_t(w.shape.size()) - 2));
  return yes();
}

static Result<Int8ConvDesc> describe(const Node& n, DType x_type, DType w_type, const Shape& x,
                                     const Shape& w, Isa isa) {
  const ConvSizes sizes = TRY(conv_sizes(n.attrs, x, w));
  Int8ConvDesc d;
  d.isa = isa;
  d.batch = sizes.batch, d.groups = sizes.groups;
  d.in_channels = sizes.in_channels, d.out_channels = sizes.out_channels;
  for (Window& one : d.windows) one.in = one.out = 1;
  for (size_t i = 0, missing = 3 - sizes.windows.size(); i < sizes.windows.size(); ++i)
    d.windows[missing + i] = sizes.windows[i];
  d.x_signed = x_type == DType::i8, d.w_signed = w_type == DType::i8;
  return d;
}

static Result<KernelImage> compile(const KernelRequest& r, Isa isa) {
  const size_t at = weights_of(r.node);
  KernelImage image{"cpu", cat("int8_conv.dynamic.", isa_name(isa)), "", {}, {}};
  if (!r.graph.is_constant(r.node.inputs[at])) return image;
  const Tensor& w = r.graph.constant(r.node.inputs[at]);
  Int8ConvDesc d;  // the packed form depends on the weights alone
  d.groups = r.node.attrs.i("group", 1);
  d.in_channels = w.dim(1), d.out_channels = w.dim(0) / d.groups;
  for (int64_t i = 2; i < w.rank(); ++i) d.windows[i - 2].kernel = w.dim(i);
  d.w_signed = w.dtype() == DType::i8;
  Tensor packed = TRY(Tensor::allocate(DType::u8, {int8_conv_packed_bytes(d)}));
  int8_conv_pack(d, w.data(), packed.data());
  image.kernel = cat("int8_conv.packed.", isa_name(isa));
  image.data = {packed};
  image.absorbed_inputs = {int(at)};
  return image;
}

namespace {
struct Plan {
  Int8ConvDesc desc;
  DType y_type = DType::i32, y_zero_type = DType::none;
  int x_zero = -1, w_zero = -1, bias = -1;
  int64_t w_zeros = 1, w_scales = 1;
  bool integer = true;
  Tensor packed;
  int64_t own_pack = 0, zeros = 0, scales = 0, work = 0, bytes = 0;
};

int32_t byte_at(bool is_signed, const void* p, int64_t i) {
  return is_signed ? static_cast<const int8_t*>(p)[i] : static_cast<const uint8_t*>(p)[i];
}

Status run(const Plan& p, const LaunchArgs& a, ThreadPool& pool) {
  const Int8ConvDesc& d = p.desc;
  auto* memory = static_cast<char*>(a.scratch);
  const size_t at = p.integer ? 1 : 3;
  const void* packed = p.packed ? p.packed.data() : memory + p.own_pack;
  if (!p.packed) int8_conv_pack(d, a.inputs[at], memory + p.own_pack);
  auto* zeros = reinterpret_cast<int32_t*>(memory + p.zeros);
  for (int64_t i = 0; i < p.w_zeros; ++i)
    zeros[i] = p.w_zero < 0 ? 0 : byte_at(d.w_signed, a.inputs[p.w_zero], i);
  const int32_t x_zero = p.x_zero < 0 ? 0 : byte_at(d.x_signed, a.inputs[p.x_zero], 0);
  Int8Output o;
  o.type = p.y_type;
  if (!p.integer) {
    const auto floats = [&](int i) { return static_cast<const float*>(a.inputs[i]); };
    auto* scales = reinterpret_cast<double*>(memory + p.scales);
    for (int64_t i = 0; i < p.w_scales; ++i) scales[i] = double(*floats(1) * floats(4)[i] / *floats(6));
    o.row_scale = scales;
    o.row_scales = p.w_scales;
    o.zero = byte_at(p.y_zero_type == DType::i8, a.inputs[7], 0);
    if (p.bias >= 0) o.row_add = static_cast<const int32_t*>(a.inputs[p.bias]);
  }
  int8_conv(pool, d, a.inputs[0], packed, x_zero, zeros, p.w_zeros, o, a.outputs[0], memory + p.work);
  return {};
}
}  // namespace

static Result<std::unique_ptr<Kernel>> load(const KernelSource& s, Isa isa) {
  const Tensor packed = s.image.data.empty() ? Tensor() : s.image.data[0];
  if (!packed && !s.image.absorbed_inputs.empty())
    return make_status(Code::data_loss, "its weights are missing");
  return make_kernel([&node = s.node, packed, isa](Descs in, Descs out, int threads) -> LaunchResult {
    auto p = std::make_shared<Plan>();
    p->integer = is_integer(node);
    p->packed = packed;
    const size_t at = weights_of(node);
    if (in[0].shape.size() != in[at].shape.size() || in[at].shape.size() < 3 || in[at].shape.size() > 5)
      return invalid_argument("an input of shape ", in[0].shape, " for weights of shape ", in[at].shape);
    p->desc = TRY(describe(node, in[0].dtype, in[at].dtype, in[0].shape, in[at].shape, isa));
    const Int8ConvDesc& d = p->desc;
    const int64_t channels = d.groups * d.out_channels;
    if (in[0].shape[1] != d.groups * d.in_channels)
      return invalid_argument("has ", in[0].shape[1], " channels, its weights ", d.groups * d.in_channels);
    p->y_type = out[0].dtype;
    // One value, or one for each channel.
    const auto count = [&](size_t i, int64_t most) -> Result<int64_t> {
      const int64_t n = num_elements(in[i].shape);
      if (n != 1 && n != most)
        return invalid_argument("input ", i, " has ", n, " values for ", most, " channels");
      return n;
    };
    const auto has = [&](size_t i) { return i < in.size() && in[i].dtype != DType::none; };
    const size_t x_zero = 2, w_zero = p->integer ? 3 : 5;
    if (has(x_zero)) {
      TRY(count(x_zero, 1));
      p->x_zero = int(x_zero);
    }
    if (has(w_zero)) {
      p->w_zeros = TRY(count(w_zero, channels));
      p->w_zero = int(w_zero);
    }
    if (!p->integer) {
      for (size_t i : {1, 6, 7}) TRY(count(i, 1));
      p->w_scales = TRY(count(4, channels));
      p->y_zero_type = in[7].dtype;
      if (has(8)) {
        if (num_elements(in[8].shape) != channels)
          return invalid_argument("a bias of shape ", in[8].shape, " for ", channels, " channels");
        p->bias = 8;
      }
    }
    if (packed && packed.bytes() < int8_conv_packed_bytes(d))
      return invalid_argument("its packed weights are for other sizes");
    const auto part = [&](int64_t bytes) {
      const int64_t from = p->bytes;
      p->bytes += int64_t(round_up(size_t(bytes), 64));
      return from;
    };
    p->zeros = part(4 * p->w_zeros);
    p->scales = part(8 * p->w_scales);
    p->own_pack = part(packed ? 0 : int8_conv_packed_bytes(d));
    p->work = part(int8_conv_scratch_bytes(d, threads));
    return make_launch(p->bytes, [p](const LaunchArgs& a, ThreadPool& pool) { return run(*p, a, pool); });
  });
}

extern const Family kInt8Conv{"int8_conv", concerns, supports, compile, load};

}  // namespace tenon::cpu
