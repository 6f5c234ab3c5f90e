// Tensor: sizes that overflow, sharing, packed types.
#include "base/tensor.h"

#include <gtest/gtest.h>

#include <limits>

namespace tenon {
namespace {

const int64_t kMax = std::numeric_limits<int64_t>::max();

TEST(Tensor, NumElements) {
  EXPECT_EQ(num_elements(Shape{}), 1);
  EXPECT_EQ(num_elements(Shape{2, 3}), 6);
  EXPECT_EQ(num_elements(Shape{0, kMax}), 0);
  EXPECT_LT(num_elements(Shape{2, kMax}), 0);
  EXPECT_LT(num_elements(Shape{-1}), 0);
  EXPECT_LT(num_elements(Shape{0, -1}), 0);
}

TEST(Tensor, Strides) {
  EXPECT_EQ(row_major_strides(Shape{2, 3, 4}), (Shape{12, 4, 1}));
  EXPECT_EQ(row_major_strides(Shape{}), Shape{});
  row_major_strides(Shape{kMax, kMax, kMax});  // meaningless, but defined
  EXPECT_EQ(row_major_strides(Shape{0, int64_t(1) << 40, int64_t(1) << 40})[2], 1);
}

TEST(Tensor, AllocateRefusesWhatCannotBe) {
  EXPECT_EQ(Tensor::allocate(DType::f32, {-1}).status().code(), Code::invalid_argument);
  EXPECT_EQ(Tensor::allocate(DType::f32, {kMax, 2}).status().code(), Code::invalid_argument);
  EXPECT_EQ(Tensor::allocate(DType::u8, {kMax}).status().code(), Code::invalid_argument);
  auto zero = Tensor::allocate(DType::f32, {0, 5});
  ASSERT_TRUE(zero.ok());
  EXPECT_EQ(zero.value().bytes(), 0);
  EXPECT_TRUE(bool(zero.value()));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(Tensor::make(DType::f32, {3}).data()) % 64, 0u);
}

TEST(Tensor, MakersAndElements) {
  Tensor t = Tensor::of_ints({1, -2, 300}, DType::i32);
  EXPECT_EQ(t.to_ints(), (std::vector<int64_t>{1, -2, 300}));
  EXPECT_EQ(t.at(1), -2);
  EXPECT_EQ(Tensor::scalar_float(2.5).rank(), 0);
  EXPECT_EQ(Tensor::scalar_float(2.5, DType::f16).at(0), 2.5);
  Tensor packed = Tensor::of_ints({1, 2, -3}, DType::i4);
  EXPECT_EQ(packed.bytes(), 2);
  EXPECT_EQ(packed.to_ints(), (std::vector<int64_t>{1, 2, -3}));
  const std::vector<double> values = {0.5, -1, 7.5, 2, 0.125};
  EXPECT_EQ(Tensor::of_floats(values, DType::f6e2m3).to_doubles(), values);
}

TEST(Tensor, ReshapedSharesAndIdenticalCompares) {
  Tensor t = Tensor::of_ints({1, 2, 3, 4, 5, 6});
  Tensor r = t.reshaped({2, 3});
  EXPECT_EQ(r.data(), t.data());
  EXPECT_FALSE(r.identical(t));
  EXPECT_TRUE(r.reshaped({6}).identical(Tensor::of_ints({1, 2, 3, 4, 5, 6})));
  EXPECT_FALSE(t.identical(Tensor()));
  EXPECT_TRUE(Tensor().identical(Tensor()));
}

TEST(Tensor, BorrowKeepsTheOwner) {
  auto owner = std::make_shared<std::vector<int32_t>>(std::vector<int32_t>{7, 8, 9});
  Tensor t(DType::i32, {2}, Buffer::borrow(owner->data(), 12, owner), 4);
  std::weak_ptr<std::vector<int32_t>> alive = owner;
  owner.reset();
  EXPECT_FALSE(alive.expired());
  EXPECT_EQ(t.to_ints(), (std::vector<int64_t>{8, 9}));
  t = Tensor();
  EXPECT_TRUE(alive.expired());
}

}  // namespace
}  // namespace tenon
