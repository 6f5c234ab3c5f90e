// com.microsoft MatMulNBits: y = A * W' + bias, where W [N, K] is stored in blocks of `block_size` along K,
// packed to `bits` each with one scale (and zero point, default 2^(bits-1)) a block: w = (q - zero) * scale.
#include "ops/common/flops.h"
#include "ops/common/matmul.h"

namespace tenon::ops {

enum Input : size_t { kA, kB, kScales, kZeros, kGroups, kBias };

struct Packing {
  int64_t k = 0, n = 0, bits = 4, block = 0, blocks = 0, blob = 0;  // blob: bytes of a block
  int64_t zero_row() const { return (blocks * bits + 7) / 8; }      // bytes of a row of packed zero points
};

static Result<Packing> packing(const Attrs& attrs) {
  Packing p;
  p.k = attrs.i("K"), p.n = attrs.i("N"), p.bits = attrs.i("bits"), p.block = attrs.i("block_size");
  if (p.k < 1 || p.n < 1 || p.k > INT32_MAX || p.n > INT32_MAX)
    return invalid_model("K is ", p.k, " and N is ", p.n);
  if (p.n > (int64_t(1) << 40) / p.k) return invalid_model("weights of ", p.k, " x ", p.n, " elements");
  if (p.bits != 2 && p.bits != 4 && p.bits != 8) return unsupported("MatMulNBits of ", p.bits, " bits");
  if (p.block < 16 || p.block > 1 << 20 || (p.block & (p.block - 1)))
    return invalid_model("block_size ", p.block, " is no power of 2 from 16 on");
  if (attrs.i("weight_prepacked") != 0) return unsupported("MatMulNBits with prepacked weights");
  p.blocks = (p.k + p.block - 1) / p.block;
  p.blob = p.block * p.bits / 8;
  return p;
}

static Status check_count(InferArgs& a, size_t input, int64_t want) {
  if (!a.ranked(input)) return {};
  auto shape = to_concrete(a.shape(input));
  if (shape && num_elements(*shape) != want)
    return invalid_model("input '", a.op.inputs[input].name, "' of shape ", *shape, " should have ", want,
                         " elements");
  return {};
}

static Status infer(InferArgs& a) {
  const Packing p = TRY(packing(a.attrs));
  if (a.has(kGroups)) return unsupported("MatMulNBits with g_idx");
  TRY(check_count(a, kB, p.n * p.blocks * p.blob));
  TRY(check_count(a, kScales, p.n * p.blocks));
  if (a.has(kZeros)) {
    const bool packed = a.dtype(kZeros) == DType::u8;
    if (!packed && a.dtype(kZeros) != a.dtype(kA))
      return invalid_model("zero_points must be u8 or of A's type");
    TRY(check_count(a, kZeros, p.n * (packed ? p.zero_row() : p.blocks)));
  }
  TRY(check_count(a, kBias, p.n));
  if (!a.ranked(kA)) return a.set_unranked(0, a.dtype(kA)), Status();
  a.set(0, a.dtype(kA), TRY(matmul_shape(a.shape(kA), {Dim(p.k), Dim(p.n)})));
  return {};
}

// Field `i` of a run of packed fields, low bits first.
static int64_t field(const uint8_t* bytes, int64_t i, int64_t bits) {
  return bytes[i * bits / 8] >> (i * bits % 8) & ((1 << bits) - 1);
}

static Status reference(RefArgs& a) {
  const Packing p = TRY(packing(a.attrs));
  const uint8_t* q = a.x(kB).as<uint8_t>();
  const std::vector<double> scales = a.x(kScales).to_doubles();
  std::vector<double> w(size_t(p.k * p.n));  // [K, N]
  for (int64_t n = 0; n < p.n; ++n)
    for (int64_t k = 0; k < p.k; ++k) {
      const int64_t b = k / p.block;
      double zero = double(int64_t(1) << (p.bits - 1));
      if (a.has(kZeros)) {
        const Tensor& z = a.x(kZeros);
        zero = z.dtype() == DType::u8 ? double(field(z.as<uint8_t>() + n * p.zero_row(), b, p.bits))
                                      : z.at(n * p.blocks + b);
      }
      const int64_t value = field(q + (n * p.blocks + b) * p.blob, k % p.block, p.bits);
      w[size_t(k * p.n + n)] = (double(value) - zero) * scales[size_t(n * p.blocks + b)];
    }
  std::vector<double> y = batched_matmul(a.x(kA).to_doubles(), a.x(kA).shape(), w, {p.k, p.n});
  if (a.has(kBias))
    for (size_t i = 0; i < y.size(); ++i) y[i] += a.x(kBias).at(int64_t(i) % p.n);
  store_doubles(a.y(0).dtype(), a.y(0).data(), 0, a.y(0).size(), y.data());
  return {};
}

static constexpr DTypeSet kTypes{DType::f32, DType::f16, DType::bf16};

extern const Op op_ms_mat_mul_n_bits{
    .name = "MatMulNBits",
    .domain = "com.microsoft",
    .inputs = {{"A", kTypes, 'T'},
               {"B", DType::u8, 0},
               {"scales", kTypes, 'T'},
               {"zero_points", kTypes | DTypeSet{DType::u8}, 0, Param::optional},
               {"g_idx", DType::i32, 0, Param::optional},
               {"bias", kTypes, 'T', Param::optional}},
    .attrs = {required_attr("K", AttrKind::i),
              required_attr("N", AttrKind::i),
              {"accuracy_level", int64_t(0)},
              {"bits", int64_t(4)},
              required_attr("block_size", AttrKind::i),
              {"weight_prepacked", int64_t(0)}},
    .infer = infer,
    .reference = reference,
    .flops = [](const FlopArgs& a) { return matmul_flops(a, double(a.attrs.i("K"))); },
    .fusion = Fusion::out_elementwise_fusable,
    .tolerance = {.f32 = 32},
    .samples = {{{{{2, 3, 40}}, {{5, 3, 8}, DType::u8, 0, 255}, {{5, 3}, DType::f32, 0.01, 0.1}},
                 {{"K", int64_t(40)}, {"N", int64_t(5)}, {"block_size", int64_t(16)}}},
                {{{{1, 64}},
                  {{7, 2, 32}, DType::u8, 0, 255},
                  {{14}, DType::f32, 0.01, 0.1},
                  {{7, 2}, DType::u8, 0, 255}},
                 {{"K", int64_t(64)}, {"N", int64_t(7)}, {"block_size", int64_t(32)}, {"bits", int64_t(8)}}}},
};

}  // namespace tenon::ops
