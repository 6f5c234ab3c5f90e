#include "backend/cuda/tensor_map.h"

#include <algorithm>
#include <cstring>

namespace tenon::cuda {

namespace {

struct TypeNumber {
  const char* name;
  int number, bytes;
};
constexpr TypeNumber kTypes[] = {{"u8", 0, 1},  {"i8", 0, 1},  {"u16", 1, 2}, {"u32", 2, 4}, {"i32", 3, 4},  {"u64", 4, 8},
                                 {"i64", 5, 8}, {"f16", 6, 2}, {"f32", 7, 4}, {"f64", 8, 8}, {"bf16", 9, 2}, {"tf32", 11, 4}};

const TypeNumber* find_type(const std::string& name) {
  for (const TypeNumber& t : kTypes)
    if (name == t.name) return &t;
  return nullptr;
}

// The place of `value` in a list of byte counts, which is the driver's number for it.
int place_of(int value, std::initializer_list<int> list) {
  auto it = std::find(list.begin(), list.end(), value);
  return it == list.end() ? -1 : int(it - list.begin());
}

}  // namespace

Result<BoundMap> bind_map(const TensorMap& map, const std::function<Result<int64_t>(const Dim&)>& eval) {
  BoundMap b;
  b.map = map;
  const TypeNumber* type = find_type(map.type);
  b.swizzle = place_of(map.swizzle, {0, 32, 64, 128});
  b.l2 = place_of(map.l2_promotion, {0, 64, 128, 256});
  if (!type || b.swizzle < 0 || b.l2 < 0) return Status(Code::data_loss, "a tensor map is of no known type, swizzle or promotion", "build the engine again");
  b.type = type->number;
  for (const Dim& d : map.dims) {
    b.dims.push_back(uint64_t(TRY(eval(d))));
    if (b.dims.back() == 0 || b.dims.back() > uint64_t(1) << 32) return invalid_argument("a tensor map has a dimension of ", b.dims.back());
  }
  for (const Dim& s : map.strides) b.strides.push_back(uint64_t(TRY(eval(s))));
  return b;
}

int encode_map(const Driver& driver, const BoundMap& b, DevicePtr address, EncodedMap* out) {
  const TensorMap& m = b.map;
  const auto rank = unsigned(b.dims.size());
  auto* at = reinterpret_cast<void*>(address);
  const std::vector<unsigned> steps(m.element_strides.begin(), m.element_strides.end());
  std::memset(static_cast<void*>(out), 0, sizeof *out);
  if (m.lower.empty()) {
    const std::vector<unsigned> box(m.box.begin(), m.box.end());
    return driver.encode_tiled(out, b.type, rank, at, b.dims.data(), b.strides.data(), box.data(), steps.data(), 0, b.swizzle, b.l2, 0);
  }
  const int error = driver.encode_im2col(out, b.type, rank, at, b.dims.data(), b.strides.data(), m.lower.data(), m.upper.data(),
                                         unsigned(m.channels), unsigned(m.pixels), steps.data(), 0, b.swizzle, b.l2, 0);
  // Drivers up to 13.1 set a bit in maps of small tensors that makes copies by them fail.
  const uint64_t bytes = b.dims.back() * (b.strides.empty() ? uint64_t(find_type(m.type)->bytes) : b.strides.back());
  if (!error && driver.cuda_version <= 13010 && bytes < 131072) out->words[1] &= ~(uint64_t(1) << 21);
  return error;
}

}  // namespace tenon::cuda
