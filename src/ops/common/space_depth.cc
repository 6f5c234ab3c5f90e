#include "ops/common/space_depth.h"

#include "ops/common/movement.h"

namespace tenon {

static Result<int64_t> block_size(const InferArgs& a) {
  const std::string& mode = a.attrs.s("mode");
  if (mode != "DCR" && mode != "CRD") return invalid_model("mode '", mode, "' is neither DCR nor CRD");
  const int64_t block = a.attrs.i("blocksize");
  if (block < 1 || block > 1 << 20) return invalid_model("blocksize is ", block);
  if (a.ranked(0) && a.rank(0) != 4)
    return invalid_model("input has rank ", a.rank(0), ", it must be [N, C, H, W]");
  return block;
}

static Result<Dim> divided(const Dim& d, int64_t by, const char* what) {
  if (d.is_const() && d.constant() % by)
    return invalid_model(what, " ", d.constant(), " does not divide by ", by);
  return floor_div(d, Dim(by));
}

Status infer_depth_to_space(InferArgs& a) {
  const int64_t block = TRY(block_size(a));
  if (!a.ranked(0)) return a.set_fresh(0, a.dtype(0), 4, "space"), Status();
  const SymShape& x = a.shape(0);
  a.set(0, a.dtype(0),
        {x[0], TRY(divided(x[1], block * block, "depth")), x[2] * Dim(block), x[3] * Dim(block)});
  return {};
}

Status infer_space_to_depth(InferArgs& a) {
  const int64_t block = TRY(block_size(a));
  if (!a.ranked(0)) return a.set_fresh(0, a.dtype(0), 4, "depth"), Status();
  const SymShape& x = a.shape(0);
  a.set(0, a.dtype(0),
        {x[0], x[1] * Dim(block * block), TRY(divided(x[2], block, "height")),
         TRY(divided(x[3], block, "width"))});
  return {};
}

// The deep tensor is [N, B, B, C, H, W] (DCR) or [N, C, B, B, H, W] (CRD), the wide one [N, C, H, B, W, B].
Status reference_depth_to_space(RefArgs& a) {
  if (a.y(0).size() == 0) return {};
  const Tensor& x = a.x(0);
  const int64_t b = a.attrs.i("blocksize"), n = x.dim(0), c = x.dim(1) / (b * b), h = x.dim(2), w = x.dim(3);
  const bool dcr = a.attrs.s("mode") == "DCR";
  const int64_t channel = dcr ? h * w : b * b * h * w, column = dcr ? c * h * w : h * w;
  Tensor wide = a.y(0).reshaped({n, c, h, b, w, b});
  copy_view(x, 0, {b * b * c * h * w, channel, w, b * column, 1, column}, wide);
  return {};
}

Status reference_space_to_depth(RefArgs& a) {
  if (a.y(0).size() == 0) return {};
  const Tensor& x = a.x(0);
  const int64_t b = a.attrs.i("blocksize"), n = x.dim(0), c = x.dim(1), h = x.dim(2) / b, w = x.dim(3) / b;
  const int64_t row = w * b, plane = h * b * row;
  if (a.attrs.s("mode") == "DCR") {
    Tensor deep = a.y(0).reshaped({n, b, b, c, h, w});
    copy_view(x, 0, {c * plane, row, 1, plane, b * row, b}, deep);
  } else {
    Tensor deep = a.y(0).reshaped({n, c, b, b, h, w});
    copy_view(x, 0, {c * plane, plane, row, 1, b * row, b}, deep);
  }
  return {};
}

}  // namespace tenon
