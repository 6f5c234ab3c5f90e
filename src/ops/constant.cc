// Constant: a tensor written in the model, as one of several attributes.
#include "ops/common/movement.h"

namespace tenon::ops {

static Result<Tensor> constant_of(const Attrs& attrs) {
  const bool strings = attrs.has("value_string") || attrs.has("value_strings");
  if (strings) return unsupported("Constant of strings");
  if (attrs.has("value") + attrs.has("value_float") + attrs.has("value_floats") + attrs.has("value_int") +
          attrs.has("value_ints") !=
      1)
    return invalid_model("needs exactly one of value, value_float, value_floats, value_int, value_ints");
  if (const Tensor* t = attrs.tensor("value")) return *t;
  if (attrs.has("value_float")) return Tensor::scalar_float(double(attrs.f("value_float")));
  if (attrs.has("value_int")) return Tensor::scalar_int(attrs.i("value_int"));
  if (attrs.has("value_ints")) return Tensor::of_ints(attrs.ints("value_ints"));
  const Floats& floats = attrs.floats("value_floats");
  return Tensor::of_floats(std::vector<double>(floats.begin(), floats.end()));
}

static Status infer(InferArgs& a) {
  const Tensor t = TRY(constant_of(a.attrs));
  a.set(0, t.dtype(), to_sym(t.shape()));
  if (a.out.empty()) return {};
  a.out[0].constant = t;
  if (!kIndex.contains(t.dtype()) || t.rank() > 1) return {};
  const Ints ints = t.to_ints();
  a.set_value(0, std::vector<Dim>(ints.begin(), ints.end()));
  return {};
}

static Status reference(RefArgs& a) {
  copy_all(TRY(constant_of(a.attrs)), a.y(0));
  return {};
}

extern const Op op_constant{
    .name = "Constant",
    .version = 25,
    .compatible_from = 1,
    .outputs = {{"output"}},
    .attrs = {optional_attr("value", AttrKind::tensor), optional_attr("value_float", AttrKind::f),
              optional_attr("value_floats", AttrKind::floats), optional_attr("value_int", AttrKind::i),
              optional_attr("value_ints", AttrKind::ints), optional_attr("value_string", AttrKind::s),
              optional_attr("value_strings", AttrKind::strings)},
    .infer = infer,
    .reference = reference,
    .fusion = Fusion::injective,
    .samples = {{{}, {{"value_ints", Ints{3, 1, 4}}}}, {{}, {{"value_float", 2.5f}}}},
};

}  // namespace tenon::ops
