// Attention, and com.microsoft's MultiHeadAttention where it is no more than that: fused, without the matrix of scores.
#include "backend/cuda/build/families/attention.h"

#include <cmath>

namespace tenon::cuda {

static bool concerns(const KernelRequest& r) { return op_is(r.node, "Attention") || ms_op_is(r.node, "MultiHeadAttention"); }

static Status needs_absent(const KernelRequest& r, const std::vector<size_t>& inputs, size_t outputs) {
  for (size_t i : inputs)
    if (present(r, i)) return unsupported("no kernel with input '", r.node.op->inputs[i].name, "'");
  for (size_t i = outputs; i < r.node.outputs.size(); ++i)
    if (wanted(r, i)) return unsupported("no kernel with output '", r.node.op->outputs[i].name, "'");
  return {};
}

// Rows of [batch, length, columns], whose heads lie side by side from column `begin` on.
static HeadRows side_by_side(int index, const SymShape& s, int64_t size, int64_t begin) {
  return {index, s[1] * s[2], Dim(size), s[2], Dim(begin)};
}
// Rows of [batch, heads, length, size].
static HeadRows by_head(int index, const SymShape& s) { return {index, s[1] * s[2] * s[3], s[2] * s[3], s[3]}; }

static Result<int> head_size(const Dim& d) {
  if (!d.is_const()) return unsupported("no kernel where the head size is not known");
  if (d.constant() < 1 || d.constant() > 256) return unsupported("no kernel for heads of size ", d.constant());
  return int(d.constant());
}

static void set_mask(AttentionProblem& p, const KernelRequest& r, const OperandDims& dims, size_t input) {
  p.mask = int(input);
  p.mask_type = type_of(r, input);
  const SymShape& s = dims.in(input);
  p.mask_len = s.back();
  p.mask_strides = broadcast_strides(s, {p.batch, p.heads, p.q_len, p.mask_len});
}

static Result<AttentionProblem> of_onnx(const KernelRequest& r, const OperandDims& dims) {
  TRY(needs_absent(r, {4, 5}, 1));
  if (type_of(r, 2) != type_of(r, 0)) return unsupported("no kernel for values of ", name(type_of(r, 2)), " beside ", name(type_of(r, 0)));
  const Attrs& attrs = r.node.attrs;
  const SymShape &q = dims.in(0), &k = dims.in(1), &v = dims.in(2);
  AttentionProblem p;
  p.batch = q[0];
  Dim kv_heads;
  if (q.size() == 3) {
    p.heads = Dim(attrs.i("q_num_heads")), kv_heads = Dim(attrs.i("kv_num_heads"));
    Ints columns = attrs.ints("columns");
    const Ints& sizes = attrs.ints("head_sizes");
    p.head = TRY(head_size(sizes.empty() ? floor_div(q[2], p.heads) : Dim(sizes[0])));
    p.v_head = TRY(head_size(sizes.empty() ? floor_div(v[2], kv_heads) : Dim(sizes[1])));
    if (columns.empty()) columns = {0, 0, 0};
    p.q_len = q[1], p.kv_len = k[1];
    p.q = side_by_side(0, q, p.head, columns[0]);
    p.k = side_by_side(1, k, p.head, columns[1]);
    p.v = side_by_side(2, v, p.v_head, columns[2]);
    p.y = side_by_side(0, dims.out(0), p.v_head, 0);
  } else {
    p.heads = q[1], kv_heads = k[1];
    p.head = TRY(head_size(q[3])), p.v_head = TRY(head_size(v[3]));
    p.q_len = q[2], p.kv_len = k[2];
    p.q = by_head(0, q), p.k = by_head(1, k), p.v = by_head(2, v), p.y = by_head(0, dims.out(0));
  }
  if (p.heads.is_const() && kv_heads.is_const()) p.group = kv_heads.is(0) ? Dim(1) : floor_div(p.heads, kv_heads);
  else if (!(p.heads == kv_heads)) return unsupported("no kernel where the number of heads is not known");
  p.scale = attrs.has("scale") ? double(attrs.f("scale")) : 1 / std::sqrt(double(p.head));
  p.softcap = attrs.f("softcap");
  p.causal = attrs.i("is_causal") != 0;
  p.left = attrs.i("left_window_size", -1), p.right = attrs.i("right_window_size", -1);
  if (present(r, 3)) set_mask(p, r, dims, 3);
  if (present(r, 6)) p.valid = 6;
  return p;
}

// Q, K and V [batch, length, heads * size]; K and V may stand by heads.
static Result<AttentionProblem> of_microsoft(const KernelRequest& r, const OperandDims& dims) {
  TRY(needs_absent(r, {3, 4, 6, 7, 8, 9}, 1));
  const SymShape& q = dims.in(0);
  if (q.size() != 3 || !present(r, 1) || !present(r, 2)) return unsupported("no kernel for packed queries, keys and values");
  const SymShape &k = dims.in(1), &v = dims.in(2);
  const Dim heads(r.node.attrs.i("num_heads"));
  AttentionProblem p;
  p.batch = q[0], p.heads = heads, p.q_len = q[1];
  p.head = TRY(head_size(floor_div(q[2], heads)));
  p.v_head = TRY(head_size(floor_div(dims.out(0)[2], heads)));
  p.q = side_by_side(0, q, p.head, 0);
  p.y = side_by_side(0, dims.out(0), p.v_head, 0);
  p.kv_len = k.size() == 3 ? k[1] : k[2];
  p.k = k.size() == 3 ? side_by_side(1, k, p.head, 0) : by_head(1, k);
  p.v = v.size() == 3 ? side_by_side(2, v, p.v_head, 0) : by_head(2, v);
  const double scale = r.node.attrs.f("scale");
  p.scale = scale != 0 ? scale : 1 / std::sqrt(double(p.head));
  p.causal = r.node.attrs.i("unidirectional") != 0;
  if (present(r, 5)) set_mask(p, r, dims, 5);
  return p;
}

static Result<AttentionProblem> problem_of(const KernelRequest& r, const OperandDims& dims) {
  const DType t = type_of(r, 0);
  if (t != DType::f32 && t != DType::f16 && t != DType::bf16) return unsupported("no kernel for ", name(t));
  AttentionProblem p = TRY(op_is(r.node, "Attention") ? of_onnx(r, dims) : of_microsoft(r, dims));
  p.type = t;
  p.tf32 = t == DType::f32 && r.tf32 && !r.node.attrs.i("exact");
  p.likely = dims.likely();
  return p;
}

static bool on_tensor_cores(const AttentionProblem& p) { return p.type != DType::f32 || p.tf32; }

static Result<Program> generate(const KernelRequest& r, const Chip& chip) {
  const OperandDims dims = TRY(OperandDims::of(r));
  const AttentionProblem p = TRY(problem_of(r, dims));
  Program program;
  TRY(index_with_32_bits(program.recipe, dims, r));
  TRY(on_tensor_cores(p) ? write_attention_mma(p, chip, r.variant, program) : write_attention_simt(p, chip, program));
  return program;
}

static std::vector<KernelVariant> variants(const KernelRequest& r, const Chip& chip) {
  const auto dims = OperandDims::of(r);
  if (!dims.ok()) return {};
  const auto p = problem_of(r, *dims);
  std::vector<KernelVariant> out;
  if (p.ok() && on_tensor_cores(*p))
    for (const std::string& name : attention_variants(*p, chip)) out.push_back({name, 0});
  return out;
}

extern const Family kAttention{"attention", concerns, can_generate<generate>, generate, variants};

}  // namespace tenon::cuda
