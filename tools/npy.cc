#include "npy.h"

#include <cstring>

#include "base/mapped_file.h"

namespace tenon::cli {

namespace {

struct NumpyType {
  DType dtype;
  const char* descr;
};
constexpr NumpyType kTypes[] = {
    {DType::f32, "<f4"}, {DType::f64, "<f8"}, {DType::f16, "<f2"}, {DType::boolean, "|b1"}, {DType::i8, "|i1"},
    {DType::u8, "|u1"},  {DType::i16, "<i2"}, {DType::u16, "<u2"}, {DType::i32, "<i4"},     {DType::u32, "<u4"},
    {DType::i64, "<i8"}, {DType::u64, "<u8"}, {DType::c64, "<c8"}, {DType::c128, "<c16"},
};

const char* descr_of(DType t) {
  for (const NumpyType& n : kTypes)
    if (n.dtype == t) return n.descr;
  return nullptr;
}

DType dtype_of(std::string_view descr) {
  for (const NumpyType& n : kTypes)
    if (descr == n.descr || (descr.size() == 3 && descr[0] == '<' && n.descr[0] == '|' && descr.substr(1) == n.descr + 1)) return n.dtype;
  return DType::none;
}

// The text after 'key': in the header's dictionary; "" when there is none.
std::string_view header_value(std::string_view header, std::string_view key) {
  const size_t at = header.find(cat("'", key, "'"));
  if (at == header.npos) return {};
  const size_t colon = header.find(':', at + key.size() + 2);
  return colon == header.npos ? std::string_view() : trim(header.substr(colon + 1));
}

bool parse_shape(std::string_view text, Shape& shape) {
  const size_t end = text.find(')');
  if (text.empty() || text[0] != '(' || end == text.npos) return false;
  const std::string_view inside = trim(text.substr(1, end - 1));
  if (inside.empty()) return true;
  for (const std::string& part : split(inside, ',')) {
    const std::string_view number = trim(part);
    if (number.empty()) continue;  // the comma behind a single dimension
    int64_t n;
    if (!parse_int(number, n) || n < 0) return false;
    shape.push_back(n);
  }
  return shape.size() <= 64;
}

template <class T>
T read_le(std::span<const uint8_t> bytes, size_t at) {
  T v;
  std::memcpy(&v, bytes.data() + at, sizeof v);
  return v;
}

Status not_npy(const char* why) { return invalid_argument("this is not a .npy file: ", why); }

}  // namespace

bool npy_holds(DType t) { return descr_of(t) != nullptr; }

Result<Tensor> parse_npy(std::span<const uint8_t> bytes) {
  if (bytes.size() < 12 || std::memcmp(bytes.data(), "\x93NUMPY", 6) != 0) return not_npy("it does not begin like one");
  const uint8_t version = bytes[6];
  if (version < 1 || version > 3) return not_npy("its version is unknown");
  const size_t start = version == 1 ? 10 : 12;
  const size_t length = version == 1 ? read_le<uint16_t>(bytes, 8) : read_le<uint32_t>(bytes, 8);
  if (length > bytes.size() - start) return not_npy("it ends inside its header");
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + start, length);

  const std::string_view quoted = header_value(header, "descr");
  const size_t close = quoted.empty() ? quoted.npos : quoted.find('\'', 1);
  if (quoted.empty() || quoted[0] != '\'' || close == quoted.npos)
    return invalid_argument("it holds records, which are no tensor");
  const std::string_view descr = quoted.substr(1, close - 1);
  const DType dtype = dtype_of(descr);
  if (dtype == DType::none) {
    if (!descr.empty() && descr[0] == '>')
      return Status(Code::invalid_argument, "its bytes are in big-endian order", "np.save(FILE, array.astype(array.dtype.newbyteorder('<')))");
    return invalid_argument("elements of numpy type '", escape(descr), "' are no tensor's");
  }
  Shape shape;
  if (!parse_shape(header_value(header, "shape"), shape)) return not_npy("its shape cannot be read");
  if (starts_with(header_value(header, "fortran_order"), "True") && shape.size() > 1)
    return Status(Code::invalid_argument, "its elements are in Fortran order", "np.save(FILE, np.ascontiguousarray(array))");

  const int64_t n = num_elements(shape);
  const size_t begin = start + length;
  if (n < 0 || n > int64_t(1) << 50 || uint64_t(byte_size(dtype, n)) != bytes.size() - begin)
    return not_npy("its size does not fit its shape");
  Tensor t = TRY(Tensor::allocate(dtype, shape));
  if (n) std::memcpy(t.data(), bytes.data() + begin, bytes.size() - begin);
  return t;
}

Result<Tensor> read_npy(const std::string& path) {
  auto file = TRY(MappedFile::open(path));
  auto t = parse_npy(file->bytes());
  if (!t.ok()) return t.status().with_prefix(cat("'", escape(path), "': "));
  return t;
}

static Result<Tensor> widened(const Tensor& t) {
  if (npy_holds(t.dtype())) return t;
  const DType to = is_float(t.dtype()) ? DType::f32 : is_signed_int(t.dtype()) ? DType::i8 : is_unsigned_int(t.dtype()) ? DType::u8 : DType::none;
  if (to == DType::none) return make_status(Code::unsupported, "a .npy file cannot hold ", name(t.dtype()));
  Tensor out = TRY(Tensor::allocate(to, t.shape()));
  for (int64_t i = 0; i < t.size(); ++i) is_float(to) ? out.set(i, t.at(i)) : out.set_int(i, t.int_at(i));
  return out;
}

Result<std::vector<uint8_t>> format_npy(const Tensor& given) {
  const Tensor t = TRY(widened(given));
  std::string shape = "(";
  for (int64_t d : t.shape()) shape += cat(d, t.rank() == 1 ? "," : ", ");
  if (t.rank() > 1) shape.resize(shape.size() - 2);
  std::string header = cat("{'descr': '", descr_of(t.dtype()), "', 'fortran_order': False, 'shape': ", shape, "), }");
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10, ' ');
  header.back() = '\n';
  std::vector<uint8_t> out{0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, uint8_t(header.size() & 255), uint8_t(header.size() >> 8)};
  out.insert(out.end(), header.begin(), header.end());
  const auto* data = static_cast<const uint8_t*>(t.data());
  out.insert(out.end(), data, data + t.bytes());
  return out;
}

// The central directory stands at a zip file's end; each entry names its data's place.
// Source: PKWARE, APPNOTE.TXT, 4.3.
static Result<std::map<std::string, Tensor>> parse_npz(std::span<const uint8_t> b) {
  constexpr uint32_t kEnd = 0x06054b50, kEntry = 0x02014b50, kLocal = 0x04034b50;
  const Status broken = make_status(Code::invalid_argument, "this is not a .npz file, or it is damaged");
  if (b.size() < 22) return broken;
  size_t end = b.size() - 22;
  const size_t last = b.size() > 65557 ? b.size() - 65557 : 0;
  while (read_le<uint32_t>(b, end) != kEnd) {
    if (end == last) return broken;
    --end;
  }
  const uint16_t entries = read_le<uint16_t>(b, end + 10);
  uint64_t at = read_le<uint32_t>(b, end + 16);
  if (at == 0xffffffff) return invalid_argument("the .npz file is over 4 GiB, which is not read");
  std::map<std::string, Tensor> out;
  for (uint16_t k = 0; k < entries; ++k) {
    if (at + 46 > b.size() || read_le<uint32_t>(b, at) != kEntry) return broken;
    const uint16_t method = read_le<uint16_t>(b, at + 10), name_size = read_le<uint16_t>(b, at + 28);
    const uint64_t skip = read_le<uint16_t>(b, at + 30) + uint64_t(read_le<uint16_t>(b, at + 32));
    const uint64_t size = read_le<uint32_t>(b, at + 24), local = read_le<uint32_t>(b, at + 42);
    if (at + 46 + name_size > b.size()) return broken;
    std::string name(reinterpret_cast<const char*>(b.data()) + at + 46, name_size);
    at += 46 + name_size + skip;
    if (method != 0)
      return Status(Code::invalid_argument, "the .npz file is compressed, which is not read", "write it with np.savez instead of np.savez_compressed");
    if (local + 30 > b.size() || read_le<uint32_t>(b, local) != kLocal) return broken;
    const uint64_t data = local + 30 + read_le<uint16_t>(b, local + 26) + uint64_t(read_le<uint16_t>(b, local + 28));
    if (data > b.size() || size > b.size() - data) return broken;
    if (name.size() > 4 && name.substr(name.size() - 4) == ".npy") name.resize(name.size() - 4);
    auto t = parse_npy(b.subspan(data, size));
    if (!t.ok()) return t.status().with_prefix(cat("array '", escape(name), "': "));
    out[name] = std::move(t).value();
  }
  return out;
}

Result<std::map<std::string, Tensor>> read_npz(const std::string& path) {
  auto file = TRY(MappedFile::open(path));
  auto arrays = parse_npz(file->bytes());
  if (!arrays.ok()) return arrays.status().with_prefix(cat("'", escape(path), "': "));
  return arrays;
}

}  // namespace tenon::cli
