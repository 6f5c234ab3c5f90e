// Attention, and com.microsoft's MultiHeadAttention where it is no more than that.
#include <cmath>

#include "backend/cpu/families.h"
#include "backend/cpu/kernels/attention.h"
#include "ops/common/pointwise.h"

namespace tenon::cpu {

static bool is_onnx(const Node& n) {
  return op_is(n, "Attention");
}
static bool concerns(const KernelRequest& r) {
  return is_onnx(r.node) || ms_op_is(r.node, "MultiHeadAttention");
}

// The mask's input.
static size_t mask_at(const Node& n) {
  return is_onnx(n) ? 3 : 5;
}
static bool has_input(const Node& n, size_t i) {
  return i < n.inputs.size() && n.inputs[i] != kNoValue;
}
static bool has_output(const Node& n, size_t i) {
  return i < n.outputs.size() && n.outputs[i] != kNoValue;
}

static KernelAnswer supports(const KernelRequest& r) {
  const auto missing = [&](const std::vector<size_t>& inputs, size_t outputs) -> KernelAnswer {
    for (size_t i : inputs)
      if (present(r, i)) return no(cat("no kernel with input '", r.node.op->inputs[i].name, "'"));
    for (size_t i = outputs; i < r.node.outputs.size(); ++i)
      if (has_output(r.node, i)) return no(cat("no kernel with output '", r.node.op->outputs[i].name, "'"));
    return yes();
  };
  const KernelAnswer rest = is_onnx(r.node) ? missing({}, 3) : missing({3, 4, 6, 7, 8, 9}, 1);
  if (!rest.yes) return rest;
  for (size_t i = 0; i < 3; ++i) {
    if (!present(r, i)) return no("no kernel for packed queries, keys and values");
    if (type_of(r, i) != DType::f32) return no(cat("no kernel for ", name(type_of(r, i))));
    if (!r.graph.info(r.node.inputs[i]).ranked) return no("its ranks are not known");
  }
  if (!is_onnx(r.node) && r.graph.info(r.node.inputs[0]).shape.size() != 3)
    return no("no kernel for packed queries, keys and values");
  if (present(r, mask_at(r.node))) {
    const DType t = type_of(r, mask_at(r.node));
    if (t != DType::f32 && t != DType::boolean) return no(cat("no kernel for masks of ", name(t)));
    if (!r.graph.info(r.node.inputs[mask_at(r.node)]).ranked) return no("its mask's rank is not known");
  }
  return yes();
}

namespace {

// Heads of `size` that lie side by side in the last dimension of [batch, length, columns], or one behind the
// other.
HeadLayout side_by_side(const Shape& s, int64_t size) {
  return {s[1] * s[2], size, s[2]};
}
HeadLayout by_head(const Shape& s) {
  return {s[1] * s[2] * s[3], s[2] * s[3], s[3]};
}

struct Bound {
  AttentionDesc desc;
  int64_t q = 0, k = 0, v = 0;  // where they begin in their inputs
  int mask = -1, valid = -1;    // inputs
  // Keys and values in a row behind those of the past: where they come from, and whether they are outputs.
  bool joined = false;
  int64_t past = 0, fresh = 0;
  HeadLayout fresh_k, fresh_v;
  int64_t k_floats = 0, v_floats = 0;  // of scratch; 0 where they are outputs
};

Status set_mask(Bound& b, const Node& node, Descs in) {
  const size_t at = mask_at(node);
  AttentionDesc& d = b.desc;
  if (!has_input(node, at)) return {};
  b.mask = int(at);
  d.mask = in[at].dtype == DType::boolean ? AttentionMask::boolean : AttentionMask::added;
  d.mask_len = in[at].shape.back();
  const Shape strides = broadcast_strides(in[at].shape, {d.batch, d.heads, d.q_len, d.mask_len});
  for (size_t i = 0; i < 3; ++i) d.mask_strides[i] = strides[i];
  return {};
}

Result<Bound> bind_onnx(const Node& node, Descs in, Descs out) {
  Bound b;
  AttentionDesc& d = b.desc;
  const Attrs& attrs = node.attrs;
  const Shape &q = in[0].shape, &k = in[1].shape, &v = in[2].shape;
  d.batch = q[0];
  if (q.size() == 3) {
    d.heads = attrs.i("q_num_heads"), d.kv_heads = attrs.i("kv_num_heads");
    const Ints &columns = attrs.ints("columns"), &sizes = attrs.ints("head_sizes");
    d.head = sizes.empty() ? q[2] / d.heads : sizes[0];
    d.v_head = sizes.empty() ? v[2] / d.kv_heads : sizes[1];
    if (!columns.empty()) b.q = columns[0], b.k = columns[1], b.v = columns[2];
    if (q[2] < b.q + d.heads * d.head || k[2] < b.k + d.kv_heads * d.head ||
        v[2] < b.v + d.kv_heads * d.v_head)
      return invalid_argument("its inputs have too few columns");
    d.q_len = q[1], b.fresh = k[1];
    d.q = side_by_side(q, d.head), d.k = side_by_side(k, d.head), d.v = side_by_side(v, d.v_head),
    d.y = side_by_side(out[0].shape, d.v_head);
  } else {
    d.heads = q[1], d.kv_heads = k[1], d.head = q[3], d.v_head = v[3];
    d.q_len = q[2], b.fresh = k[2];
    d.q = by_head(q), d.k = by_head(k), d.v = by_head(v), d.y = by_head(out[0].shape);
  }
  if (d.kv_heads > 0 && d.heads % d.kv_heads)
    return invalid_argument("Q has ", d.heads, " heads, which ", d.kv_heads, " heads of K do not divide");
  if (has_input(node, 4)) b.past = in[4].shape[2];
  d.past = b.past;
  d.kv_len = b.past + b.fresh;
  b.joined = has_input(node, 4) || has_output(node, 1) || has_output(node, 2);
  if (b.joined) {
    const int64_t rows = d.batch * d.kv_heads * d.kv_len;
    b.fresh_k = d.k, b.fresh_v = d.v;
    d.k = by_head({d.batch, d.kv_heads, d.kv_len, d.head}),
    d.v = by_head({d.batch, d.kv_heads, d.kv_len, d.v_head});
    if (!has_output(node, 1)) b.k_floats = (rows * d.head + 15) / 16 * 16;
    if (!has_output(node, 2)) b.v_floats = (rows * d.v_head + 15) / 16 * 16;
  }
  d.scale = attrs.has("scale") ? attrs.f("scale") : d.head ? float(1 / std::sqrt(double(d.head))) : 1;
  d.softcap = attrs.f("softcap");
  d.causal = attrs.i("is_causal") != 0;
  d.left = attrs.i("left_window_size", -1), d.right = attrs.i("right_window_size", -1);
  if (has_input(node, 6)) b.valid = 6;
  TRY(set_mask(b, node, in));
  return b;
}

// Q, K and V [batch, length, heads * size]; K and V may stand by heads.
Result<Bound> bind_microsoft(const Node& node, Descs in, Descs out) {
  Bound b;
  AttentionDesc& d = b.desc;
  const Shape &q = in[0].shape, &k = in[1].shape, &v = in[2].shape;
  d.batch = q[0], d.heads = d.kv_heads = node.attrs.i("num_heads"), d.q_len = q[1];
  d.head = q[2] / d.heads, d.v_head = out[0].shape[2] / d.heads;
  d.kv_len = k.size() == 3 ? k[1] : k[2];
  d.q = side_by_side(q, d.head), d.y = side_by_side(out[0].shape, d.v_head);
  d.k = k.size() == 3 ? side_by_side(k, d.head) : by_head(k);
  d.v = v.size() == 3 ? side_by_side(v, d.v_head) : by_head(v);
  const float scale = node.attrs.f("scale");
  d.scale = scale != 0 ? scale : float(1 / std::sqrt(double(d.head)));
  d.causal = node.attrs.i("unidirectional") != 0;
  TRY(set_mask(b, node, in));
  return b;
}

Status run(const Bound& b, const LaunchArgs& a, ThreadPool& pool) {
  const AttentionDesc& d = b.desc;
  AttentionArgs x;
  x.q = static_cast<const float*>(a.inputs[0]) + b.q;
  x.k = static_cast<const float*>(a.inputs[1]) + b.k;
  x.v = static_cast<const float*>(a.inputs[2]) + b.v;
  x.y = static_cast<float*>(a.outputs[0]);
  if (b.mask >= 0) x.mask = a.inputs[b.mask];
  if (b.valid >= 0) {
    x.valid = static_cast<const int64_t*>(a.inputs[b.valid]);
    for (int64_t i = 0; i < d.batch; ++i)
      if (x.valid[i] < 0 || x.valid[i] > d.kv_len)
        return invalid_argument("nonpad_kv_seqlen ", x.valid[i], " is out of range [0, ", d.kv_len, "]");
  }
  auto* scratch = static_cast<float*>(a.scratch);
  if (b.joined) {
    const auto join = [&](int input, int64_t floats, const HeadLayout& from, int64_t size,
                          const float*& rows) {
      float* to = floats ? scratch : static_cast<float*>(a.outputs[input]);
      const auto* past = b.past ? static_cast<const float*>(a.inputs[input + 3]) : nullptr;
      join_heads(pool, d.batch, d.kv_heads, size, past, b.past, rows, from, b.fresh, to);
      scratch += floats;
      rows = to;
    };
    join(1, b.k_floats, b.fresh_k, d.head, x.k);
    join(2, b.v_floats, b.fresh_v, d.v_head, x.v);
  }
  attention(d, x, scratch, pool);
  return {};
}

Result<std::unique_ptr<Kernel>> load(const KernelSource& s, Isa isa) {
  return make_kernel([&node = s.node, isa](Descs in, Descs out, int threads) -> LaunchResult {
    auto b = std::make_shared<Bound>(
        TRY(is_onnx(node) ? bind_onnx(node, in, out) : bind_microsoft(node, in, out)));
    b->desc.isa = isa;
    const int64_t scratch = attention_scratch_bytes(b->desc, threads) + 4 * (b->k_floats + b->v_floats);
    return make_launch(scratch, [b](const LaunchArgs& a, ThreadPool& pool) { return run(*b, a, pool); });
  });
}

}  // namespace

extern const Family kAttention{"attention", concerns, supports, nullptr, load};

}  // namespace tenon::cpu
