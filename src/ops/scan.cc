// Scan: runs the body once for each index of the scanned inputs, (state..., parts...) = body(state...,
// slices..., captured...); gives the last state and the parts stacked along scan_output_axes.
#include <algorithm>

#include "ops/common/control_flow.h"
#include "ops/common/matmul.h"

namespace tenon::ops {

static Status refuse_scan_8(Upgrade&) {
  return unsupported("Scan of opset 8, which has a batch axis")
      .with_remedy("convert the model to opset 9 or newer");
}

// Inputs and outputs by their part. States come first on both sides.
struct Layout {
  size_t states = 0, scans = 0, formals = 0;
};

static Result<Layout> layout(const Attrs& attrs, size_t inputs, size_t outputs) {
  Layout l;
  l.formals = TRY(formal_inputs(attrs, inputs, 1));
  const int64_t scans = attrs.i("num_scan_inputs");
  if (scans < 1 || size_t(scans) > l.formals)
    return invalid_model("num_scan_inputs is ", scans, ", the node has ", l.formals, " inputs");
  l.scans = size_t(scans);
  l.states = l.formals - l.scans;
  for (const char* list : {"scan_input_axes", "scan_input_directions"})
    if (attrs.has(list) && attrs.ints(list).size() != l.scans)
      return invalid_model(list, " has ", attrs.ints(list).size(), " entries for ", scans, " scanned inputs");
  for (const char* list : {"scan_output_axes", "scan_output_directions"})
    if (attrs.has(list) && attrs.ints(list).size() + l.states < outputs)
      return invalid_model(list, " has ", attrs.ints(list).size(), " entries, too few for the outputs");
  return l;
}

// Entry `i` of a list attribute; 0 where the list is left out.
static int64_t entry(const Attrs& attrs, const char* list, size_t i) {
  const Ints& v = attrs.ints(list);
  return i < v.size() ? v[i] : 0;
}

static Status infer(InferArgs& a) {
  const Layout l = TRY(layout(a.attrs, a.in.size(), a.out.size()));
  std::vector<ValueInfo> states, slices, captured(a.in.begin() + int64_t(l.formals), a.in.end());
  for (size_t i = 0; i < l.formals; ++i)
    if (!a.has(i)) return invalid_model("input ", i, " is absent");
  for (size_t i = 0; i < l.states; ++i) states.push_back(without_value(a.in[i]));
  std::optional<Dim> length;
  for (size_t i = 0; i < l.scans; ++i) {
    ValueInfo v = without_value(a.in[l.states + i]);
    if (v.ranked) {
      const int64_t axis = TRY(a.axis(entry(a.attrs, "scan_input_axes", i), int64_t(v.shape.size())));
      const Dim size = v.shape[size_t(axis)];
      length = length ? TRY(unify_dims(*length, size, "the scanned length")) : size;
      v.shape.erase(v.shape.begin() + axis);
    }
    slices.push_back(std::move(v));
  }
  const bool never = length && length->is(0);
  slices.insert(slices.end(), captured.begin(), captured.end());
  std::vector<ValueInfo> out = TRY(infer_rounds(a, {}, states, slices, 0));
  if (out.size() < a.out.size())
    return invalid_model("the body has ", out.size(), " outputs, the node has ", a.out.size());
  for (size_t i = 0; i < a.out.size(); ++i) {
    if (i < l.states) {
      a.out[i] = never ? states[i] : TRY(merge_infos(a, states[i], out[i], "state"));
      continue;
    }
    ValueInfo v = without_value(out[i]);
    if (v.ranked) {
      const int64_t axis =
          TRY(a.axis(entry(a.attrs, "scan_output_axes", i - l.states), int64_t(v.shape.size()) + 1));
      for (Dim& d : v.shape)
        if (never && !d.is_const()) d = Dim(0);
      v.shape.insert(v.shape.begin() + axis, length ? *length : a.fresh("rounds"));
    }
    if (never && !v.ranked) {
      v.ranked = true;
      v.shape = {Dim(0)};
    }
    a.out[i] = v;
  }
  return {};
}

static Status reference(RefArgs& a) {
  const Layout l = TRY(layout(a.attrs, a.in.size(), a.out.size()));
  std::vector<int64_t> axes;
  for (size_t i = 0; i < l.scans; ++i) {
    const Tensor& x = a.x(l.states + i);
    const int64_t axis = entry(a.attrs, "scan_input_axes", i);
    axes.push_back(axis < 0 ? axis + x.rank() : axis);
    if (axes[i] < 0 || axes[i] >= x.rank()) return invalid_argument("axis ", axis, " is out of range for a scanned input of shape ", x.shape());
    if (x.dim(axes[i]) != a.x(l.states).dim(axes[0]))
      return invalid_argument("the scanned inputs have ", a.x(l.states).dim(axes[0]), " and ", x.dim(axes[i]), " parts");
  }
  const int64_t length = a.x(l.states).dim(axes[0]);
  std::vector<Tensor> states(a.in.begin(), a.in.begin() + int64_t(l.states));
  std::vector<std::vector<Tensor>> parts(a.out.size() > l.states ? a.out.size() - l.states : 0);
  for (int64_t round = 0; round < length; ++round) {
    std::vector<Tensor> in = std::move(states);
    states.clear();
    for (size_t i = 0; i < l.scans; ++i) {
      const bool backward = entry(a.attrs, "scan_input_directions", i) != 0;
      in.push_back(TRY(take(a.x(l.states + i), axes[i], backward ? length - 1 - round : round)));
    }
    for (size_t i = l.formals; i < a.in.size(); ++i) in.push_back(a.in[i]);
    std::vector<Tensor> out = TRY(a.run_subgraph("body", std::move(in)));
    if (out.size() < l.states + parts.size()) return invalid_model("the body has ", out.size(), " outputs");
    for (size_t i = 0; i < l.states; ++i) states.push_back(std::move(out[i]));
    for (size_t i = 0; i < parts.size(); ++i) parts[i].push_back(std::move(out[l.states + i]));
  }
  for (size_t i = 0; i < a.out.size(); ++i) {
    if (i < l.states) {
      a.out[i] = states[i];
      continue;
    }
    const size_t k = i - l.states;
    if (parts[k].empty()) {
      TRY(stack_nothing(a, i, entry(a.attrs, "scan_output_axes", k)));
      continue;
    }
    int64_t axis = entry(a.attrs, "scan_output_axes", k);
    if (axis < 0) axis += parts[k][0].rank() + 1;
    if (axis < 0 || axis > parts[k][0].rank()) return invalid_argument("scan_output_axes is out of range");
    a.out[i] = TRY(stack(parts[k], axis, entry(a.attrs, "scan_output_directions", k) != 0));
  }
  return {};
}

extern const Op op_scan{
    .name = "Scan",
    .version = 25,
    .compatible_from = 9,
    .older = {{1, refuse_scan_8}},
    .inputs = {{"initial_state_and_scan_inputs", kAny, 0, Param::variadic}},
    .outputs = {{"final_state_and_scan_outputs", kAny, 0, Param::variadic}},
    .attrs = {required_attr("body", AttrKind::graph),
              required_attr("num_scan_inputs", AttrKind::i),
              optional_attr("scan_input_axes", AttrKind::ints),
              optional_attr("scan_input_directions", AttrKind::ints),
              optional_attr("scan_output_axes", AttrKind::ints),
              optional_attr("scan_output_directions", AttrKind::ints),
              {"captures", int64_t(0)}},
    .infer = infer,
    .reference = reference,
};

}  // namespace tenon::ops
