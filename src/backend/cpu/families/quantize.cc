// QuantizeLinear, DequantizeLinear (of both domains) and DynamicQuantizeLinear.
#include "backend/cpu/kernels/quantize.h"

#include "backend/cpu/families.h"
#include "backend/cpu/kernels/parallel.h"
#include "ops/common/quantize.h"

namespace tenon::cpu {

static bool is_either(const Node& n, std::string_view name) {
  return op_is(n, name) || ms_op_is(n, name);
}

static KernelAnswer supports(const KernelRequest& r) {
  const bool to_ints = is_either(r.node, "QuantizeLinear");
  const DType out = r.graph.info(r.node.outputs[0]).dtype, ints = to_ints ? out : type_of(r, 0),
              floats = to_ints ? type_of(r, 0) : out;
  if (!(to_ints ? quantize_holds(ints) : dequantize_holds(ints)))
    return no(cat("no kernel for ", name(ints)));
  if (floats != DType::f32) return no(cat("no kernel for ", name(floats)));
  if (type_of(r, 1) != DType::f32) return no(cat("no kernel for a scale of ", name(type_of(r, 1))));
  const auto precision = DType(r.node.attrs.i("precision"));
  if (precision != DType::none && precision != DType::f32)
    return no(cat("no kernel for the precision ", name(precision)));
  if (r.node.attrs.i("block_size") != 0) return no("scales in blocks have no kernel");
  return yes();
}

static Result<std::unique_ptr<Kernel>> load(const KernelSource& s, Isa) {
  return make_kernel([&node = s.node](Descs in, Descs out, int) -> LaunchResult {
    const bool to_ints = is_either(node, "QuantizeLinear");
    const Shape& x = in[0].shape;
    const ScaleLayout layout = scale_layout(node.attrs, x, in[1].shape);
    QuantizeDesc d;
    d.type = to_ints ? out[0].dtype : in[0].dtype;
    const int64_t scales = num_elements(in[1].shape), elements = num_elements(x);
    if (layout.per_tensor) {
      d.inner = elements;
    } else {
      d.size = layout.size;
      d.inner = layout.inner;
      d.outer = elements ? elements / (d.size * d.inner) : 0;
    }
    if (scales != d.size) return invalid_argument("has ", scales, " scales where ", d.size, " are needed");
    const bool zero = in.size() > 2 && in[2].dtype != DType::none;
    if (zero && num_elements(in[2].shape) != d.size)
      return invalid_argument("has zero points of shape ", in[2].shape, " for ", d.size, " scales");
    return make_launch(0, [d, zero, to_ints](const LaunchArgs& a, ThreadPool& pool) {
      const auto* scale = static_cast<const float*>(a.inputs[1]);
      const void* zeros = zero ? a.inputs[2] : nullptr;
      if (to_ints)
        quantize_linear(pool, d, static_cast<const float*>(a.inputs[0]), scale, zeros, a.outputs[0]);
      else
        dequantize_linear(pool, d, a.inputs[0], scale, zeros, static_cast<float*>(a.outputs[0]));
      return Status();
    });
  });
}

extern const Family kQuantize{"quantize",
                              [](const KernelRequest& r) {
                                return is_either(r.node, "QuantizeLinear") ||
                                       is_either(r.node, "DequantizeLinear");
                              },
                              supports, nullptr, load};

// ---- by the range of the data
// --------------------------------------------------------------------------------------

static Result<std::unique_ptr<Kernel>> load_dynamic(const KernelSource& s, Isa) {
  return make_kernel([outputs = s.node.outputs.size()](Descs in, Descs, int threads) -> LaunchResult {
    const int64_t n = num_elements(in[0].shape);
    return make_launch(int64_t(sizeof(Range)) * threads, [n, outputs](const LaunchArgs& a, ThreadPool& pool) {
      const auto* x = static_cast<const float*>(a.inputs[0]);
      const Range range = range_with_zero(pool, x, n, static_cast<Range*>(a.scratch));
      const DynamicRange q = dynamic_range(range.low, range.high);
      const auto zero = uint8_t(q.zero_point);
      if (a.outputs[0]) quantize_linear(pool, {DType::u8, 1, 1, n}, x, &q.scale, &zero, a.outputs[0]);
      if (outputs > 1 && a.outputs[1]) *static_cast<float*>(a.outputs[1]) = q.scale;
      if (outputs > 2 && a.outputs[2]) *static_cast<uint8_t*>(a.outputs[2]) = zero;
      return Status();
    });
  });
}

extern const Family kDynamicQuantize{
    "dynamic_quantize", [](const KernelRequest& r) { return op_is(r.node, "DynamicQuantizeLinear"); },
    [](const KernelRequest&) { return yes(); }, nullptr, load_dynamic};

}  // namespace tenon::cpu
