// RoiAlign: a thread has one cell of one region and channel. Places are computed in double, as in the
// reference.
#include "backend/cuda/build/families/common.h"

namespace tenon::cuda {

static bool concerns(const KernelRequest& r) {
  return op_is(r.node, "RoiAlign");
}

// A batch index or region out of proportion, which the reference refuses, gives zeros.
static const char kBody[] = R"(const unsigned i = blockIdx.x * 256u + threadIdx.x;
if (i >= $TOTAL) return;
$SPLIT
const long long n = $BATCHES[$ROI];
const double left = double($BOXX) * $SCALE - $SHIFT, top = double($BOXY) * $SCALE - $SHIFT;
double w = double($BOXZ) * $SCALE - $SHIFT - left, h = double($BOXW) * $SCALE - $SHIFT - top;
$WHOLE
const double cell_h = h / $ROWS, cell_w = w / $COLUMNS;
const bool sound = n >= 0 && n < $N && $H > 0 && $W > 0 && fabs(left) < 1e6 && fabs(top) < 1e6 && fabs(w) < 2e6 && fabs(h) < 2e6;
int grid_h = $GRIDH, grid_w = $GRIDW;
if (!sound || (long long)grid_h * grid_w > 1 << 20) grid_h = 0;
const $T* x = $X + (sound ? (unsigned(n) * $CHANNELS + $CHANNEL) * $PLANE : 0u);
$A total = 0;
for (int p = 0; p < grid_h; ++p)
  for (int q = 0; q < grid_w; ++q) {
    double at_y = top + double($ROW) * cell_h + (p + 0.5) * cell_h / grid_h;
    double at_x = left + double($COLUMN) * cell_w + (q + 0.5) * cell_w / grid_w;
    $A weight[4] = {0, 0, 0, 0};
    int place[4] = {0, 0, 0, 0};
    if (at_y >= -1 && at_y <= $H && at_x >= -1 && at_x <= $W) {
      at_y = at_y < 0 ? 0 : at_y > $H - 1 ? $H - 1 : at_y;
      at_x = at_x < 0 ? 0 : at_x > $W - 1 ? $W - 1 : at_x;
      const int y0 = int(at_y), x0 = int(at_x), y1 = y0 + 1 < $H ? y0 + 1 : $H - 1, x1 = x0 + 1 < $W ? x0 + 1 : $W - 1;
      const double fy = at_y - y0, fx = at_x - x0;
      place[0] = y0 * $W + x0, place[1] = y0 * $W + x1, place[2] = y1 * $W + x0, place[3] = y1 * $W + x1;
      weight[0] = $A((1 - fy) * (1 - fx)), weight[1] = $A((1 - fy) * fx), weight[2] = $A(fy * (1 - fx)), weight[3] = $A(fy * fx);
    }
    UNROLL
    for (int k = 0; k < 4; ++k) {
      const $A v = weight[k] * $VALUE;
      $STEP
    }
  }
$Y[i] = narrow<$T>(total$MEAN);
)";

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  const DType t = type_of(r, 0), tb = type_of(r, 1);
  if (!kFloats.contains(t) || !kFloats.contains(tb)) return unsupported("no kernel for ", name(t));
  const OperandDims dims = TRY(OperandDims::of(r));
  const SymShape &x = dims.in(0), &y = dims.out(0);
  Program program;
  TRY(index_with_32_bits(program.recipe, dims, r));
  const Attrs& attrs = r.node.attrs;
  const bool half = attrs.s("coordinate_transformation_mode") == "half_pixel",
             mean = attrs.s("mode") == "avg";
  const int64_t ratio = attrs.i("sampling_ratio");
  KernelWriter k("roi_align", 256);
  Holes h{{"T", device_type(t)}, {"A", t == DType::f64 ? "double" : "float"}};
  h["X"] = k.input(0, cat("const ", h["T"], "*"));
  const std::string boxes = k.input(1, cat("const ", device_type(tb), "*"));
  h["BATCHES"] = k.input(2, "const long long*");
  h["Y"] = k.output(0, h["T"] + "*");
  h["TOTAL"] = unsigned_size(k, product(y));
  h["SPLIT"] = "";
  const auto at = unravel(k, y, "i", "c", h["SPLIT"]);
  h["ROI"] = at[0], h["CHANNEL"] = at[1], h["ROW"] = at[2], h["COLUMN"] = at[3];
  const char* names[] = {"BOXX", "BOXY", "BOXZ", "BOXW"};
  for (int i = 0; i < 4; ++i)
    h[names[i]] =
        loaded(tb, tb == DType::f64 ? "double" : "float", cat(boxes, "[", at[0], " * 4u + ", i, "u]"));
  h["SCALE"] = double_literal(double(attrs.f("spatial_scale"))), h["SHIFT"] = half ? "0.5" : "0.0";
  h["WHOLE"] =
      half ? "" : "if (!(w >= 1)) w = 1;\nif (!(h >= 1)) h = 1;";  // malformed regions become one pixel
  h["ROWS"] = k.size(y[2]), h["COLUMNS"] = k.size(y[3]);
  h["N"] = k.size(x[0]), h["CHANNELS"] = unsigned_size(k, x[1]), h["PLANE"] = unsigned_size(k, x[2] * x[3]);
  h["H"] = k.size(x[2]), h["W"] = k.size(x[3]);
  h["GRIDH"] = ratio ? cat(ratio) : "sound ? int(ceil(cell_h)) : 0",
  h["GRIDW"] = ratio ? cat(ratio) : "sound ? int(ceil(cell_w)) : 0";
  h["VALUE"] = loaded(t, h["A"], "x[place[k]]");
  h["STEP"] = mean ? "total += v;" : "total = (p == 0 && q == 0 && k == 0) || v > total ? v : total;";
  h["MEAN"] = mean ? fill(" / $A(grid_h > 0 && grid_w > 0 ? grid_h * grid_w : 1)", h) : "";
  k.body = fill(kBody, h);
  program.variant = "roi_align";
  program.source = k.text();
  program.recipe.launches = {k.launch({blocks_for(product(y))}, {256})};
  return program;
}

extern const Family kRoiAlign{"roi_align", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
