#include "autotune/operands.h"

#include <algorithm>

#include "ir/random_input.h"

namespace tenon {

Result<TensorDesc> Operands::describe_value(ValueId v) {
  if (v == kNoValue) return TensorDesc();
  const ValueInfo& info = r_.graph.info(v);
  const auto size = [&](const std::string& s) { return optimum_of(r_, s); };
  TensorDesc d{info.dtype, {}, nullptr};
  for (const Dim& dim : info.shape) {
    const auto n = dim.eval(size);
    CHECK(n.has_value());
    d.shape.push_back(*n);
  }
  if (info.constant) {
    d.value = info.constant.data();
  } else if (info.value) {
    std::vector<int64_t> elements;
    for (const Dim& e : *info.value)
      if (const auto n = e.eval(size)) elements.push_back(*n);
    if (int64_t(elements.size()) == num_elements(d.shape)) {
      values_.push_back(Tensor::of_ints(elements, info.dtype));
      d.value = values_.back().data();
    }
  }
  return d;
}

Status Operands::describe() {
  for (ValueId v : r_.node.inputs) in_.push_back(TRY(describe_value(v)));
  for (ValueId v : r_.node.outputs) out_.push_back(TRY(describe_value(v)));
  return {};
}

Result<std::shared_ptr<Buffer>> Operands::buffer(int64_t bytes) {
  if (bytes < 0) return Status(Code::out_of_memory, "an operand is too large to be measured with");
  auto b = device_.allocate(std::max<int64_t>(bytes, 1));
  if (!b) return Status(Code::out_of_memory, cat("no device memory for an operand of ", human_bytes(uint64_t(bytes))));
  return b;
}

// Random numbers for a large operand are one block over and over: whole bytes of any type, and a length that no tile divides.
Status Operands::fill(Buffer& to, const TensorDesc& d, uint64_t seed) {
  const int64_t elements = num_elements(d.shape), bytes = byte_size(d.dtype, elements);
  if (d.value) return device_.copy(stream_, to.data(), d.value, bytes, Copy::host_to_device);
  constexpr int64_t kBlock = 8 * 8191;
  const Tensor block = TRY(random_input(d.dtype, {std::min(elements, kBlock)}, seed));
  for (int64_t at = 0; at < bytes; at += block.bytes())
    TRY(device_.copy(stream_, static_cast<char*>(to.data()) + at, block.data(), std::min(block.bytes(), bytes - at), Copy::host_to_device));
  return {};
}

Status Operands::place(uint64_t unread, std::vector<const void*>& inputs, std::vector<void*>& outputs) {
  inputs.clear();
  outputs.clear();
  const auto operand = [&](const TensorDesc& d, bool is_output) -> Result<void*> {
    std::shared_ptr<Buffer>& b = placed_[int(is_output ? in_.size() + outputs.size() : inputs.size())];
    if (b) return b->data();
    b = TRY(buffer(byte_size(d.dtype, num_elements(d.shape))));
    if (!is_output) TRY(fill(*b, d, inputs.size() + 1));
    return b->data();
  };
  for (const TensorDesc& d : in_) {
    const bool skip = d.dtype == DType::none || (inputs.size() < 64 && unread >> inputs.size() & 1);
    // What was absorbed has the address of the original, which nobody reads.
    inputs.push_back(skip ? (device_.memory() == kHostMemory ? d.value : nullptr) : TRY(operand(d, false)));
  }
  for (const TensorDesc& d : out_) outputs.push_back(d.dtype == DType::none ? nullptr : TRY(operand(d, true)));
  return {};
}

Result<void*> Operands::scratch(int64_t bytes) {
  if (scratch_.empty() || scratch_.back()->size() < bytes) scratch_.push_back(TRY(buffer(bytes)));
  return scratch_.back()->data();
}

}  // namespace tenon
