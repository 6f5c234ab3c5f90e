// Col2Im: sums the columns [N, C*prod(block), L] of sliding blocks back into images [N, C, image...].
#include "ops/common/movement.h"

namespace tenon::ops {

// The sliding window along one image dimension.
struct Window {
  int64_t image, block, stride = 1, dilation = 1, pad_begin = 0, pad_end = 0;
  int64_t positions() const {
    const int64_t room = image + pad_begin + pad_end - dilation * (block - 1) - 1;
    return room < 0 ? 0 : room / stride + 1;
  }
};

static Result<std::vector<Window>> windows(const Attrs& attrs, const Ints& image, const Ints& block) {
  const size_t n = image.size();
  auto list = [&](const char* name, size_t count, int64_t fallback) -> Result<Ints> {
    const Ints v = attrs.has(name) ? attrs.ints(name) : Ints(count, fallback);
    if (v.size() != count) return invalid_model(name, " has ", v.size(), " elements, not ", count);
    for (int64_t x : v)
      if (x < fallback || x > 1 << 30) return invalid_model(name, " ", v, " is out of range");
    return v;
  };
  if (block.size() != n) return invalid_model("image_shape has ", n, " elements, block_shape ", block.size());
  const Ints strides = TRY(list("strides", n, 1)), dilations = TRY(list("dilations", n, 1));
  const Ints pads = TRY(list("pads", 2 * n, 0));
  std::vector<Window> w;
  for (size_t i = 0; i < n; ++i) {
    if (block[i] < 1 || block[i] > 1 << 30 || image[i] < 0 || image[i] > int64_t(1) << 40)
      return invalid_model("image_shape ", image, " or block_shape ", block, " is out of range");
    w.push_back({image[i], block[i], strides[i], dilations[i], pads[i], pads[n + i]});
  }
  return w;
}

static Status infer(InferArgs& a) {
  TRY(check_vector(a, 1));
  TRY(check_vector(a, 2));
  if (a.ranked(0) && a.rank(0) != 3)
    return invalid_model("input has rank ", a.rank(0), ", it must be [N, C*prod(block), L]");
  const auto image = known_value(a, 1), block = known_value(a, 2);
  const auto n = image ? image->size() : vector_length(a, 1);
  if (!n || *n > kMaxRank) return a.set_unranked(0, a.dtype(0)), Status();
  SymShape shape = {a.ranked(0) ? a.shape(0)[0] : a.fresh("batch")};
  const Dim blocks = block ? product(*block) : Dim(0);
  const bool known_channels = a.ranked(0) && block && !blocks.is(0);
  shape.push_back(known_channels ? floor_div(a.shape(0)[1], blocks) : a.fresh("channels"));
  for (size_t i = 0; i < *n; ++i) shape.push_back(image ? (*image)[i] : a.fresh("image"));
  a.set(0, a.dtype(0), shape);
  const auto image_ints = image ? to_concrete(*image) : std::nullopt,
             block_ints = block ? to_concrete(*block) : std::nullopt;
  if (!image_ints || !block_ints) return {};
  int64_t positions = 1;
  for (const Window& w : TRY(windows(a.attrs, *image_ints, *block_ints)))
    if (__builtin_mul_overflow(positions, w.positions(), &positions))
      return invalid_model("image_shape is too large");
  if (!a.ranked(0)) return {};
  const Dim &columns = a.shape(0)[1], &length = a.shape(0)[2];
  if (length.is_const() && !length.is(positions))
    return invalid_model("input has ", length.constant(), " columns, the blocks have ", positions,
                         " positions");
  if (columns.is_const() && (blocks.constant() < 1 || columns.constant() % blocks.constant()))
    return invalid_model("dimension 1 of the input, ", columns.constant(), ", does not divide by the block ",
                         blocks.constant());
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  const std::vector<Window> w = TRY(windows(a.attrs, a.x(1).to_ints(), a.x(2).to_ints()));
  fill_zero(y);
  if (x.size() == 0 || y.size() == 0) return {};
  int64_t length = x.dim(2), block = 1, area = 1;
  for (const Window& d : w) block *= d.block, area *= d.image;
  std::vector<double> sums(static_cast<size_t>(y.size()));
  for (int64_t e = 0; e < x.size(); ++e) {
    // e is element [plane, k, l]: offset k within the block, block position l.
    int64_t l = e % length, k = e / length % block, plane = e / length / block;
    int64_t at = 0, stride = 1;
    for (size_t d = w.size(); d-- > 0;) {
      const int64_t n = w[d].positions(),
                    i = l % n * w[d].stride + k % w[d].block * w[d].dilation - w[d].pad_begin;
      l /= n;
      k /= w[d].block;
      at = at < 0 || i < 0 || i >= w[d].image ? -1 : at + i * stride;
      stride *= w[d].image;
    }
    if (at >= 0) sums[size_t(plane * area + at)] += x.at(e);
  }
  store_doubles(y.dtype(), y.data(), 0, y.size(), sums.data());
  return {};
}

extern const Op op_col2im{
    .name = "Col2Im",
    .version = 18,
    .compatible_from = 18,
    .inputs = {{"input", kNumeric}, {"image_shape", DType::i64, 0}, {"block_shape", DType::i64, 0}},
    .outputs = {{"output"}},
    .attrs = {optional_attr("dilations", AttrKind::ints), optional_attr("pads", AttrKind::ints),
              optional_attr("strides", AttrKind::ints)},
    .infer = infer,
    .reference = reference,
    .samples = {{{{{1, 5, 5}}, {{2}, DType::i64, 0, 0, {5, 5}}, {{2}, DType::i64, 0, 0, {1, 5}}}},
                {{{{2, 8, 9}}, {{2}, DType::i64, 0, 0, {4, 4}}, {{2}, DType::i64, 0, 0, {2, 2}}}},
                {{{{0, 4, 9}}, {{2}, DType::i64, 0, 0, {4, 4}}, {{2}, DType::i64, 0, 0, {2, 2}}}}},
};

}  // namespace tenon::ops
