#include "ops/common/activation.h"

#include <algorithm>
#include <cmath>

namespace tenon {

double Activation::operator()(double x) const {
  switch (kind) {
    case relu: return x > 0 || std::isnan(x) ? x : 0;
    case tanh: return std::tanh(x);
    case sigmoid: return 1 / (1 + std::exp(-x));
    case affine: return alpha * x + beta;
    case leaky_relu: return x < 0 ? alpha * x : x;
    case thresholded_relu: return x > alpha ? x : 0;
    case scaled_tanh: return alpha * std::tanh(beta * x);
    case hard_sigmoid: return std::min(std::max(alpha * x + beta, 0.0), 1.0);
    case elu: return x < 0 ? alpha * std::expm1(x) : x;
    case softsign: return x / (1 + std::abs(x));
    case softplus: return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
    case clip: return std::min(std::max(x, alpha), beta);
  }
  return x;
}

Result<Activation> find_activation(std::string_view name) {
  struct Entry {
    const char* name;
    Activation activation;
  };
  static const Entry all[] = {{"relu", {Activation::relu}},
                              {"tanh", {Activation::tanh}},
                              {"sigmoid", {Activation::sigmoid}},
                              {"affine", {Activation::affine, 1, 0}},
                              {"leakyrelu", {Activation::leaky_relu, 0.01}},
                              {"thresholdedrelu", {Activation::thresholded_relu, 1}},
                              {"scaledtanh", {Activation::scaled_tanh, 1, 1}},
                              {"hardsigmoid", {Activation::hard_sigmoid, 0.2, 0.5}},
                              {"elu", {Activation::elu, 1}},
                              {"softsign", {Activation::softsign}},
                              {"softplus", {Activation::softplus}},
                              {"clip", {Activation::clip, -HUGE_VAL, HUGE_VAL}}};
  std::string lower(name);
  for (char& c : lower) c = char(c >= 'A' && c <= 'Z' ? c + 32 : c);
  for (const Entry& e : all)
    if (lower == e.name) return e.activation;
  return invalid_model("there is no activation function '", name, "'");
}

int activation_parameters(Activation::Kind kind) {
  switch (kind) {
    case Activation::affine:
    case Activation::scaled_tanh:
    case Activation::hard_sigmoid:
    case Activation::clip: return 2;
    case Activation::leaky_relu:
    case Activation::thresholded_relu:
    case Activation::elu: return 1;
    default: return 0;
  }
}

}  // namespace tenon
