// MatMul and Gemm in fp32, with constant right operands packed at build time, and the elementwise nodes fused to them.
#include "backend/cpu/families/epilogue.h"
#include "backend/cpu/kernels/gemm.h"
#include "ops/common/pointwise.h"

namespace tenon::cpu {

static bool concerns(const KernelRequest& r) {
  return op_is(r.node, "MatMul") || op_is(r.node, "Gemm") || r.node.attrs.s("kind") == "matmul";
}

// Gemm's C as the bias of a row of results: a vector as long as N.
static int gemm_bias(const Anchor& a) {
  if (!op_is(*a.node, "Gemm") || a.inputs.size() < 3) return -1;
  return a.inputs[2];
}

static const Tensor* constant_b(const KernelRequest& r, const Anchor& a) {
  const ValueId v = a.inputs[1] >= 0 ? r.node.inputs[size_t(a.inputs[1])] : kNoValue;
  if (v == kNoValue || !r.graph.is_constant(v)) return nullptr;
  const Tensor& t = r.graph.constant(v);
  return t.rank() == 2 && t.size() > 0 ? &t : nullptr;
}

static KernelAnswer supports(const KernelRequest& r) {
  const Anchor a = anchor_of(r.graph, r.node);
  for (size_t i = 0; i < r.node.inputs.size(); ++i)
    if (type_of(r, i) != DType::none && type_of(r, i) != DType::f32) return no(cat("no kernel for ", name(type_of(r, i))));
  if (const DType t = r.graph.info(r.node.outputs[0]).dtype; t != DType::f32) return no(cat("no kernel for results of ", name(t)));
  if (a.inputs[0] < 0 || a.inputs[1] < 0) return no("an operand is a constant inside the body");
  const auto rank = [&](size_t i) { return a.graph->info(a.node->inputs[i]).ranked ? int(a.graph->info(a.node->inputs[i]).shape.size()) : -1; };
  if (rank(0) < 1 || rank(1) < 1) return no("its ranks are not known");
  if (op_is(*a.node, "Gemm")) {
    if (a.node->attrs.f("alpha") != 1 || a.node->attrs.f("beta") != 1) return no("alpha or beta is not 1");
    if (a.node->inputs.size() > 2 && a.node->inputs[2] != kNoValue) {
      const ValueInfo &c = a.graph->info(a.node->inputs[2]), &y = a.graph->info(a.node->outputs[0]);
      if (a.inputs[2] < 0 || !c.ranked || c.shape.empty() || !(product(c.shape) == y.shape.back()) || !(c.shape.back() == y.shape.back()))
        return no("its C is not one number a column");
    }
  } else if (rank(0) > 6 || rank(1) > 6 || ((rank(0) < 2 || rank(1) < 2) && a.body)) {
    return no("unusual ranks");
  }
  auto plan = EpiloguePlan::make(a, gemm_bias(a));
  return plan.ok() ? yes() : no(plan.status().message());
}

static bool flag(const Node& n, const char* name) { return op_is(n, "Gemm") && n.attrs.i(name) != 0; }

static Result<KernelImage> compile(const KernelRequest& r, Isa isa) {
  KernelImage image{"cpu", "matmul", "", {}, {}};
  const Anchor a = anchor_of(r.graph, r.node);
  image.strides_output = a.graph->info(a.node->inputs[1]).shape.size() > 1;  // else a row of the result is a column
  const Tensor* b = constant_b(r, a);
  if (!b) {
    image.kernel = cat("matmul.dynamic.", isa_name(isa));
    return image;
  }
  const bool transposed = flag(*a.node, "transB");
  const int64_t k = b->dim(transposed ? 1 : 0), n = b->dim(transposed ? 0 : 1);
  Tensor packed = TRY(Tensor::allocate(DType::u8, {gemm_packed_bytes(isa, k, n)}));
  gemm_pack(isa, k, n, b->as<float>(), 0, transposed, packed.as<float>());
  image.kernel = cat("matmul.packed.", isa_name(isa));
  image.data = {packed};
  image.absorbed_inputs = {a.inputs[1]};
  return image;
}

namespace {
struct Plan {
  GemmDesc desc;
  EpiloguePlan epilogue;
  int a = 0, b = 1;
  Tensor packed;  // null: dynamic
};
}  // namespace

// Sizes, strides and batch of A [.., m, k] times B [.., k, n]; what can be one tall product is made one. `pitch` is that of
// the result.
static Status describe(const Node& node, Shape a, Shape b, int64_t pitch, GemmDesc& d) {
  d.ldc = pitch;
  d.transpose_a = flag(node, "transA");
  d.transpose_b = flag(node, "transB");
  if (a.size() == 1) a.insert(a.begin(), 1);
  if (b.size() == 1) b.push_back(1);
  const Shape batch_a(a.begin(), a.end() - 2), batch_b(b.begin(), b.end() - 2);
  const int64_t ra = a[a.size() - 2], ca = a.back(), rb = b[b.size() - 2], cb = b.back();
  d.m = d.transpose_a ? ca : ra;
  d.k = d.transpose_a ? ra : ca;
  d.n = d.transpose_b ? rb : cb;
  if (d.k != (d.transpose_b ? cb : rb)) return invalid_argument("A has ", d.k, " columns, B has ", d.transpose_b ? cb : rb, " rows");
  if (num_elements(batch_b) == 1 && !d.transpose_a) {
    d.m *= num_elements(batch_a);
    return {};
  }
  SymShape sym = TRY(broadcast_shapes(to_sym(batch_a), to_sym(batch_b)));
  const Shape batch = *to_concrete(sym);
  const Shape sa = broadcast_strides(batch_a, batch), sb = broadcast_strides(batch_b, batch), sc = row_major_strides(batch);
  for (size_t i = 0; i < batch.size(); ++i) {
    if (batch[i] == 1) continue;
    if (d.batch_rank == kGemmBatchRank) return invalid_argument("more than ", kGemmBatchRank, " batch dimensions");
    const int at = d.batch_rank++;
    d.batch[at] = batch[i];
    d.batch_a[at] = sa[i] * ra * ca;
    d.batch_b[at] = sb[i] * rb * cb;
    d.batch_c[at] = sc[i] * d.m * (pitch ? pitch : d.n);
    d.batch_residual[at] = sc[i] * d.m * d.n;
  }
  return {};
}

static Result<std::unique_ptr<Kernel>> load(const KernelSource& s, Isa isa) {
  const Anchor anchor = anchor_of(s.graph, s.node);
  const EpiloguePlan epilogue = TRY(EpiloguePlan::make(anchor, gemm_bias(anchor)));
  const Tensor packed = s.image.data.empty() ? Tensor() : s.image.data[0];
  return make_kernel([anchor, epilogue, packed, isa](Descs in, Descs out, int threads) -> LaunchResult {
    auto p = std::make_shared<Plan>();
    p->epilogue = epilogue;
    p->a = anchor.inputs[0];
    p->b = anchor.inputs[1];
    p->packed = packed;
    p->desc.isa = isa;
    TRY(describe(*anchor.node, in[size_t(p->a)].shape, in[size_t(p->b)].shape, out[0].pitch, p->desc));
    if (anchor.body || p->desc.n != 1) TRY(p->epilogue.bind(in, out[0].shape));
    if (packed && packed.bytes() < gemm_packed_bytes(isa, p->desc.k, p->desc.n)) return invalid_argument("its packed weights are for other sizes");
    const int64_t scratch = packed ? gemm_packed_scratch_bytes(p->desc, threads) : gemm_scratch_bytes(p->desc, threads);
    return make_launch(scratch, [p](const LaunchArgs& a, ThreadPool& pool) {
      EpiloguePlan::Run run;
      p->epilogue.fill(run, a.inputs);
      const auto* x = static_cast<const float*>(a.inputs[p->a]);
      auto* y = static_cast<float*>(a.outputs[0]);
      if (p->packed) gemm_packed(p->desc, x, p->packed.as<float>(), y, run.epilogue, a.scratch, pool);
      else gemm(p->desc, x, static_cast<const float*>(a.inputs[p->b]), y, run.epilogue, a.scratch, pool);
      return Status();
    });
  });
}

extern const Family kMatMul{"matmul", concerns, supports, compile, load};

}  // namespace tenon::cpu
