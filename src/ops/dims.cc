// Dims: integers computed from the sizes of the graph's symbols, such as [batch, 2*seq+1]; a vector, or a scalar if
// `scalar` is 1. Shape arithmetic becomes this; it runs on the host.
#include "ops/op.h"

namespace tenon::ops {

static Result<std::vector<Dim>> parse_dims(const Attrs& attrs) {
  std::vector<Dim> dims;
  for (const std::string& s : attrs.strings("dims")) {
    auto d = Dim::parse(s);
    if (!d.ok()) return invalid_model(d.status().message());
    dims.push_back(*d);
  }
  if (attrs.i("scalar") && dims.size() != 1) return invalid_model("a scalar of ", dims.size(), " elements");
  return dims;
}

static Status infer(InferArgs& a) {
  std::vector<Dim> dims = TRY(parse_dims(a.attrs));
  a.set(0, DType::i64, a.attrs.i("scalar") ? SymShape{} : SymShape{Dim(int64_t(dims.size()))});
  a.set_value(0, std::move(dims));
  return {};
}

static Status reference(RefArgs& a) {
  const std::vector<Dim> dims = TRY(parse_dims(a.attrs));
  const auto unknown = [](const std::string&) { return std::optional<int64_t>(); };
  for (size_t i = 0; i < dims.size(); ++i) {
    auto v = dims[i].eval(a.symbol ? a.symbol : unknown);
    if (!v) return invalid_argument("the value of ", dims[i].to_string(), " is not known");
    a.y(0).set_int(int64_t(i), *v);
  }
  return {};
}

extern const Op op_dims{
    .name = "Dims",
    .domain = "tenon",
    .outputs = {{"dims"}},
    .attrs = {required_attr("dims", AttrKind::strings), {"scalar", int64_t(0)}},
    .infer = infer,
    .reference = reference,
    .samples = {{{}, {{"dims", Strings{"3", "2*4+1"}}}}},
};

}  // namespace tenon::ops
