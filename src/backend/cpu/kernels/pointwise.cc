#include "backend/cpu/kernels/pointwise.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "backend/cpu/kernels/parallel.h"

namespace tenon::cpu {

static constexpr int kCell = 64;  // a scalar spread over one vector of the widest target

static int reg_bytes(Reg r) { return r == Reg::f64 || r == Reg::i64 || r == Reg::u64 ? 8 : 4; }

// The register type that holds values of `t`; false when none does.
static bool reg_of(DType t, Reg* r) {
  switch (t) {
    case DType::f32:
    case DType::f16:
    case DType::bf16:
    case DType::f8e4m3fn:
    case DType::f8e4m3fnuz:
    case DType::f8e5m2:
    case DType::f8e5m2fnuz:
    case DType::f4e2m1:
    case DType::f8e8m0: *r = Reg::f32; return true;
    case DType::f64: *r = Reg::f64; return true;
    case DType::i8:
    case DType::i16:
    case DType::i32:
    case DType::u8:
    case DType::u16:
    case DType::i4:
    case DType::u4:
    case DType::i2:
    case DType::u2: *r = Reg::i32; return true;
    case DType::u32: *r = Reg::u32; return true;
    case DType::i64: *r = Reg::i64; return true;
    case DType::u64: *r = Reg::u64; return true;
    case DType::boolean: *r = Reg::mask; return true;
    default: return false;
  }
}

// ---- compiling -----------------------------------------------------------------------------------------------------

// First into steps over values, each written once; then fused; then values are given slots by liveness.
struct PointwiseCompiler {
  struct Value {
    Reg reg = Reg::f32;
    int bytes = 4;
    int cell = -1;     // constant
    int input = -1;
    int output = -1;   // lives in this output's memory
    int uses = 0, last = -1;
  };
  struct Op {
    BlockFn fn = nullptr;
    int dst = -1;
    int src[3] = {-1, -1, -1};
    int64_t imm = 0;
    Prim prim = Prim::input;
  };
  const ScalarProgram& program;
  PointwiseCode code;
  std::vector<Value> values;
  std::vector<Op> ops;
  std::vector<int> value_of;  // instruction -> value

  int new_value(Reg r, int bytes) {
    Value v;
    v.reg = r;
    v.bytes = bytes;
    values.push_back(v);
    return int(values.size()) - 1;
  }
  int emit(BlockFn fn, Reg r, std::initializer_list<int> src, Prim prim = Prim::input, int64_t imm = 0, int bytes = 0) {
    Op op;
    op.fn = fn;
    op.dst = new_value(r, bytes ? bytes : reg_bytes(r));
    std::copy(src.begin(), src.end(), op.src);
    op.prim = prim;
    op.imm = imm;
    ops.push_back(op);
    return op.dst;
  }
  int constant(DType t, Reg r, double f, int64_t i) {
    const int v = new_value(r, reg_bytes(r));
    values[size_t(v)].cell = int(code.consts_.size() / kCell);
    code.consts_.resize(code.consts_.size() + kCell);
    char* cell = code.consts_.data() + code.consts_.size() - kCell;
    for (int k = 0; k < kCell; k += reg_bytes(r)) {
      if (r == Reg::f32) {
        const float x = float(f);
        std::memcpy(cell + k, &x, 4);
      } else if (r == Reg::f64) {
        std::memcpy(cell + k, &f, 8);
      } else if (reg_bytes(r) == 8) {
        std::memcpy(cell + k, &i, 8);
      } else {
        const int32_t x = t == DType::boolean ? (i ? -1 : 0) : int32_t(i);
        std::memcpy(cell + k, &x, 4);
      }
    }
    return v;
  }
  float const_f32(int v) const {
    float x;
    std::memcpy(&x, code.consts_.data() + size_t(values[size_t(v)].cell) * kCell, 4);
    return x;
  }
  bool is_const_f32(int v) const { return values[size_t(v)].cell >= 0 && values[size_t(v)].reg == Reg::f32; }

  static bool narrow_int(DType t) { return is_int(t) && bits(t) < 32; }
  static bool narrow_float(DType t) { return is_float(t) && bits(t) < 32; }

  Status lower(const ScalarInst& inst, int* out) {
    Reg r;
    if (!reg_of(inst.type, &r)) return unsupported("pointwise kernels do not hold type ", name(inst.type));
    const int operands = prim_operands(inst.prim);
    int a[3] = {-1, -1, -1};
    for (int k = 0; k < operands; ++k) a[k] = value_of[size_t(inst.args[k])];
    const DType operand = operands ? program.code[size_t(inst.args[0])].type : inst.type;
    Reg from = r;
    if (operands) reg_of(operand, &from);
    BlockFn fn = nullptr;
    switch (inst.prim) {
      case Prim::input: {
        if (inst.input < 0 || size_t(inst.input) >= code.inputs_.size() || code.inputs_[size_t(inst.input)].type != inst.type)
          return internal_error("pointwise: the program reads input ", inst.input, " as ", name(inst.type));
        if (bits(inst.type) < 8) return unsupported("pointwise kernels do not read packed type ", name(inst.type));
        PointwiseCode::Input& in = code.inputs_[size_t(inst.input)];
        in.load = load_kernel(inst.type);
        in.bytes = bits(inst.type) / 8;
        in.reg_bytes = reg_bytes(r);
        for (size_t v = 0; v < values.size(); ++v)
          if (values[v].input == inst.input) return *out = int(v), Status();
        *out = new_value(r, reg_bytes(r));
        values.back().input = inst.input;
        return {};
      }
      case Prim::constant: *out = constant(inst.type, r, inst.imm, inst.int_imm); return {};
      case Prim::select: *out = emit(select_kernel(reg_bytes(r)), r, {a[0], a[1], a[2]}, inst.prim); return {};
      case Prim::cast: {
        int v = a[0];
        if (from != r) v = emit(cast_kernel(from, r), r, {v}, inst.prim);
        if (narrow_int(inst.type) && operand != inst.type) v = emit(wrap_kernel(inst.type), r, {v}, inst.prim);
        if (narrow_float(inst.type) && operand != inst.type)
          v = emit(round_kernel(inst.type), r, {v}, inst.prim, inst.int_imm);
        *out = v;
        return {};
      }
      case Prim::pow:
        // Small whole exponents are products.
        if (from == Reg::f32 && is_const_f32(a[1])) {
          const float e = const_f32(a[1]);
          if (e == 1) return *out = a[0], Status();
          if (e == 2 || e == 3) {
            *out = emit(f32_kernel(Prim::mul), r, {a[0], a[0]}, Prim::mul);
            if (e == 3) *out = emit(f32_kernel(Prim::mul), r, {*out, a[0]}, Prim::mul);
            return {};
          }
        }
        break;
      case Prim::min:
      case Prim::max:
        if (from == Reg::f32) {
          if (is_const_f32(a[0])) std::swap(a[0], a[1]);
          if (is_const_f32(a[1]) && !std::isnan(const_f32(a[1])))
            fn = f32_fused_kernel(inst.prim == Prim::min ? Fused::min_const : Fused::max_const);
        }
        break;
      default: break;
    }
    if (!fn) fn = from == Reg::f32 ? f32_kernel(inst.prim) : from == Reg::f64 ? f64_kernel(inst.prim) : int_kernel(from, inst.prim);
    if (!fn) return unsupported("pointwise kernels have no ", prim_name(inst.prim), " of ", name(operand));
    int v = operands == 1 ? emit(fn, r, {a[0]}, inst.prim) : emit(fn, r, {a[0], a[1]}, inst.prim);
    const bool may_overflow = inst.prim == Prim::add || inst.prim == Prim::sub || inst.prim == Prim::mul ||
                              inst.prim == Prim::neg || inst.prim == Prim::abs || inst.prim == Prim::div ||
                              inst.prim == Prim::pow || inst.prim == Prim::shift_left || inst.prim == Prim::bit_not ||
                              (inst.prim == Prim::shift_right && is_signed_int(inst.type));
    if (may_overflow && narrow_int(inst.type)) v = emit(wrap_kernel(inst.type), r, {v}, Prim::cast);
    *out = v;
    return {};
  }

  // add or sub of a product that nobody else reads becomes one instruction.
  void fuse() {
    for (Value& v : values) v.uses = 0;
    std::vector<int> maker(values.size(), -1);
    for (size_t k = 0; k < ops.size(); ++k) {
      maker[size_t(ops[k].dst)] = int(k);
      for (int s : ops[k].src)
        if (s >= 0) ++values[size_t(s)].uses;
    }
    for (int o : program.outputs) values[size_t(value_of[size_t(o)])].uses += 2;
    for (Op& op : ops) {
      if ((op.prim != Prim::add && op.prim != Prim::sub) || values[size_t(op.dst)].reg != Reg::f32) continue;
      for (int side = 0; side < 2; ++side) {
        const int p = op.src[side], m = maker[size_t(p)];
        if (m < 0 || ops[size_t(m)].prim != Prim::mul || !ops[size_t(m)].fn || values[size_t(p)].uses != 1) continue;
        const int other = op.src[1 - side];
        op.fn = f32_fused_kernel(op.prim == Prim::add ? Fused::mul_add : side == 0 ? Fused::mul_sub : Fused::neg_mul_add);
        op.src[0] = ops[size_t(m)].src[0];
        op.src[1] = ops[size_t(m)].src[1];
        op.src[2] = other;
        op.prim = Prim::input;  // done with
        ops[size_t(m)].fn = nullptr;
        break;
      }
    }
    std::erase_if(ops, [](const Op& op) { return !op.fn; });
  }

  // Each output leaves by a store kernel, or its last step writes to memory straight away.
  void place_outputs() {
    for (size_t j = 0; j < program.outputs.size(); ++j) {
      const int v = value_of[size_t(program.outputs[j])];
      const DType t = code.outputs_[j];
      Value& value = values[size_t(v)];
      if (BlockFn store = store_kernel(t)) {
        // A store keeps the low bits only, so wrapping before it is no use.
        if (narrow_int(t) && value.uses == 2 && !ops.empty() && ops.back().dst == v && ops.back().fn == wrap_kernel(t)) {
          const int source = ops.back().src[0];
          ops.pop_back();
          const int dst = emit(store, value.reg, {source}, Prim::input, 0, bits(t) / 8);
          values[size_t(dst)].output = int(j);
          continue;
        }
        const int dst = emit(store, value.reg, {v}, Prim::input, 0, bits(t) / 8);
        values[size_t(dst)].output = int(j);
      } else if (value.cell >= 0 || value.input >= 0 || value.output >= 0) {
        const int dst = emit(copy_kernel(value.bytes), value.reg, {v});
        values[size_t(dst)].output = int(j);
      } else {
        value.output = int(j);
      }
    }
  }

  void assign() {
    for (size_t k = 0; k < ops.size(); ++k)
      for (int s : ops[k].src)
        if (s >= 0) values[size_t(s)].last = int(k);
    std::vector<int> slot(values.size(), -1), free_slots;
    std::vector<bool> loaded(values.size(), false);
    int slots = 0;
    bool wide = false;
    auto take = [&](int v) {
      wide |= values[size_t(v)].bytes == 8;
      if (free_slots.empty()) slot[size_t(v)] = slots++;
      else slot[size_t(v)] = free_slots.back(), free_slots.pop_back();
    };
    struct Placed {
      BlockFn fn;
      int dst;
      int src[3];
      int64_t imm;
    };
    std::vector<Placed> placed;
    std::vector<int> input_value(code.inputs_.size(), -1);
    for (size_t v = 0; v < values.size(); ++v)
      if (values[v].input >= 0) input_value[size_t(values[v].input)] = int(v);
    code.cost_ = 1;
    for (size_t k = 0; k < ops.size(); ++k) {
      Op& op = ops[k];
      // Inputs that need conversion get a slot at their first use.
      for (int s : op.src) {
        if (s < 0 || values[size_t(s)].input < 0 || loaded[size_t(s)]) continue;
        loaded[size_t(s)] = true;
        if (code.inputs_[size_t(values[size_t(s)].input)].load) {
          take(s);
          placed.push_back({nullptr, s, {-1, -1, -1}, values[size_t(s)].input});
          ++code.cost_;
        }
      }
      auto release = [&] {
        for (int i = 0; i < 3; ++i) {
          const int s = op.src[i];
          if (s < 0 || values[size_t(s)].last != int(k) || slot[size_t(s)] < 0) continue;
          if (std::count(op.src, op.src + i, s)) continue;
          free_slots.push_back(slot[size_t(s)]);
        }
      };
      // The result may overwrite an operand if both have the same width; kernels read a vector before they write it.
      bool same = true;
      for (int s : op.src) same &= s < 0 || values[size_t(s)].bytes == values[size_t(op.dst)].bytes;
      if (same) release();
      if (values[size_t(op.dst)].output < 0) take(op.dst);
      if (!same) release();
      if (values[size_t(op.dst)].last < 0 && slot[size_t(op.dst)] >= 0) free_slots.push_back(slot[size_t(op.dst)]);
      placed.push_back({op.fn, op.dst, {op.src[0], op.src[1], op.src[2]}, op.imm});
      const bool heavy = op.prim >= Prim::exp && op.prim <= Prim::expm1;
      code.cost_ += heavy || op.prim == Prim::pow || op.prim == Prim::div ? 8 : 1;
    }
    code.num_slots_ = slots;
    code.first_const_ = slots;
    code.first_input_ = code.first_const_ + int(code.consts_.size() / kCell);
    code.first_output_ = code.first_input_ + int(code.inputs_.size());
    code.num_places_ = code.first_output_ + int(code.outputs_.size());
    auto place = [&](int v) {
      if (v < 0) return 0;
      const Value& value = values[size_t(v)];
      if (value.output >= 0) return code.first_output_ + value.output;
      if (value.cell >= 0) return code.first_const_ + value.cell;
      if (value.input >= 0) return code.first_input_ + value.input;
      return slot[size_t(v)];
    };
    for (const Placed& p : placed) {
      if (!p.fn) {  // a load: from the input's memory to a slot, which the input's place then names
        code.steps_.push_back({nullptr, slot[size_t(p.dst)], {int(p.imm), 0, 0}, 0});
      } else {
        PointwiseCode::Step s{p.fn, place(p.dst), {0, 0, 0}, p.imm};
        for (int i = 0; i < 3; ++i) s.src[i] = place(p.src[i]);
        code.steps_.push_back(s);
      }
    }
    for (size_t i = 0; i < code.inputs_.size(); ++i)
      if (input_value[i] >= 0) code.inputs_[i].place = code.first_input_ + int(i);
    // What a block touches should stay in half of L1.
    code.block_ = 1024;
    const int touched = slots + int(code.inputs_.size()) + int(code.outputs_.size());
    while (code.block_ > 256 && touched * code.block_ * (wide ? 8 : 4) > 24576) code.block_ /= 2;
    code.slot_bytes_ = size_t(code.block_) * (wide ? 8 : 4) + kCell;
    // Slots, a cell for each input, and the table of places.
    code.scratch_bytes_ = round_up(size_t(slots) * code.slot_bytes_ + code.inputs_.size() * kCell +
                                       size_t(code.num_places_) * (sizeof(void*) + sizeof(size_t)) + 128,
                                   64);
  }

  Status compile() {
    std::vector<bool> live(program.code.size(), false);
    for (int o : program.outputs) live[size_t(o)] = true;
    for (size_t k = program.code.size(); k-- > 0;)
      if (live[k])
        for (int i = 0; i < prim_operands(program.code[k].prim); ++i) live[size_t(program.code[k].args[i])] = true;
    value_of.assign(program.code.size(), -1);
    for (size_t k = 0; k < program.code.size(); ++k)
      if (live[k])
        if (Status s = lower(program.code[k], &value_of[k]); !s.ok()) return s;
    for (int o : program.outputs) {
      const DType t = program.code[size_t(o)].type;
      if (bits(t) < 8) return unsupported("pointwise kernels do not write packed type ", name(t));
      code.outputs_.push_back(t);
    }
    fuse();
    place_outputs();
    assign();
    return {};
  }
};

Result<PointwiseCode> PointwiseCode::compile(const ScalarProgram& program, const std::vector<DType>& inputs) {
  PointwiseCompiler c{program};
  c.code.inputs_.resize(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) c.code.inputs_[i].type = inputs[i];
  if (Status s = c.compile(); !s.ok()) return s;
  return std::move(c.code);
}

// ---- running -------------------------------------------------------------------------------------------------------

static void spread(char* cell, int bytes) {
  for (int k = bytes; k < kCell; k += bytes) std::memcpy(cell + k, cell, size_t(bytes));
}

void PointwiseCode::run(int64_t n, const PointwiseSource* inputs, void* const* outputs, void* scratch) const {
  char* p = align64(scratch);
  char* slots = p;
  p += size_t(num_slots_) * slot_bytes_;
  char* cells = p;
  p += inputs_.size() * kCell;
  auto** base = reinterpret_cast<char**>(p);
  auto* step = reinterpret_cast<size_t*>(p + size_t(num_places_) * sizeof(void*));
  for (int s = 0; s < num_slots_; ++s) base[s] = slots + size_t(s) * slot_bytes_, step[s] = 1;
  for (int c = first_const_; c < first_input_; ++c)
    base[c] = const_cast<char*>(consts_.data()) + (c - first_const_) * kCell, step[c] = 0;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Input& in = inputs_[i];
    if (in.place < 0) continue;
    base[in.place] = const_cast<char*>(static_cast<const char*>(inputs[i].data));
    step[in.place] = 1;
    if (!inputs[i].scalar || n == 0) continue;
    char* cell = cells + i * kCell;
    if (in.load) in.load({cell, {inputs[i].data}, {1}, 1, 0});
    else std::memcpy(cell, inputs[i].data, size_t(in.bytes));
    spread(cell, in.reg_bytes);
    base[in.place] = cell;
    step[in.place] = 0;
  }
  for (int64_t begin = 0; begin < n; begin += block_) {
    const size_t count = size_t(std::min(block_, n - begin));
    for (size_t j = 0; j < outputs_.size(); ++j) {
      base[size_t(first_output_) + j] = static_cast<char*>(outputs[j]) + begin * (bits(outputs_[j]) / 8);
      step[size_t(first_output_) + j] = 1;
    }
    if (begin != 0)
      for (size_t i = 0; i < inputs_.size(); ++i)
        if (inputs_[i].place >= 0 && !inputs[i].scalar && !inputs_[i].load)
          base[inputs_[i].place] += block_ * inputs_[i].bytes;
    for (const Step& s : steps_) {
      if (s.fn) {
        s.fn({base[s.dst],
              {base[s.src[0]], base[s.src[1]], base[s.src[2]]},
              {step[s.src[0]], step[s.src[1]], step[s.src[2]]},
              count,
              s.imm});
      } else if (const Input& in = inputs_[size_t(s.src[0])]; !inputs[s.src[0]].scalar) {
        in.load({base[s.dst], {static_cast<const char*>(inputs[s.src[0]].data) + begin * in.bytes}, {1}, count, 0});
        base[in.place] = base[s.dst];
      }
    }
  }
}

// ---- planning ------------------------------------------------------------------------------------------------------

Result<PointwisePlan> PointwisePlan::make(PointwiseCode code, const std::vector<Shape>& shapes, const Shape& shape,
                                          const std::vector<Shape>& strides) {
  PointwisePlan plan;
  const size_t rank = shape.size(), count = code.num_inputs();
  // Strides of each operand; a last row for the outputs, which are dense.
  std::vector<Shape> walk(count + 1, Shape(rank, 0));
  walk[count] = row_major_strides(shape);
  for (size_t i = 0; i < count; ++i) {
    if (code.inputs_[i].place < 0) continue;
    if (i < strides.size() && !strides[i].empty()) {
      walk[i] = strides[i];
      continue;
    }
    if (i >= shapes.size() || shapes[i].size() > rank) return internal_error("pointwise: input ", i, " has no shape that fits");
    const Shape own = row_major_strides(shapes[i]);
    const size_t shift = rank - shapes[i].size();
    for (size_t d = 0; d < shapes[i].size(); ++d) {
      if (shapes[i][d] == 1) continue;
      if (shapes[i][d] != shape[shift + d]) return internal_error("pointwise: input ", i, " does not broadcast");
      walk[i][shift + d] = own[d];
    }
  }
  // Drop dims of 1 and join neighbours that every operand walks as one.
  Shape dims;
  std::vector<Shape> s(count + 1);
  bool empty = false;
  for (size_t d = 0; d < rank; ++d) {
    if (shape[d] == 0) empty = true;
    if (shape[d] == 1) continue;
    bool join = !dims.empty();
    for (size_t i = 0; i <= count && join; ++i) join = s[i].back() == walk[i][d] * shape[d];
    if (join) {
      dims.back() *= shape[d];
      for (size_t i = 0; i <= count; ++i) s[i].back() = walk[i][d];
    } else {
      dims.push_back(shape[d]);
      for (size_t i = 0; i <= count; ++i) s[i].push_back(walk[i][d]);
    }
  }
  plan.operands_.resize(count);
  if (empty) dims.clear(), s.assign(count + 1, {});
  // Tiles are pieces of one row where rows are long, and several whole rows where they are short. Operands that do not
  // lie dense (or are not one element) in such a tile are copied out first.
  constexpr int64_t kShortRow = 512, kTile = 1024, kPiece = 16384;
  plan.row_ = dims.empty() ? 1 : dims.back();
  const bool short_rows = dims.size() > 1 && plan.row_ < kShortRow;
  const size_t outer = dims.size() - (short_rows ? 2 : dims.empty() ? 0 : 1);
  plan.rows_ = short_rows ? dims[outer] : 1;
  bool filled = false;
  for (size_t i = 0; i < count; ++i) {
    Operand& o = plan.operands_[i];
    if (code.inputs_[i].place < 0) continue;
    o.bytes = code.inputs_[i].bytes;
    o.element_stride = dims.empty() ? 0 : s[i].back();
    o.row_stride = short_rows ? s[i][outer] : 0;
    const bool rows_follow = !short_rows || o.row_stride == o.element_stride * plan.row_;
    o.walk = o.element_stride == 0 && rows_follow   ? Walk::scalar
             : o.element_stride == 1 && rows_follow ? Walk::contiguous
                                                    : Walk::filled;
    filled |= o.walk == Walk::filled;
  }
  plan.tile_rows_ = short_rows ? std::clamp<int64_t>(kTile / plan.row_, 1, plan.rows_) : 1;
  plan.piece_ = short_rows ? plan.row_ : std::min(plan.row_, filled ? kTile : kPiece);
  size_t staging = 0;
  for (Operand& o : plan.operands_) {
    if (o.walk != Walk::filled) continue;
    o.staging = staging;
    staging += round_up(size_t(plan.tile_rows_ * plan.piece_ * o.bytes), 64);
  }
  plan.outer_.assign(dims.begin(), dims.begin() + int64_t(outer));
  plan.outer_strides_.resize(count);
  for (size_t i = 0; i < count; ++i) plan.outer_strides_[i].assign(s[i].begin(), s[i].begin() + int64_t(outer));
  plan.tiles_per_outer_ = short_rows ? (plan.rows_ + plan.tile_rows_ - 1) / plan.tile_rows_
                                     : (plan.row_ + plan.piece_ - 1) / plan.piece_;
  plan.tiles_ = empty ? 0 : num_elements(plan.outer_) * plan.tiles_per_outer_;
  plan.staging_bytes_ = staging;
  plan.worker_bytes_ = round_up(code.scratch_bytes() + staging + count * (sizeof(Cursor) + sizeof(PointwiseSource)) +
                                    code.num_outputs() * sizeof(void*) + 128,
                                64);
  plan.code_ = std::move(code);
  return plan;
}

template <class T>
static void gather_row(char* to, const char* from, int64_t n, int64_t stride) {
  auto* out = reinterpret_cast<T*>(to);
  auto* in = reinterpret_cast<const T*>(from);
  if (stride == 0) std::fill(out, out + n, *in);
  else if (stride == 1) std::memcpy(out, in, size_t(n) * sizeof(T));
  else
    for (int64_t i = 0; i < n; ++i) out[i] = in[i * stride];
}
static void gather_row(char* to, const char* from, int64_t n, int64_t stride, int bytes) {
  switch (bytes) {
    case 1: return gather_row<uint8_t>(to, from, n, stride);
    case 2: return gather_row<uint16_t>(to, from, n, stride);
    case 4: return gather_row<uint32_t>(to, from, n, stride);
    default: return gather_row<uint64_t>(to, from, n, stride);
  }
}

void PointwisePlan::run_tiles(int64_t begin, int64_t end, const void* const* inputs, void* const* outputs,
                              char* scratch) const {
  const size_t count = operands_.size();
  char* staging = align64(scratch);
  auto* cursors = reinterpret_cast<Cursor*>(staging + staging_bytes_);
  auto* sources = reinterpret_cast<PointwiseSource*>(cursors + count);
  auto** outs = reinterpret_cast<void**>(sources + count);
  char* code_scratch = reinterpret_cast<char*>(outs + code_.num_outputs());
  for (size_t i = 0; i < count; ++i) cursors[i].offset = -1, sources[i] = {};

  for (int64_t t = begin; t < end; ++t) {
    const int64_t outer = t / tiles_per_outer_, inside = t % tiles_per_outer_;
    const int64_t row0 = tile_rows_ == 1 && rows_ == 1 ? 0 : inside * tile_rows_;
    const int64_t rows = rows_ == 1 ? 1 : std::min(tile_rows_, rows_ - row0);
    const int64_t element0 = rows_ == 1 ? inside * piece_ : 0;
    const int64_t length = rows_ == 1 ? std::min(piece_, row_ - element0) : row_;
    for (size_t i = 0; i < count; ++i) {
      const Operand& o = operands_[i];
      if (o.walk == Walk::absent) continue;
      int64_t offset = row0 * o.row_stride + element0 * o.element_stride;
      int64_t rest = outer;
      for (size_t d = outer_.size(); d-- > 0; rest /= outer_[d]) offset += rest % outer_[d] * outer_strides_[i][d];
      const char* from = static_cast<const char*>(inputs[i]) + offset * o.bytes;
      if (o.walk != Walk::filled) {
        sources[i] = {from, o.walk == Walk::scalar};
        continue;
      }
      char* to = staging + o.staging;
      sources[i] = {to, false};
      Cursor& c = cursors[i];
      if (c.offset == offset && c.elements >= rows * length) continue;  // as filled for the tile before
      c = {offset, rows * length};
      for (int64_t r = 0; r < rows; ++r)
        gather_row(to + r * length * o.bytes, from + r * o.row_stride * o.bytes, length, o.element_stride, o.bytes);
    }
    const int64_t at = outer * rows_ * row_ + row0 * row_ + element0;
    for (size_t j = 0; j < code_.num_outputs(); ++j)
      outs[j] = static_cast<char*>(outputs[j]) + at * (bits(code_.output_type(j)) / 8);
    code_.run(rows * length, sources, outs, code_scratch);
  }
}

void PointwisePlan::run(ThreadPool& pool, const void* const* inputs, void* const* outputs, void* scratch) const {
  char* base = align64(scratch);
  parallel_ranges(pool, tiles_, tile_rows_ * piece_ * code_.cost() / 2, [&](int64_t begin, int64_t end, int worker) {
    run_tiles(begin, end, inputs, outputs, base + size_t(worker) * worker_bytes_);
  });
}

}  // namespace tenon::cpu
