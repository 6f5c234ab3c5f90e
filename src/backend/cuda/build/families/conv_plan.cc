#include "backend/cuda/build/families/conv_plan.h"

#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

int64_t ConvPlan::taps() const {
  int64_t n = 1;
  for (int64_t k : kernel) n *= k;
  return n;
}

// The padding before the first element, where the attributes leave it to the sizes: `total` is all of it.
static Dim first_part(const Dim& total, bool upper) {
  const Dim half = floor_div(max(total, Dim(0)), Dim(2));
  return upper ? half : max(total, Dim(0)) - half;
}

static Status set_pads(ConvPlan& p, const WindowSpec& spec) {
  const Attrs& attrs = p.anchor.node->attrs;
  const bool upper = spec.auto_pad == WindowSpec::same_upper, same = upper || spec.auto_pad == WindowSpec::same_lower;
  const Ints &extra = attrs.ints("output_padding"), &shape = attrs.ints("output_shape");
  for (size_t d = 0; d < spec.rank(); ++d) {
    const Dim stride = p.stride[d];
    if (!p.transposed) {
      const Dim total = max((p.out[d] - Dim(1)) * stride + spec.extent(d) - p.in[d], Dim(0));
      p.pad.push_back(same ? first_part(total, upper) : Dim(spec.pads[d]));
      p.pad_end.push_back(same ? total - p.pad.back() : Dim(spec.pads[spec.rank() + d]));
    } else if (same || !shape.empty()) {
      const Dim full = stride * (p.in[d] - Dim(1)) + Dim(extra.empty() ? 0 : extra[d]) + spec.extent(d);
      p.pad.push_back(first_part(full - p.out[d], upper));
    } else {
      p.pad.push_back(spec.pads[d]);
    }
  }
  return {};
}

Result<ConvPlan> conv_plan(const KernelRequest& r) {
  ConvPlan p;
  p.anchor = anchor_of(r.graph, r.node);
  const Node& node = *p.anchor.node;
  p.x = p.anchor.input(0);
  p.w = p.anchor.input(1);
  if (p.x < 0 || p.w < 0) return unsupported("an operand is a constant inside the body");
  p.type = type_of(r, size_t(p.x));
  if (!is_float(p.type) || bits(p.type) < 16) return unsupported("no kernel for ", name(p.type));
  if (type_of(r, size_t(p.w)) != p.type) return unsupported("its weights are ", name(type_of(r, size_t(p.w))), ", its input ", name(p.type));
  p.transposed = op_is(node, "ConvTranspose");
  p.last = node.attrs.i("channels_last") != 0;
  p.constant_weights = r.graph.is_constant(r.node.inputs[size_t(p.w)]) && r.graph.constant(r.node.inputs[size_t(p.w)]).size() > 0;
  if (p.transposed && !p.constant_weights) return unsupported("its weights are computed at run time");

  const OperandDims dims = TRY(OperandDims::of(r));
  const auto w = to_concrete(dims.in(size_t(p.w)));
  if (!w) return unsupported("the size of its weights is not known");
  p.likely = dims.likely();
  const SymShape x = channels_first(dims.in(size_t(p.x)), p.last), y = channels_first(dims.out(0), p.last);
  if (x.size() < 3 || x.size() > 5 || w->size() != x.size() || y.size() != x.size())
    return unsupported("no kernel for ", int64_t(x.size()) - 2, " spatial dimensions");
  p.groups = node.attrs.i("group", 1);
  p.in_channels = p.transposed ? (*w)[0] / p.groups : (*w)[1];
  p.out_channels = p.transposed ? (*w)[1] : (*w)[0] / p.groups;
  p.batch = x[0];
  p.in.assign(x.begin() + 2, x.end());
  p.out.assign(y.begin() + 2, y.end());
  p.kernel.assign(w->begin() + 2, w->end());
  const WindowSpec spec = TRY(window_spec(node.attrs, to_sym(p.kernel)));
  p.stride = spec.strides;
  p.dilation = spec.dilations;
  TRY(set_pads(p, spec));
  p.epilogue = TRY(make_epilogue(r, p.anchor, dims, p.last ? x.size() - 1 : 1));
  if (p.last) p.apart = joined_rows(r, p.epilogue, p.groups * p.out_channels);
  return p;
}

}  // namespace tenon::cuda
