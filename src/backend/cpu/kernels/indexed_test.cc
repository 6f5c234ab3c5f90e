#include "backend/cpu/kernels/indexed.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "ops/op.h"

namespace tenon::cpu {
namespace {

const DType kTypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i8,
                        DType::u8,  DType::i16, DType::i32, DType::i64,  DType::u64};

Tensor random_tensor(std::mt19937& rng, DType t, Shape shape) {
  Tensor x = Tensor::make(t, std::move(shape));
  for (int64_t i = 0; i < x.size(); ++i) {
    const int64_t v = int64_t(rng() % 41) - 20;
    if (is_float(t))
      x.set(i, rng() % 13 == 0 ? NAN : double(v) / 4);
    else
      x.set_int(i, v);
  }
  return x;
}
Tensor random_indices(std::mt19937& rng, Shape shape, const std::vector<int64_t>& sizes,
                      DType t = DType::i64) {
  Tensor x = Tensor::make(t, std::move(shape));
  for (int64_t i = 0; i < x.size(); ++i) {
    const int64_t n = sizes[size_t(i) % sizes.size()];
    x.set_int(i, int64_t(rng() % uint64_t(2 * n)) - n);
  }
  return x;
}
void expect_same(const Tensor& got, const Tensor& want) {
  for (int64_t i = 0; i < want.size(); ++i) {
    if (is_float(want.dtype()) && std::isnan(want.at(i)))
      ASSERT_TRUE(std::isnan(got.at(i))) << i;
    else if (is_float(want.dtype()))
      ASSERT_EQ(got.at(i), want.at(i)) << i;
    else
      ASSERT_EQ(got.int_at(i), want.int_at(i)) << i;
  }
}
Tensor reference(const char* op, Attrs attrs, const std::vector<Tensor>& in) {
  std::vector<Tensor> out;
  EXPECT_TRUE(normalize_attrs(*find_op("", op), attrs).ok());
  const Status s = run_reference(*find_op("", op), attrs, in, 1, out);
  EXPECT_TRUE(s.ok()) << s.message();
  return out[0];
}
const char* const kNames[] = {"none", "add", "mul", "max", "min"};

void check_tuples(DType t, const Shape& data, const Shape& leading, size_t k) {
  SCOPED_TRACE(testing::Message() << name(t) << " rank " << data.size() << " k " << k);
  std::mt19937 rng(9);
  const Tensor x = random_tensor(rng, t, data);
  Shape index_shape = leading, update_shape = leading;
  index_shape.push_back(int64_t(k));
  update_shape.insert(update_shape.end(), data.begin() + int64_t(k), data.end());
  const Tensor indices = random_indices(rng, index_shape, {data.begin(), data.begin() + int64_t(k)});
  const Tensor updates = random_tensor(rng, t, update_shape);
  const Shape strides = row_major_strides(data);
  TupleDesc d;
  d.type = t;
  d.sizes.assign(data.begin(), data.begin() + int64_t(k));
  d.strides.assign(strides.begin(), strides.begin() + int64_t(k));
  d.tuples = num_elements(leading);
  d.slice = num_elements(std::span(data).subspan(k));
  d.area = x.size();
  for (int threads : {1, 3}) {
    ThreadPool pool(threads);
    Tensor y = Tensor::make(t, update_shape);
    ASSERT_TRUE(gather_nd(pool, d, x.data(), indices.as<int64_t>(), y.data()).ok());
    expect_same(y, reference("GatherND", {}, {x, indices}));
    for (int c = 0; c < 5; ++c) {
      d.combine = Combine(c);
      Tensor z = Tensor::make(t, data);
      copy_bytes(pool, x.data(), z.data(), z.bytes());
      ASSERT_TRUE(scatter_nd(pool, d, indices.as<int64_t>(), updates.data(), z.data()).ok());
      expect_same(z, reference("ScatterND", {{"reduction", std::string(kNames[c])}}, {x, indices, updates}));
    }
    d.combine = Combine::none;
  }
}

TEST(Indexed, Tuples) {
  for (DType t : kTypes) {
    check_tuples(t, {5, 3, 7}, {4, 2}, 2);
    check_tuples(t, {5, 3}, {9}, 2);
  }
  check_tuples(DType::f32, {11, 40, 100}, {17}, 1);
  check_tuples(DType::f32, {2000}, {5000}, 1);
  check_tuples(DType::f32, {4, 3}, {0}, 1);
  check_tuples(DType::f32, {4, 0}, {3}, 1);
}

void check_elements(DType t, const Shape& data, const Shape& shape, int64_t axis) {
  SCOPED_TRACE(testing::Message() << name(t) << " rank " << data.size() << " axis " << axis);
  std::mt19937 rng(11);
  for (DType index : {DType::i32, DType::i64}) {
    const Tensor x = random_tensor(rng, t, data),
                 indices = random_indices(rng, shape, {data[size_t(axis)]}, index),
                 updates = random_tensor(rng, t, shape);
    ElementsDesc d{t, index, Combine::none, data, shape, axis};
    for (int threads : {1, 3}) {
      ThreadPool pool(threads);
      Tensor y = Tensor::make(t, shape);
      ASSERT_TRUE(gather_elements(pool, d, x.data(), indices.data(), y.data()).ok());
      expect_same(y, reference("GatherElements", {{"axis", axis}}, {x, indices}));
      for (int c = 0; c < 5; ++c) {
        d.combine = Combine(c);
        Tensor z = Tensor::make(t, data);
        copy_bytes(pool, x.data(), z.data(), z.bytes());
        ASSERT_TRUE(scatter_elements(pool, d, indices.data(), updates.data(), z.data()).ok());
        expect_same(z, reference("ScatterElements", {{"axis", axis}, {"reduction", std::string(kNames[c])}},
                                 {x, indices, updates}));
      }
      d.combine = Combine::none;
    }
  }
}

TEST(Indexed, Elements) {
  for (DType t : kTypes)
    for (int64_t axis : {0, 1, 2})
      check_elements(t, {4, 5, 6}, {axis == 0 ? 7 : 3, axis == 1 ? 9 : 5, axis == 2 ? 2 : 5}, axis);
  check_elements(DType::f32, {3, 4, 2, 5}, {2, 9, 2, 4}, 1);  // gaps behind the axis
  check_elements(DType::f32, {300, 200}, {300, 150}, 1);
  check_elements(DType::f32, {3, 3}, {0, 3}, 0);
  check_elements(DType::f32, {5}, {8}, 0);
}

TEST(Indexed, IndicesOutOfRangeAreRefused) {
  ThreadPool pool(1);
  const float x[4] = {}, u[1] = {};
  float y[4] = {};
  for (int64_t bad : {int64_t(-5), int64_t(4), INT64_MIN, INT64_MAX}) {
    const TupleDesc tuples{DType::f32, Combine::none, {4}, {1}, 1, 1, 1, 4};
    EXPECT_EQ(gather_nd(pool, tuples, x, &bad, y).code(), Code::invalid_argument);
    EXPECT_EQ(scatter_nd(pool, tuples, &bad, u, y).code(), Code::invalid_argument);
    const ElementsDesc elements{DType::f32, DType::i64, Combine::none, {4}, {1}, 0};
    EXPECT_EQ(gather_elements(pool, elements, x, &bad, y).code(), Code::invalid_argument);
    EXPECT_EQ(scatter_elements(pool, elements, &bad, u, y).code(), Code::invalid_argument);
  }
}

TEST(Indexed, NonZero) {
  std::mt19937 rng(13);
  for (DType t : {DType::f32, DType::f16, DType::f64, DType::i8, DType::i64, DType::boolean})
    for (const Shape& shape : {Shape{3, 5, 7}, Shape{40}, Shape{}, Shape{2, 0, 3}}) {
      Tensor x = Tensor::make(t, shape);
      for (int64_t i = 0; i < x.size(); ++i) {
        const uint32_t r = rng() % 4;
        if (is_float(t))
          x.set(i, r == 0 ? 0.0 : r == 1 ? -0.0 : r == 2 ? NAN : -0.5);
        else
          x.set_int(i, r == 3);
      }
      const Tensor want = reference("NonZero", {}, {x});
      const int64_t count = count_nonzero(t, x.data(), x.size());
      ASSERT_EQ(count, want.dim(1));
      Tensor got = Tensor::make(DType::i64, {x.rank(), count});
      find_nonzero(t, shape, x.data(), count, got.as<int64_t>());
      expect_same(got, want);
    }
}

}  // namespace
}  // namespace tenon::cpu
