// com.microsoft FusedGemm: y = activation(alpha * A' * B' + beta * C).
#include "ops/common/flops.h"
#include "ops/common/gemm.h"

#include <cmath>

namespace tenon::ops {

// The activations by name, with their parameters alpha and beta.
static double (*activation_of(const std::string& name))(double, double, double) {
  using F = double (*)(double, double, double);
  if (name.empty()) return F([](double x, double, double) { return x; });
  if (name == "Relu") return F([](double x, double, double) { return x < 0 ? 0 : x; });
  if (name == "LeakyRelu") return F([](double x, double a, double) { return x < 0 ? a * x : x; });
  if (name == "Tanh") return F([](double x, double, double) { return std::tanh(x); });
  if (name == "Sigmoid") return F([](double x, double, double) { return 1 / (1 + std::exp(-x)); });
  if (name == "HardSigmoid")
    return F([](double x, double a, double b) { return std::fmax(0, std::fmin(1, a * x + b)); });
  return nullptr;
}

static Status infer(InferArgs& a) {
  if (!activation_of(a.attrs.s("activation")))
    return unsupported("activation '", escape(a.attrs.s("activation")), "'");
  return infer_gemm(a);
}

static Status reference(RefArgs& a) {
  std::vector<double> y = gemm_doubles(a);
  auto* f = activation_of(a.attrs.s("activation"));
  const double alpha = a.attrs.f("activation_alpha"), beta = a.attrs.f("activation_beta");
  for (double& v : y) v = f(v, alpha, beta);
  store_doubles(a.y(0).dtype(), a.y(0).data(), 0, a.y(0).size(), y.data());
  return {};
}

extern const Op op_ms_fused_gemm{
    .name = "FusedGemm",
    .domain = "com.microsoft",
    .inputs = {{"A", kFloats}, {"B", kFloats}, {"C", kFloats, 'T', Param::optional}},
    .attrs = {{"activation", std::string()},
              {"activation_alpha", 0.0f},
              {"activation_beta", 0.0f},
              {"activation_gamma", 0.0f},
              {"alpha", 1.0f},
              {"beta", 1.0f},
              {"transA", int64_t(0)},
              {"transB", int64_t(0)}},
    .infer = infer,
    .reference = reference,
    .flops = [](const FlopArgs& a) { return matmul_flops(a, a.dim(0, a.attrs.i("transA") ? 0 : 1)); },
    .fusion = Fusion::out_elementwise_fusable,
    .tolerance = {.f32 = 32},
    .samples = {{{{{3, 5}}, {{5, 7}}, {{7}}}, {{"activation", std::string("Relu")}}},
                {{{{3, 5}}, {{7, 5}}}, {{"activation", std::string("Tanh")}, {"transB", int64_t(1)}}}},
};

}  // namespace tenon::ops
