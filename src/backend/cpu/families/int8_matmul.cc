// Matrix products of 8-bit integers: MatMulInteger, QLinearMatMul, and Microsoft's MatMulIntegerToFloat and
// DynamicQuantizeMatMul. A constant right operand is packed at build time.
#include "backend/cpu/families.h"
#include "backend/cpu/kernels/int8.h"
#include "backend/cpu/kernels/parallel.h"
#include "backend/cpu/kernels/quantize.h"
#include "ops/common/pointwise.h"
#include "ops/common/quantize.h"

namespace tenon::cpu {

namespace {
// Which input is what; -1: the operator has no such thing.
struct Roles {
  const char *domain, *op;
  int a, b, a_zero, b_zero, a_scale = -1, b_scale = -1, y_scale = -1, y_zero = -1, bias = -1;
};
constexpr Roles kRoles[] = {
    {"", "MatMulInteger", 0, 1, 2, 3},
    {"", "QLinearMatMul", 0, 3, 2, 5, 1, 4, 6, 7},
    {"com.microsoft", "MatMulIntegerToFloat", 0, 1, 4, 5, 2, 3, -1, -1, 6},
    {"com.microsoft", "DynamicQuantizeMatMul", 0, 1, -1, 3, -1, 2, -1, -1, 4},
};

const Roles* roles_of(const Node& n) {
  for (const Roles& r : kRoles)
    if (n.op->domain == r.domain && n.op->name == r.op) return &r;
  return nullptr;
}
}  // namespace

static bool is_byte(DType t) {
  return t == DType::u8 || t == DType::i8;
}
static bool quantizes(const Roles& r) {
  return r.a_zero < 0;
}

static KernelAnswer supports(const KernelRequest& r) {
  const Roles& roles = *roles_of(r.node);
  const DType a = type_of(r, size_t(roles.a)), b = type_of(r, size_t(roles.b));
  if (!is_byte(b) || (quantizes(roles) ? a != DType::f32 : !is_byte(a)))
    return no(cat("no kernel for ", name(a), " times ", name(b)));
  for (int i : {roles.a_scale, roles.b_scale, roles.y_scale, roles.bias})
    if (i >= 0 && present(r, size_t(i)) && type_of(r, size_t(i)) != DType::f32)
      return no(cat("no kernel for scales of ", name(type_of(r, size_t(i)))));
  const DType y = r.graph.info(r.node.outputs[0]).dtype;
  if (roles.y_zero >= 0 && !is_byte(y)) return no(cat("no kernel for results of ", name(y)));
  return yes();
}

static Result<KernelImage> compile(const KernelRequest& r, Isa isa) {
  const Roles& roles = *roles_of(r.node);
  const ValueId v = r.node.inputs[size_t(roles.b)];
  KernelImage image{"cpu", cat("int8_matmul.dynamic.", isa_name(isa)), "", {}, {}};
  if (!r.graph.is_constant(v) || r.graph.constant(v).rank() != 2) return image;
  const Tensor& b = r.graph.constant(v);
  Tensor packed = TRY(Tensor::allocate(DType::u8, {int8_packed_bytes(b.dim(0), b.dim(1))}));
  int8_pack(b.dim(0), b.dim(1), b.dtype() == DType::i8, b.data(), packed.data());
  image.kernel = cat("int8_matmul.packed.", isa_name(isa));
  image.data = {packed};
  image.absorbed_inputs = {roles.b};
  return image;
}

namespace {

// A zero point or scale: one number, one for each row (column) of every matrix, or of each matrix its own.
struct Param {
  int input = -1;  // absent: -1
  DType type = DType::none;
  int64_t count = 1;  // in one matrix
  bool own = false;   // each matrix has its own
};

struct Plan {
  Roles roles;
  Int8MatMulDesc desc;
  DType y_type = DType::i32;
  Param a_zero, b_zero, a_scale, b_scale;
  int bias = -1;
  DType y_zero_type = DType::none;
  // The batch: how many products, and which matrix of a and b each takes.
  std::vector<int64_t> a_of, b_of;
  int64_t a_elements = 0;
  Tensor packed;
  // Scratch, in bytes from its beginning.
  int64_t quantized = 0, ranges = 0, a_zeros = 0, b_zeros = 0, row_scales = 0, own_pack = 0, work = 0,
          bytes = 0;
};

// `n` is the rows or columns of a matrix, of which there are `matrices`.
Result<Param> param(Descs in, int i, int64_t n, int64_t matrices) {
  Param p;
  if (i < 0 || size_t(i) >= in.size() || in[size_t(i)].dtype == DType::none) return p;
  p.input = i;
  p.type = in[size_t(i)].dtype;
  const int64_t count = num_elements(in[size_t(i)].shape);
  if (count == 1) return p;
  p.count = n;
  p.own = count != n;
  if (count != n && count != n * matrices)
    return invalid_argument("input ", i, " of shape ", in[size_t(i)].shape, " fits neither ", n,
                            " rows or columns nor all of them");
  return p;
}

int64_t zero_at(DType t, const void* p, int64_t i) {
  return t == DType::i8 ? static_cast<const int8_t*>(p)[i] : static_cast<const uint8_t*>(p)[i];
}

// The zero points that the e-th matrix uses.
void fill_zeros(const Param& p, const LaunchArgs& a, int64_t e, int32_t* out) {
  const int64_t from = p.own ? e * p.count : 0;
  for (int64_t i = 0; i < p.count; ++i)
    out[i] = p.input < 0 ? 0 : int32_t(zero_at(p.type, a.inputs[p.input], from + i));
}

Result<Plan> make_plan(const Roles& roles, const Tensor& packed, Descs in, Descs out, Isa isa, int threads) {
  Plan p;
  p.roles = roles;
  p.packed = packed;
  p.y_type = out[0].dtype;
  Shape a = in[size_t(roles.a)].shape, b = in[size_t(roles.b)].shape;
  p.a_elements = num_elements(a);
  if (a.size() == 1) a.insert(a.begin(), 1);
  if (b.size() == 1) b.push_back(1);
  Shape batch_a(a.begin(), a.end() - 2), batch_b(b.begin(), b.end() - 2);
  Int8MatMulDesc& d = p.desc;
  d.isa = isa;
  d.m = a[a.size() - 2], d.k = a.back(), d.n = b.back();
  d.a_signed = in[size_t(roles.a)].dtype == DType::i8;
  d.b_signed = in[size_t(roles.b)].dtype == DType::i8;
  if (d.k != b[b.size() - 2])
    return invalid_argument("A has ", d.k, " columns, B has ", b[b.size() - 2], " rows");
  p.a_zero = TRY(param(in, roles.a_zero, d.m, num_elements(batch_a)));
  p.a_scale = TRY(param(in, roles.a_scale, d.m, num_elements(batch_a)));
  p.b_zero = TRY(param(in, roles.b_zero, d.n, num_elements(batch_b)));
  p.b_scale = TRY(param(in, roles.b_scale, d.n, num_elements(batch_b)));
  if (roles.bias >= 0 && size_t(roles.bias) < in.size() && in[size_t(roles.bias)].dtype != DType::none) {
    p.bias = roles.bias;
    if (num_elements(in[size_t(roles.bias)].shape) != d.n)
      return invalid_argument("a bias of shape ", in[size_t(roles.bias)].shape, " for ", d.n, " columns");
  }
  if (roles.y_zero >= 0) p.y_zero_type = in[size_t(roles.y_zero)].dtype;
  if (num_elements(batch_b) == 1 && p.a_zero.count == 1 && p.a_scale.count == 1) {  // one tall product
    d.m *= num_elements(batch_a);
    p.a_of = p.b_of = {0};
  } else {
    const Shape batch = *to_concrete(TRY(broadcast_shapes(to_sym(batch_a), to_sym(batch_b))));
    Walker walk(batch, {broadcast_strides(batch_a, batch), broadcast_strides(batch_b, batch)});
    for (int64_t e = 0; e < num_elements(batch); ++e, walk.next())
      p.a_of.push_back(walk.offset(0)), p.b_of.push_back(walk.offset(1));
  }
  if (packed && packed.bytes() < int8_packed_bytes(d.k, d.n))
    return invalid_argument("its packed weights are for other sizes");
  const auto part = [&](int64_t bytes) {
    const int64_t at = p.bytes;
    p.bytes += int64_t(round_up(size_t(bytes), 64));
    return at;
  };
  p.ranges = part(quantizes(roles) ? int64_t(sizeof(Range)) * threads : 0);
  p.quantized = part(quantizes(roles) ? p.a_elements : 0);
  p.a_zeros = part(4 * p.a_zero.count);
  p.b_zeros = part(4 * p.b_zero.count);
  p.row_scales = part(8 * p.a_scale.count);
  p.own_pack = part(packed ? 0 : int8_packed_bytes(d.k, d.n));
  p.work = part(int8_matmul_scratch_bytes(d, threads));
  return p;
}

Status run(const Plan& p, const LaunchArgs& a, ThreadPool& pool) {
  auto* memory = static_cast<char*>(a.scratch);
  const auto floats = [&](int i) { return static_cast<const float*>(a.inputs[i]); };
  const Int8MatMulDesc& d = p.desc;
  const void* left = a.inputs[p.roles.a];
  auto* a_zeros = reinterpret_cast<int32_t*>(memory + p.a_zeros);
  auto* b_zeros = reinterpret_cast<int32_t*>(memory + p.b_zeros);
  auto* row_scales = reinterpret_cast<double*>(memory + p.row_scales);
  Int8Output o;
  o.type = p.y_type;
  // What is common to all results is one factor; where it is for an integer result, a float.
  double factor = 1;
  if (quantizes(p.roles)) {
    const Range range =
        range_with_zero(pool, floats(p.roles.a), p.a_elements, reinterpret_cast<Range*>(memory + p.ranges));
    const DynamicRange q = dynamic_range(range.low, range.high);
    const auto zero = uint8_t(q.zero_point);
    quantize_linear(pool, {DType::u8, 1, 1, p.a_elements}, floats(p.roles.a), &q.scale, &zero,
                    memory + p.quantized);
    left = memory + p.quantized;
    a_zeros[0] = zero;
    factor = double(q.scale);
  }
  const bool single_b = p.b_scale.input >= 0 && p.b_scale.count == 1;
  if (p.a_scale.input >= 0 && p.a_scale.count == 1) factor *= double(*floats(p.a_scale.input));
  if (single_b) factor *= double(*floats(p.b_scale.input));
  if (p.roles.y_scale >= 0) {
    factor = double(float(double(float(factor)) / double(*floats(p.roles.y_scale))));
    o.zero = int32_t(zero_at(p.y_zero_type, a.inputs[p.roles.y_zero], 0));
  }
  o.row_scale = row_scales;
  o.row_scales = p.a_scale.count;
  if (p.bias >= 0) o.col_bias = floats(p.bias);
  const auto* b = static_cast<const char*>(a.inputs[p.roles.b]);
  const int64_t y_bytes = d.m * d.n * (bits(p.y_type) / 8);
  int64_t held = -1;  // the matrix of b that is packed
  for (size_t e = 0; e < p.a_of.size(); ++e) {
    const int64_t ae = p.a_of[e], be = p.b_of[e];
    if (!quantizes(p.roles)) fill_zeros(p.a_zero, a, ae, a_zeros);
    fill_zeros(p.b_zero, a, be, b_zeros);
    for (int64_t i = 0; i < p.a_scale.count; ++i)
      row_scales[i] =
          p.a_scale.count == 1
              ? factor
              : double(floats(p.a_scale.input)[(p.a_scale.own ? ae * p.a_scale.count : 0) + i]) * factor;
    if (p.b_scale.input >= 0 && !single_b)
      o.col_scale = floats(p.b_scale.input) + (p.b_scale.own ? be * d.n : 0);
    const void* packed = p.packed ? p.packed.data() : memory + p.own_pack;
    if (!p.packed && held != be)
      int8_pack(d.k, d.n, d.b_signed, b + be * d.k * d.n, memory + p.own_pack), held = be;
    int8_matmul(pool, d, static_cast<const char*>(left) + ae * d.m * d.k, packed,
                {a_zeros, b_zeros, p.a_zero.count, p.b_zero.count}, o,
                static_cast<char*>(a.outputs[0]) + int64_t(e) * y_bytes, memory + p.work);
  }
  return {};
}

}  // namespace

static Result<std::unique_ptr<Kernel>> load(const KernelSource& s, Isa isa) {
  const Tensor packed = s.image.data.empty() ? Tensor() : s.image.data[0];
  if (!packed && !s.image.absorbed_inputs.empty())
    return make_status(Code::data_loss, "its weights are missing");
  return make_kernel(
      [roles = *roles_of(s.node), packed, isa](Descs in, Descs out, int threads) -> LaunchResult {
        auto plan = std::make_shared<Plan>(TRY(make_plan(roles, packed, in, out, isa, threads)));
        return make_launch(plan->bytes,
                           [plan](const LaunchArgs& a, ThreadPool& pool) { return run(*plan, a, pool); });
      });
}

extern const Family kInt8MatMul{"int8_matmul",
                                [](const KernelRequest& r) { return roles_of(r.node) != nullptr; }, supports,
                                compile, load};

}  // namespace tenon::cpu
