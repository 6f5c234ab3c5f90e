// Conv and ConvTranspose as products: rows are positions of the window, k is (tap, channel). Weights are packed while
// building. Depthwise ones have a kernel of their own.
#include "backend/cuda/build/families/common.h"
#include "backend/cuda/build/families/conv_plan.h"
#include "backend/cuda/build/families/pack.h"
#include "backend/cuda/build/families/tiles.h"

namespace tenon::cuda {

namespace {

bool concerns(const KernelRequest& r) {
  const std::string& kind = r.node.attrs.s("kind");
  return op_is(r.node, "Conv") || op_is(r.node, "ConvTranspose") || kind == "conv" || kind == "conv_transpose";
}

struct ConvProduct {
  ConvPlan plan;
  Product product;
  // Groups computed as one, with zeros where a channel is of another group: small groups fill no tile.
  int64_t merged = 1;
};

int64_t groups_to_merge(const ConvPlan& p) {
  if (!p.constant_weights) return 1;
  int64_t best = 1;
  for (int64_t q = 2; q <= p.groups; ++q)
    if (p.groups % q == 0 && q * p.in_channels <= 32 && q * p.out_channels <= 32) best = q;
  return best;
}

// A window of one element that moves by one is no window.
bool is_pointwise(const ConvPlan& p) {
  bool yes = p.last && p.taps() == 1;
  for (size_t d = 0; d < p.in.size(); ++d) yes = yes && p.stride[d] == 1 && p.pad[d].is(0) && p.in[d] == p.out[d];
  return yes;
}

void set_input(ConvProduct& c) {
  const ConvPlan& p = c.plan;
  Product& product = c.product;
  const int64_t channels = p.groups * p.in_channels, of_group = c.merged * p.in_channels;
  Matrix& a = product.a;
  a.index = p.x;
  a.row_limit = product.m;
  a.k_limit = product.k;
  if (is_pointwise(p)) {
    a.form = Matrix::k_major;
    a.ld = channels;
  } else {
    a.form = Matrix::pixels;
    Pixels& image = a.image;
    image.in = p.in;
    image.out = p.out;
    image.kernel = p.kernel;
    image.stride = p.stride;
    image.dilation = p.dilation;
    image.pad = p.pad;
    image.pad_end = p.pad_end;
    image.transposed = p.transposed;
    image.channels = of_group;
    image.images = p.batch;
    const Dim plane = ::tenon::product(p.in);
    image.image_stride = plane * Dim(channels);
    image.channel_stride = p.last ? Dim(1) : plane;
    image.strides = sym_row_major_strides(p.in);
    if (p.last)
      for (Dim& s : image.strides) s = s * Dim(channels);
    image.channel_major = !p.constant_weights;
  }
  if (!product.batch.empty()) a.batch_strides = {Dim(of_group) * (p.last ? Dim(1) : ::tenon::product(p.in))};
}

void set_weights(ConvProduct& c, bool columns) {
  Product& p = c.product;
  const int64_t n = p.n.constant(), k = p.k.constant();
  if (c.plan.constant_weights) {
    const PackedLayout layout = packed_layout(p.type, n, k, columns);
    p.b = packed_matrix(layout, 0);
    if (!p.batch.empty()) p.b.batch_strides = {layout.entry};
    return;
  }
  p.b = {};
  p.b.index = c.plan.w;
  p.b.ld = p.b.k_limit = k;
  p.b.row_limit = n;
  if (!p.batch.empty()) p.b.batch_strides = {n * k};
}

ConvProduct product_of(ConvPlan plan, const KernelRequest& r) {
  ConvProduct c;
  c.plan = std::move(plan);
  const ConvPlan& p = c.plan;
  c.merged = groups_to_merge(p);
  Product& product = c.product;
  product.name = "conv";
  product.type = p.type;
  const bool single = !p.transposed && p.groups > 1 && p.in_channels == 1;  // product_factors() says that these are not rounded
  product.tf32 = r.tf32 && !single && !p.anchor.node->attrs.i("exact");
  product.likely = p.likely;
  const Dim positions = ::tenon::product(p.out);
  const int64_t entries = p.groups / c.merged, columns = c.merged * p.out_channels;
  product.m = p.batch * positions;
  product.n = columns;
  product.k = p.taps() * c.merged * p.in_channels;
  const Dim all = p.groups * p.out_channels;
  product.ldc = p.apart ? *p.apart : p.last ? all : all * positions;
  product.plane = p.last ? Dim(0) : positions;
  if (entries > 1) {
    product.batch = {entries};
    product.batch_c = {Dim(columns) * (p.last ? Dim(1) : positions)};
    product.batch_column = {columns};
  }
  product.epilogue = p.epilogue;
  set_input(c);
  set_weights(c, false);
  return c;
}

Result<Tensor> pack(const ConvProduct& c, const Tensor& w) {
  const ConvPlan& p = c.plan;
  const int64_t q = c.merged, in = p.in_channels, out = p.out_channels, taps = p.taps();
  const auto place = [&](int64_t entry, int64_t row, int64_t k) -> int64_t {
    const int64_t tap = k / (q * in), channel = k % (q * in);
    if (channel / in != row / out) return -1;
    const int64_t group = entry * q + row / out, m = row % out, i = channel % in;
    return (p.transposed ? (group * in + i) * out + m : (group * out + m) * in + i) * taps + tap;
  };
  return pack_operand(w, p.groups / q, q * out, q * in * taps, c.product.b.form == Matrix::columns, place);
}

Result<Tile> settle(ConvProduct& c, const Chip& chip, const std::string& variant) {
  const Tile tile = TRY(choose_tile(c.product, chip, variant));
  if (tile.kind == Tile::simt) set_weights(c, true);
  return tile;
}

Result<Program> program_of(const KernelRequest& r, const Chip& chip, bool pack_weights) {
  ConvPlan plan = TRY(conv_plan(r));
  const Tensor* w = plan.constant_weights ? &r.graph.constant(r.node.inputs[size_t(plan.w)]) : nullptr;
  Program program;
  program.strides_output = plan.apart.has_value();
  if (is_depthwise(plan)) {
    TRY(write_depthwise(plan, program));
    if (pack_weights) program.data = {TRY(pack_depthwise(plan, *w))};
  } else {
    ConvProduct c = product_of(std::move(plan), r);
    const Tile tile = TRY(settle(c, chip, r.variant));
    program.variant = variant_name(c.product, tile);
    TRY(write_product(c.product, tile, program));
    if (pack_weights && w) program.data = {TRY(pack(c, *w))};
    plan.w = c.plan.w;
  }
  if (w) program.absorbed_inputs = {plan.w};
  return program;
}

KernelAnswer supports(const KernelRequest& r, const Chip& chip) {
  const auto program = program_of(r, chip, false);
  return program.ok() ? KernelAnswer{true, ""} : KernelAnswer{false, program.status().message()};
}

Result<Program> generate(const KernelRequest& r, const Chip& chip) { return program_of(r, chip, true); }

std::vector<KernelVariant> variants(const KernelRequest& r, const Chip& chip) {
  auto plan = conv_plan(r);
  if (!plan.ok() || is_depthwise(*plan)) return {};
  return tile_variants(product_of(*std::move(plan), r).product, chip);
}

}  // namespace

extern const Family kConv{"conv", concerns, supports, generate, variants};

}  // namespace tenon::cuda
