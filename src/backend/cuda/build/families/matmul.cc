// MatMul, Gemm and what was fused to them. Constant right operands are packed while building.
#include "backend/cuda/build/families/common.h"
#include "backend/cuda/build/families/pack.h"
#include "backend/cuda/build/families/tiles.h"

namespace tenon::cuda {

namespace {

bool concerns(const KernelRequest& r) {
  return op_is(r.node, "MatMul") || op_is(r.node, "Gemm") || r.node.attrs.s("kind") == "matmul";
}

bool flag(const Node& n, const char* name) { return op_is(n, "Gemm") && n.attrs.i(name) != 0; }

// A product as the node says it, before constants are packed.
struct Plan {
  Product product;
  int b_input = -1;            // where it is constant, to be packed
  bool b_transposed = false;   // it lies as [n][k]
  int64_t b_entries = 1;
  SymShape unit_strides;       // of the batch, in entries of B
};

// The batch dimensions of both operands, seen from the result.
void set_batch(Plan& plan, const SymShape& a, const SymShape& b, const SymShape& out) {
  Product& p = plan.product;
  const auto times = [](SymShape s, const Dim& n) {
    for (Dim& d : s) d = d * n;
    return s;
  };
  const CollapsedLoop loop = collapse(out, {times(broadcast_strides(a, out), p.m * p.k), broadcast_strides(b, out),
                                            times(sym_row_major_strides(out), p.m * p.n)});
  p.batch = loop.dims;
  p.a.batch_strides = loop.strides[0];
  plan.unit_strides = loop.strides[1];
  p.b.batch_strides = times(loop.strides[1], p.k * p.n);
  p.batch_c = loop.strides[2];
  p.batch_column.assign(p.batch.size(), Dim(0));
  if (p.batch.size() == 1 && p.batch[0].is(1)) p.batch = p.a.batch_strides = p.b.batch_strides = p.batch_c = p.batch_column = plan.unit_strides = {};
}

void operand(Matrix& m, int input, bool columns, const Dim& rows, const Dim& k) {
  m.form = columns ? Matrix::columns : Matrix::k_major;
  m.index = input;
  m.ld = columns ? rows : k;
  m.row_limit = rows;
  m.k_limit = k;
}

Result<Plan> plan_of(const KernelRequest& r) {
  const Anchor anchor = anchor_of(r.graph, r.node);
  const int a_input = anchor.input(0), b_input = anchor.input(1);
  if (a_input < 0 || b_input < 0) return unsupported("an operand is a constant inside the body");
  const OperandDims dims = TRY(OperandDims::of(r));
  SymShape a = dims.in(size_t(a_input)), b = dims.in(size_t(b_input)), batch = dims.out(0);
  if (a.empty() || b.empty()) return unsupported("an operand is a scalar");
  if (anchor.body && (a.size() < 2 || b.size() < 2)) return unsupported("its ranks are ", a.size(), " and ", b.size());
  Plan plan;
  Product& p = plan.product;
  p.name = "matmul";
  p.type = type_of(r, size_t(a_input));
  p.tf32 = r.tf32 && !anchor.node->attrs.i("exact");
  p.likely = dims.likely();
  if (type_of(r, size_t(b_input)) != p.type) return unsupported("its operands are ", name(p.type), " and ", name(type_of(r, size_t(b_input))));
  p.epilogue = TRY(make_epilogue(r, anchor, dims, dims.out(0).empty() ? 0 : dims.out(0).size() - 1));

  const bool trans_a = flag(*anchor.node, "transA");
  bool trans_b = flag(*anchor.node, "transB");
  batch.resize(batch.size() - (a.size() > 1) - (b.size() > 1));
  if (a.size() == 1) a.insert(a.begin(), 1);
  if (b.size() == 1) b.insert(b.begin(), 1), trans_b = true;
  const SymShape batch_a(a.begin(), a.end() - 2), batch_b(b.begin(), b.end() - 2);
  p.m = a[a.size() - (trans_a ? 1 : 2)];
  p.k = a[a.size() - (trans_a ? 2 : 1)];
  p.n = b[b.size() - (trans_b ? 2 : 1)];
  const Dim& k_of_b = b[b.size() - (trans_b ? 1 : 2)];
  if (k_of_b.is_const()) p.k = k_of_b;
  plan.b_transposed = trans_b;
  const ValueId b_value = r.node.inputs[size_t(b_input)];
  if (r.graph.is_constant(b_value) && r.graph.constant(b_value).size() > 0) {
    plan.b_input = b_input;
    plan.b_entries = product(batch_b).constant();
  }
  if (product(batch_b).is(1) && !trans_a) {
    // One matrix B: the batch is more rows of A.
    p.m = p.m * product(batch_a);
  } else {
    set_batch(plan, batch_a, batch_b, batch);
  }
  operand(p.a, a_input, trans_a, p.m, p.k);
  operand(p.b, b_input, !trans_b, p.n, p.k);
  p.ldc = p.n;
  if (p.batch.empty() && p.n.is_const())
    if (const auto apart = joined_rows(r, p.epilogue, p.n.constant())) p.ldc = *apart;
  return plan;
}

// A constant B as the kernels want it: its k together for tensor cores and few rows, its columns for CUDA cores.
void use_packed(Plan& plan, bool columns) {
  Product& p = plan.product;
  const SymShape strides = plan.unit_strides;
  const PackedLayout layout = packed_layout(p.type, p.n.constant(), p.k.constant(), columns);
  p.b = packed_matrix(layout, 0);
  for (const Dim& d : strides) p.b.batch_strides.push_back(d * Dim(layout.entry));
}

Result<Tile> settle(Plan& plan, const Chip& chip, const std::string& variant) {
  if (plan.b_input >= 0) use_packed(plan, false);
  const Tile tile = TRY(choose_tile(plan.product, chip, variant));
  if (plan.b_input >= 0 && tile.kind == Tile::simt) use_packed(plan, true);
  return tile;
}

KernelAnswer supports(const KernelRequest& r, const Chip& chip) {
  const auto answer = [&]() -> Status {
    Plan plan = TRY(plan_of(r));
    const Tile tile = TRY(settle(plan, chip, ""));
    Program program;
    return write_product(plan.product, tile, program);
  };
  const Status s = answer();
  return s.ok() ? KernelAnswer{true, ""} : KernelAnswer{false, s.message()};
}

Result<Program> generate(const KernelRequest& r, const Chip& chip) {
  Plan plan = TRY(plan_of(r));
  const Tile tile = TRY(settle(plan, chip, r.variant));
  Program program;
  program.variant = variant_name(plan.product, tile);
  program.strides_output = !(plan.product.ldc == plan.product.n);
  TRY(write_product(plan.product, tile, program));
  if (plan.b_input < 0) return program;
  const int64_t n = plan.product.n.constant(), k = plan.product.k.constant();
  const bool transposed = plan.b_transposed;
  const auto place = [=](int64_t entry, int64_t row, int64_t at) { return entry * n * k + (transposed ? row * k + at : at * n + row); };
  program.data = {TRY(pack_operand(r.graph.constant(r.node.inputs[size_t(plan.b_input)]), plan.b_entries, n, k,
                                   plan.product.b.form == Matrix::columns, place))};
  program.absorbed_inputs = {plan.b_input};
  return program;
}

std::vector<KernelVariant> variants(const KernelRequest& r, const Chip& chip) {
  auto plan = plan_of(r);
  if (!plan.ok()) return {};
  if (plan->b_input >= 0) use_packed(*plan, false);
  return tile_variants(plan->product, chip);
}

}  // namespace

extern const Family kMatMul{"matmul", concerns, supports, generate, variants};

}  // namespace tenon::cuda
