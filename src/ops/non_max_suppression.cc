// NonMaxSuppression: for each batch and class the boxes of highest score, leaving out those that overlap a
// chosen one by more than iou_threshold (intersection over union).
#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/common/movement.h"

namespace tenon::ops {

static Status infer(InferArgs& a) {
  const int64_t center = a.attrs.i("center_point_box");
  if (center != 0 && center != 1) return invalid_model("center_point_box is ", center);
  for (size_t i = 2; i < 5; ++i)
    if (a.has_constant(i) && a.in[i].constant.size() != 1)
      return invalid_model("input '", a.op.inputs[i].name, "' is not a scalar");
  a.set(0, DType::i64, {a.fresh("selected"), Dim(3)});
  if (!a.ranked(0) || !a.ranked(1)) return {};
  const SymShape &boxes = a.shape(0), &scores = a.shape(1);
  auto differ = [](const Dim& p, const Dim& q) { return p.is_const() && q.is_const() && !(p == q); };
  if (boxes.size() != 3 || scores.size() != 3 || differ(boxes[2], Dim(4)) || differ(boxes[0], scores[0]) ||
      differ(boxes[1], scores[2]))
    return invalid_model("boxes ", to_string(boxes), " and scores ", to_string(scores),
                         " must be [batch, n, 4] and [batch, classes, n]");
  return {};
}

struct Box {
  double y0, x0, y1, x1;
  double area() const { return (y1 - y0) * (x1 - x0); }
};

static Box box_at(const double* p, bool center) {
  if (center)
    return {p[1] - p[3] / 2, p[0] - p[2] / 2, p[1] + p[3] / 2, p[0] + p[2] / 2};  // x, y, width, height
  return {std::min(p[0], p[2]), std::min(p[1], p[3]), std::max(p[0], p[2]), std::max(p[1], p[3])};
}

static double overlap(const Box& a, const Box& b) {
  const double height = std::min(a.y1, b.y1) - std::max(a.y0, b.y0),
               width = std::min(a.x1, b.x1) - std::max(a.x0, b.x0);
  if (!(height > 0) || !(width > 0)) return 0;
  const double common = height * width, all = a.area() + b.area() - common;
  return all > 0 ? common / all : 0;
}

// The chosen boxes by the stripes of the x axis that they touch. Boxes that overlap share a stripe, so a box is compared
// with those of its own stripes only; tens of thousands of boxes spread over classes would take minutes otherwise.
class Stripes {
 public:
  explicit Stripes(std::span<const Box> boxes) {
    double width = 0, last = 0;
    size_t n = 0;
    for (const Box& b : boxes) {
      if (!(b.x1 - b.x0 >= 0) || !std::isfinite(b.x0) || !std::isfinite(b.x1)) continue;
      first_ = n ? std::min(first_, b.x0) : b.x0;
      last = n ? std::max(last, b.x1) : b.x1;
      width += b.x1 - b.x0;
      ++n;
    }
    constexpr double kMost = 4096;
    if (n && width > 0 && last > first_) count_ = int64_t(std::clamp((last - first_) / (width / double(n)), 1.0, kMost));
    step_ = last > first_ ? (last - first_) / double(count_) : 1;
    stripes_.resize(size_t(count_));
  }
  void add(const Box& b, int64_t i) {
    for (int64_t s = stripe(b.x0); s <= stripe(b.x1); ++s) stripes_[size_t(s)].push_back(i);
  }
  template <class F>
  bool any(const Box& b, F&& f) const {
    for (int64_t s = stripe(b.x0); s <= stripe(b.x1); ++s)
      if (std::any_of(stripes_[size_t(s)].begin(), stripes_[size_t(s)].end(), f)) return true;
    return false;
  }

 private:
  int64_t stripe(double x) const {
    const double s = (x - first_) / step_;
    return s > 0 ? int64_t(std::min(s, double(count_ - 1))) : 0;  // NaN too: such a box overlaps nothing
  }
  double first_ = 0, step_ = 1;
  int64_t count_ = 1;
  std::vector<Ints> stripes_;
};

static Status reference(RefArgs& a) {
  const int64_t batch = a.x(0).dim(0), n = a.x(0).dim(1), classes = a.x(1).dim(1);
  const int64_t most = a.has(2) ? std::max<int64_t>(0, a.x(2).int_at(0)) : 0;
  const double iou = a.has(3) ? a.x(3).at(0) : 0;
  if (!(iou >= 0 && iou <= 1)) return invalid_argument("iou_threshold ", iou, " is not within [0, 1]");
  const std::vector<double> corners = a.x(0).to_doubles(), scores = a.x(1).to_doubles();
  const bool center = a.attrs.i("center_point_box") != 0;
  std::vector<Box> boxes;
  for (int64_t i = 0; i < batch * n; ++i) boxes.push_back(box_at(&corners[size_t(4 * i)], center));
  Ints out;  // [selected, 3]
  for (int64_t b = 0; b < batch && !scores.empty(); ++b)
    for (int64_t c = 0; c < classes; ++c) {
      const double* score = scores.data() + (b * classes + c) * n;
      Ints order;
      for (int64_t i = 0; i < n; ++i)
        if (a.has(4) ? score[i] > a.x(4).at(0) : score[i] == score[i]) order.push_back(i);
      std::stable_sort(order.begin(), order.end(), [&](int64_t p, int64_t q) { return score[p] > score[q]; });
      Stripes chosen(std::span<const Box>(boxes).subspan(size_t(b * n), size_t(n)));
      int64_t taken = 0;
      for (int64_t i : order) {
        if (taken >= most) break;
        const Box& box = boxes[size_t(b * n + i)];
        if (chosen.any(box, [&](int64_t k) { return overlap(boxes[size_t(b * n + k)], box) > iou; })) continue;
        chosen.add(box, i);
        ++taken;
        out.insert(out.end(), {b, c, i});
      }
    }
  Tensor& y = *TRY(a.allocate(0, DType::i64, {int64_t(out.size() / 3), 3}));
  store_ints(DType::i64, y.data(), 0, y.size(), out.data());
  return {};
}

extern const Op op_non_max_suppression{
    .name = "NonMaxSuppression",
    .version = 11,
    .compatible_from = 10,
    .inputs = {{"boxes", DType::f32, 0},
               {"scores", DType::f32, 0},
               {"max_output_boxes_per_class", DType::i64, 0, Param::optional},
               {"iou_threshold", DType::f32, 0, Param::optional},
               {"score_threshold", DType::f32, 0, Param::optional}},
    .outputs = {{"selected_indices"}},
    .attrs = {{"center_point_box", int64_t(0)}},
    .infer = infer,
    .reference = reference,
    .samples = {{{{{1, 6, 4}, DType::f32, 0, 1},
                  {{1, 2, 6}, DType::f32, 0, 1},
                  {{1}, DType::i64, 0, 0, {3}},
                  {{1}, DType::f32, 0, 0, {0.5}}}},
                {{{{1, 0, 4}}, {{1, 1, 0}}, {{1}, DType::i64, 0, 0, {3}}}}},
};

}  // namespace tenon::ops
