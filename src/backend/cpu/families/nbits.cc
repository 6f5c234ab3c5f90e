// Microsoft's MatMulNBits in fp32: weights stay in their few bits, and are widened as they are used.
#include "backend/cpu/kernels/nbits.h"
#include "backend/cpu/families.h"

namespace tenon::cpu {

enum Input : size_t { kA, kW, kScales, kZeros, kGroups, kBias };

static KernelAnswer supports(const KernelRequest& r) {
  for (size_t i : {kA, kScales, kBias})
    if (present(r, i) && type_of(r, i) != DType::f32) return no(cat("no kernel for ", name(type_of(r, i))));
  return yes();
}

static Result<std::unique_ptr<Kernel>> load(const KernelSource& s, Isa isa) {
  return make_kernel([&node = s.node, isa](Descs in, Descs, int threads) -> LaunchResult {
    NBitsDesc d;
    d.isa = isa;
    d.k = node.attrs.i("K"), d.n = node.attrs.i("N");
    d.bits = node.attrs.i("bits"), d.block = node.attrs.i("block_size");
    const Shape& x = in[kA].shape;
    if (x.empty() || x.back() != d.k) return invalid_argument("A of shape ", x, " has not ", d.k, " columns");
    d.m = num_elements(std::span(x).first(x.size() - 1));
    const auto has = [&](size_t i) { return i < in.size() && in[i].dtype != DType::none; };
    const auto check = [&](size_t i, int64_t want) -> Status {
      if (has(i) && num_elements(in[i].shape) != want)
        return invalid_argument("input ", i, " of shape ", in[i].shape, " should have ", want, " elements");
      return {};
    };
    const bool zeros = has(kZeros), packed = zeros && in[kZeros].dtype == DType::u8, bias = has(kBias);
    TRY(check(kW, d.n * d.blocks() * (d.block * d.bits / 8)));
    TRY(check(kScales, d.n * d.blocks()));
    TRY(check(kZeros, d.n * (packed ? d.zero_row() : d.blocks())));
    TRY(check(kBias, d.n));
    return make_launch(nbits_scratch_bytes(d, threads), [d, zeros, packed, bias](const LaunchArgs& a,
                                                                                 ThreadPool& pool) {
      const auto floats = [&](size_t i) { return static_cast<const float*>(a.inputs[i]); };
      NBitsArgs args;
      args.a = floats(kA), args.w = static_cast<const uint8_t*>(a.inputs[kW]), args.scales = floats(kScales);
      if (packed)
        args.packed_zeros = static_cast<const uint8_t*>(a.inputs[kZeros]);
      else if (zeros)
        args.zeros = floats(kZeros);
      if (bias) args.bias = floats(kBias);
      args.y = static_cast<float*>(a.outputs[0]);
      nbits_matmul(pool, d, args, a.scratch);
      return Status();
    });
  });
}

extern const Family kNBits{"nbits", [](const KernelRequest& r) { return ms_op_is(r.node, "MatMulNBits"); },
                           supports, nullptr, load};

}  // namespace tenon::cpu
