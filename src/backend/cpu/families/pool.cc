// MaxPool and AveragePool over one or two dimensions.
#include "backend/cpu/kernels/pool.h"

#include "backend/cpu/families.h"
#include "ops/common/window.h"

namespace tenon::cpu {

static bool concerns(const KernelRequest& r) { return op_is(r.node, "MaxPool") || op_is(r.node, "AveragePool"); }

static KernelAnswer supports(const KernelRequest& r) {
  PoolDesc d;
  d.max = op_is(r.node, "MaxPool");
  d.type = type_of(r, 0);
  if (!pool_holds(d)) return no(cat("no kernel for ", name(d.type)));
  if (r.node.outputs.size() > 1) return no("indices are asked for");
  if (r.node.attrs.ints("kernel_shape").size() > 2) return no("more than two spatial dimensions");
  return yes();
}

static Result<KernelImage> compile(const KernelRequest& r, Isa) {
  KernelImage image{"cpu", "pool", "", {}, {}};
  image.strides_output = r.node.attrs.i("channels_last") != 0;
  return image;
}

static Result<std::unique_ptr<Kernel>> load(const KernelSource& s, Isa) {
  return make_kernel([&node = s.node](Descs in, Descs out, int threads) -> LaunchResult {
    const Ints& kernel = node.attrs.ints("kernel_shape");
    const bool last = node.attrs.i("channels_last") != 0;
    const Shape x = channels_first(in[0].shape, last);
    const auto windows = resolve_windows(TRY(window_spec(node.attrs, to_sym(kernel))), std::span(x).subspan(2));
    const Window one, &h = windows.size() == 2 ? windows[0] : one, &w = windows.back();
    PoolDesc d;
    d.max = op_is(node, "MaxPool");
    d.count_include_pad = node.attrs.i("count_include_pad") != 0;
    d.channels_last = last;
    d.ld_out = out[0].pitch;
    d.type = in[0].dtype;
    d.batch = x[0];
    d.channels = x[1];
    if (windows.size() == 2) d.h = h.in, d.out_h = h.out;
    d.w = w.in;
    d.out_w = w.out;
    d.kernel_h = h.kernel, d.kernel_w = w.kernel;
    d.stride_h = h.stride, d.stride_w = w.stride;
    d.dilation_h = h.dilation, d.dilation_w = w.dilation;
    d.pad_top = h.pad_begin, d.pad_left = w.pad_begin;
    d.pad_bottom = h.pad_end, d.pad_right = w.pad_end;
    return make_launch(int64_t(pool_scratch_bytes(d, threads)), [d](const LaunchArgs& a, ThreadPool& pool) {
      pool_2d(pool, d, a.inputs[0], a.outputs[0], a.scratch);
      return Status();
    });
  });
}

extern const Family kPool{"pool", concerns, supports, compile, load};

}  // namespace tenon::cpu
