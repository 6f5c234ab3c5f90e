// Copy: the same value in other memory. Lowering puts it between steps of a device with memory of its own and steps on the
// host; `to` is "device" or "host".
#include <cstring>

#include "ops/op.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  if (a.attrs.s("to") != "device" && a.attrs.s("to") != "host") return invalid_argument("a copy goes to \"device\" or to \"host\"");
  if (a.ranked(0)) a.set(0, a.dtype(0), a.shape(0));
  else a.set_unranked(0, a.dtype(0));
  if (const auto* value = a.value(0)) a.set_value(0, *value);
  return {};
}

static Status reference(RefArgs& a) {
  if (a.x(0).bytes()) std::memcpy(a.y(0).data(), a.x(0).data(), size_t(a.x(0).bytes()));
  return {};
}

extern const Op op_copy{
    .name = "Copy",
    .domain = "tenon",
    .inputs = {{"X"}},
    .attrs = {required_attr("to", AttrKind::s)},
    .infer = infer,
    .reference = reference,
    .samples = {{{{{2, 3}}}, {{"to", std::string("host")}}}},
};

}  // namespace tenon::ops
