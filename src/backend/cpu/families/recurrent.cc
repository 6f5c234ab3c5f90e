// RNN, GRU and LSTM in fp32; weights packed at build time where they are constants.
#include "backend/cpu/kernels/recurrent.h"

#include "backend/cpu/families.h"
#include "ops/common/recurrent.h"

namespace tenon::cpu {

enum Input : size_t { kX, kW, kR, kB, kLengths, kH, kC, kP };

static std::optional<Cell> cell_of(const Node& n) {
  static const std::pair<const char*, Cell> names[] = {
      {"RNN", Cell::rnn}, {"GRU", Cell::gru}, {"LSTM", Cell::lstm}};
  for (auto [name, cell] : names)
    if (op_is(n, name)) return cell;
  return std::nullopt;
}

static KernelAnswer supports(const KernelRequest& r) {
  for (size_t i = 0; i < r.node.inputs.size(); ++i)
    if (i != kLengths && type_of(r, i) != DType::none && type_of(r, i) != DType::f32)
      return no(cat("no kernel for ", name(type_of(r, i))));
  return yes();
}

// Everything but steps and batch. `w` is [directions, gates * hidden, width].
static Result<RecurrentDesc> describe(const Node& n, const Shape& w, const Shape& r, Isa isa) {
  RecurrentDesc d;
  d.isa = isa;
  d.cell = *cell_of(n);
  d.directions = TRY(recurrent_directions(n.attrs));
  d.reverse = n.attrs.s("direction") == "reverse";
  d.by_batch = n.attrs.i("layout") != 0;
  d.linear_before_reset = d.cell == Cell::gru && n.attrs.i("linear_before_reset") != 0;
  d.input_forget = d.cell == Cell::lstm && n.attrs.i("input_forget") != 0;
  if (n.attrs.has("clip")) d.clip = n.attrs.f("clip");
  if (w.size() != 3 || r.size() != 3)
    return invalid_argument("weights ", w, " and ", r, " have not three dimensions");
  d.width = w[2];
  d.hidden = r[2];
  if (w[0] != d.directions || r[0] != d.directions || w[1] != d.gates() * d.hidden || r[1] != w[1])
    return invalid_argument("weights ", w, " and ", r, " do not fit each other");
  const CellKind& kind = cell_kind(n.op->name);
  const auto act = TRY(recurrent_activations(n.attrs, kind, d.directions));
  for (size_t i = 0; i < act.size(); ++i)
    d.act[i / kind.activations.size()][i % kind.activations.size()] = act[i];
  return d;
}

static Result<KernelImage> compile(const KernelRequest& r, Isa isa) {
  const ValueId w = r.node.inputs[kW], rec = r.node.inputs[kR];
  KernelImage image{"cpu", cat("recurrent.dynamic.", isa_name(isa)), "", {}, {}};
  if (!r.graph.is_constant(w) || !r.graph.is_constant(rec)) return image;
  const Tensor &weights = r.graph.constant(w), &recurrent = r.graph.constant(rec);
  const RecurrentDesc d = TRY(describe(r.node, weights.shape(), recurrent.shape(), isa));
  Tensor packed = TRY(Tensor::allocate(DType::u8, {recurrent_packed_bytes(d)}));
  recurrent_pack(d, weights.as<float>(), recurrent.as<float>(), packed.data());
  image.kernel = cat("recurrent.packed.", isa_name(isa));
  image.data = {packed};
  image.absorbed_inputs = {kW, kR};
  return image;
}

static Result<std::unique_ptr<Kernel>> load(const KernelSource& s, Isa isa) {
  const Tensor packed = s.image.data.empty() ? Tensor() : s.image.data[0];
  if (!packed && !s.image.absorbed_inputs.empty())
    return make_status(Code::data_loss, "its weights are missing");
  return make_kernel([&node = s.node, packed, isa](Descs in, Descs, int threads) -> LaunchResult {
    RecurrentDesc d = TRY(describe(node, in[kW].shape, in[kR].shape, isa));
    const Shape& x = in[kX].shape;
    if (x.size() != 3) return invalid_argument("its input has shape ", x);
    d.steps = x[d.by_batch ? 1 : 0];
    d.batch = x[d.by_batch ? 0 : 1];
    if (x[2] != d.width) return invalid_argument("its input has ", x[2], " features, its weights ", d.width);
    const auto check = [&](size_t i, const Shape& want) -> Status {
      if (i < in.size() && in[i].dtype != DType::none && in[i].shape != want)
        return invalid_argument("input ", i, " has shape ", in[i].shape, ", ", want, " is needed");
      return {};
    };
    const Shape state =
        d.by_batch ? Shape{d.batch, d.directions, d.hidden} : Shape{d.directions, d.batch, d.hidden};
    TRY(check(kB, {d.directions, 2 * d.gates() * d.hidden}));
    TRY(check(kLengths, {d.batch}));
    TRY(check(kH, state));
    TRY(check(kC, state));
    TRY(check(kP, {d.directions, 3 * d.hidden}));
    if (packed && packed.bytes() < recurrent_packed_bytes(d))
      return invalid_argument("its packed weights are for other sizes");
    const size_t inputs = in.size(), outputs = node.outputs.size();
    return make_launch(recurrent_scratch_bytes(d, bool(packed), threads),
                       [d, packed, inputs, outputs](const LaunchArgs& a, ThreadPool& pool) {
                         const auto floats = [&](size_t i) {
                           return i < inputs ? static_cast<const float*>(a.inputs[i]) : nullptr;
                         };
                         const auto out = [&](size_t i) {
                           return i < outputs ? static_cast<float*>(a.outputs[i]) : nullptr;
                         };
                         RecurrentArgs args;
                         args.x = floats(kX), args.w = floats(kW), args.r = floats(kR), args.b = floats(kB);
                         args.lengths =
                             kLengths < inputs ? static_cast<const int32_t*>(a.inputs[kLengths]) : nullptr;
                         args.h0 = floats(kH), args.c0 = floats(kC), args.peepholes = floats(kP);
                         args.packed = packed ? packed.data() : nullptr;
                         args.y = out(0), args.y_h = out(1), args.y_c = out(2);
                         return recurrent(d, args, a.scratch, pool);
                       });
  });
}

extern const Family kRecurrent{
    "recurrent", [](const KernelRequest& r) { return cell_of(r.node).has_value(); }, supports, compile, load};

}  // namespace tenon::cpu
