#include "backend/cuda/kernel.h"

#include <algorithm>
#include <cstring>

#include "backend/cuda/recipe.h"
#include "backend/cuda/stream.h"
#include "backend/cuda/tensor_map.h"

namespace tenon::cuda {

namespace {

Status damaged(const std::string& what) { return Status(Code::data_loss, what, "build the engine again"); }

// ---- symbols -----------------------------------------------------------------------------------------------------

// Values of the symbols i0_2, o0_1, p0_16, v1_3 and u1_3 for concrete operands.
class Symbols {
 public:
  Symbols(std::span<const TensorDesc> in, std::span<const TensorDesc> out) : in_(in), out_(out) {}

  Result<int64_t> eval(const Dim& d) const {
    auto v = d.eval([this](const std::string& s) { return value(s); });
    if (!v) return damaged(cat("the step's recipe asks for '", d.to_string(), "', which its operands do not tell"));
    return *v;
  }
  Result<int64_t> eval(const Dim& d, const char* what, int64_t low, int64_t high) const {
    const int64_t v = TRY(eval(d));
    if (v < low || v > high) return invalid_argument("these shapes are too large for the kernel: ", what, " would be ", v);
    return v;
  }

 private:
  std::optional<int64_t> value(const std::string& s) const {
    const size_t bar = s.find('_');
    int64_t operand = 0, element = 0;
    if (bar == s.npos || bar < 2 || !parse_int(s.substr(1, bar - 1), operand) || !parse_int(s.substr(bar + 1), element)) return std::nullopt;
    const auto list = s[0] == 'o' || s[0] == 'p' ? out_ : in_;
    if (operand < 0 || size_t(operand) >= list.size() || element < 0) return std::nullopt;
    const TensorDesc& d = list[size_t(operand)];
    if (d.dtype == DType::none) return std::nullopt;
    if (s[0] == 'p') {
      const int64_t bytes = (d.pitch ? d.pitch : d.shape.empty() ? 1 : d.shape.back()) * bits(d.dtype) / 8;
      if (element == 0 || bytes % element) return std::nullopt;
      return bytes / element;
    }
    if (s[0] == 'i' || s[0] == 'o') {
      if (size_t(element) >= d.shape.size()) return std::nullopt;
      return d.shape[size_t(element)];
    }
    if ((s[0] != 'v' && s[0] != 'u') || !d.value || element >= num_elements(d.shape)) return std::nullopt;
    const int64_t v = load_int(d.dtype, d.value, element);
    return s[0] == 'u' ? std::max<int64_t>(v, 0) : v;
  }
  std::span<const TensorDesc> in_, out_;
};

// ---- launches ----------------------------------------------------------------------------------------------------

// Where an address comes from when the step runs.
struct Address {
  Arg::Kind kind;
  int index;
  int64_t offset;
};

// One kernel with its sizes; addresses are put in when it runs.
struct BoundLaunch {
  Function function = nullptr;
  LaunchConfig config{};
  bool programmatic = false;
  LaunchAttribute attributes[2]{};
  std::vector<uint64_t> words;             // arguments but for maps, eight bytes each
  std::vector<EncodedMap> maps;
  std::vector<void*> params;               // into the two above
  std::vector<std::pair<size_t, Address>> addresses;  // of words
  struct MapArg {
    BoundMap map;
    Address address;
    DevicePtr encoded_for = 0;
  };
  std::vector<MapArg> map_args;            // of maps
};

// The shapes of results whose size the data decides.
struct CountedShapes {
  std::vector<Shape> shapes;  // kCounted where a dimension is what the kernel has found
  int64_t most = 0;
  static constexpr int64_t kCounted = -1;

  Result<std::vector<Shape>> at(int64_t count) const {
    if (count < 0 || count > most) return damaged(cat("its kernel has found ", count, " where there can be at most ", most));
    std::vector<Shape> out = shapes;
    for (Shape& shape : out) std::replace(shape.begin(), shape.end(), kCounted, count);
    return out;
  }
};

class CudaLaunch : public tenon::Launch {
 public:
  CudaLaunch(std::shared_ptr<CudaDevice> device, std::shared_ptr<LoadedModule> module, NodeNames nodes,
             std::vector<std::shared_ptr<Buffer>> data, int64_t scratch, std::vector<BoundLaunch> launches, CountedShapes results)
      : device_(std::move(device)), module_(std::move(module)), nodes_(std::move(nodes)), data_(std::move(data)),
        scratch_(scratch), launches_(std::move(launches)), results_(std::move(results)) {}

  int64_t scratch_bytes() const override { return scratch_; }
  Result<std::vector<Shape>> counted(int64_t count) const override { return results_.at(count); }

  Status run(const LaunchArgs& args) override {
    TRY(device_->alive());
    auto& stream = static_cast<CudaStream&>(args.stream);
    CudaDevice::Current current(*device_);
    for (BoundLaunch& l : launches_) {
      for (const auto& [word, address] : l.addresses) l.words[word] = at(address, args);
      for (size_t k = 0; k < l.map_args.size(); ++k) TRY(encode(l.map_args[k], at(l.map_args[k].address, args), &l.maps[k]));
      TRY(launch(l, stream));
    }
    return {};
  }

 private:
  DevicePtr at(const Address& a, const LaunchArgs& args) const {
    const void* base = nullptr;
    switch (a.kind) {
      case Arg::input: base = args.inputs[a.index]; break;
      case Arg::output: base = args.outputs[a.index]; break;
      case Arg::data: base = data_[size_t(a.index)]->data(); break;
      case Arg::count: base = args.count; break;
      default: base = args.scratch; break;
    }
    return base ? reinterpret_cast<DevicePtr>(base) + DevicePtr(a.offset) : 0;
  }

  Status encode(BoundLaunch::MapArg& m, DevicePtr address, EncodedMap* out) {
    if (m.encoded_for == address) return {};
    if (const int error = encode_map(device_->driver(), m.map, address, out)) return device_->failed(error, "encode a tensor map");
    m.encoded_for = address;
    return {};
  }

  Status launch(BoundLaunch& l, CudaStream& stream) {
    l.config.stream = stream.active();
    // Before 12.3 dependent launches could not be recorded.
    const bool programmatic = l.programmatic && !(stream.recording() && device_->driver().cuda_version < 12030);
    unsigned n = l.attributes[0].id ? 1 : 0;
    if (programmatic) {
      l.attributes[n] = {};
      l.attributes[n].id = kAttributeProgrammatic;
      l.attributes[n++].programmatic = 1;
    }
    l.config.attributes = n ? l.attributes : nullptr;
    l.config.num_attributes = n;
    if (const int error = device_->driver().launch(&l.config, l.function, l.params.data(), nullptr))
      return stream.failed(error, "launch a kernel");
    stream.issued(nodes_);
    return {};
  }

  std::shared_ptr<CudaDevice> device_;
  std::shared_ptr<LoadedModule> module_;
  NodeNames nodes_;
  std::vector<std::shared_ptr<Buffer>> data_;
  const int64_t scratch_;
  std::vector<BoundLaunch> launches_;
  const CountedShapes results_;
};

// ---- the kernel --------------------------------------------------------------------------------------------------

class CudaKernel : public Kernel {
 public:
  std::shared_ptr<CudaDevice> device;
  Recipe recipe;
  std::shared_ptr<LoadedModule> module;
  std::vector<Function> functions;  // of the recipe's launches
  std::vector<std::shared_ptr<Buffer>> data;
  NodeNames nodes;
  uint32_t unread = 0;

  uint32_t unread_inputs() const override { return unread; }
  uint32_t value_inputs() const override { return recipe.value_inputs; }
  bool counts() const override { return !recipe.results.empty(); }
  Result<std::vector<Shape>> largest(std::span<const TensorDesc> in) const override {
    const CountedShapes results = TRY(counted_shapes(Symbols(in, {})));
    return results.at(results.most);
  }
  void list_memory(HeldMemory& out) const override {
    out[module.get()] = module->bytes;
    for (const auto& buffer : data) device->list_memory(*buffer, out);
  }

  Result<std::unique_ptr<Launch>> bind(std::span<const TensorDesc> in, std::span<const TensorDesc> out, Stream&) const override {
    TRY(device->alive());
    const Symbols symbols(in, out);
    for (const Dim& d : recipe.below_2g) {
      const int64_t v = TRY(symbols.eval(d));
      if (v >= int64_t(1) << 31)
        return invalid_argument("its kernel counts elements with 32 bits, these shapes have ", v).with_remedy("a smaller batch");
    }
    std::vector<BoundLaunch> launches;
    for (size_t i = 0; i < recipe.launches.size(); ++i) {
      const KernelLaunch& l = recipe.launches[i];
      bool empty = false;
      for (const Dim& g : l.grid) empty = empty || TRY(symbols.eval(g)) == 0;
      if (empty) continue;
      // In place: parameters point into it.
      launches.emplace_back();
      TRY(bind_launch(l, functions[i], symbols, launches.back()));
    }
    for (BoundLaunch& l : launches) point_params(l);
    const int64_t scratch = TRY(symbols.eval(recipe.scratch, "its scratch memory", 0, int64_t(1) << 50));
    return std::unique_ptr<Launch>(std::make_unique<CudaLaunch>(device, module, nodes, data, scratch, std::move(launches), TRY(counted_shapes(symbols))));
  }

 private:
  Result<CountedShapes> counted_shapes(const Symbols& symbols) const {
    CountedShapes out;
    for (const SymShape& shape : recipe.results) {
      out.shapes.emplace_back();
      for (const Dim& d : shape)
        out.shapes.back().push_back(d == Dim::symbol("count") ? CountedShapes::kCounted : TRY(symbols.eval(d, "a result", 0, INT64_MAX)));
    }
    out.most = TRY(symbols.eval(recipe.most, "a result", 0, INT64_MAX));
    return out;
  }

  static constexpr uint64_t kMapParam = ~uint64_t(0);

  Status bind_launch(const KernelLaunch& l, Function f, const Symbols& symbols, BoundLaunch& out) const {
    out.function = f;
    LaunchConfig& c = out.config;
    c.grid_x = unsigned(TRY(symbols.eval(l.grid[0], "its grid", 1, INT32_MAX)));
    c.grid_y = unsigned(TRY(symbols.eval(l.grid[1], "its grid", 1, 65535)));
    c.grid_z = unsigned(TRY(symbols.eval(l.grid[2], "its grid", 1, 65535)));
    c.block_x = unsigned(TRY(symbols.eval(l.block[0], "its block", 1, 1024)));
    c.block_y = unsigned(TRY(symbols.eval(l.block[1], "its block", 1, 1024)));
    c.block_z = unsigned(TRY(symbols.eval(l.block[2], "its block", 1, 64)));
    c.shared_bytes = unsigned(TRY(symbols.eval(l.shared, "its shared memory", 0, device->gpu().shared_per_block)));
    TRY(module->allow_shared(f, int(c.shared_bytes)));
    const bool hopper = device->gpu().major >= 9;
    out.programmatic = l.programmatic && hopper;
    if (l.cluster > 1) {
      if (!hopper) return make_status(Code::incompatible, "its kernel runs in clusters, which this GPU does not have");
      out.attributes[0].id = kAttributeCluster;
      out.attributes[0].cluster = {unsigned(l.cluster), 1, 1};
      if (l.cluster > 8)
        if (const int error = device->driver().function_attribute(f, kNonPortableCluster, 1)) return device->failed(error, "allow large clusters");
    }
    for (const Arg& a : l.args) TRY(bind_arg(a, symbols, out));
    return {};
  }

  static Status bind_arg(const Arg& a, const Symbols& symbols, BoundLaunch& out) {
    const int64_t value = TRY(symbols.eval(a.value));
    const size_t word = out.words.size();
    switch (a.kind) {
      case Arg::i32: {
        const int64_t v = TRY(symbols.eval(a.value, "a size", INT32_MIN, INT32_MAX));
        out.words.push_back(uint32_t(int32_t(v)));
        break;
      }
      case Arg::i64: out.words.push_back(uint64_t(value)); break;
      case Arg::f32: {
        const float f = float(a.number);
        uint32_t bits;
        std::memcpy(&bits, &f, 4);
        out.words.push_back(bits);
        break;
      }
      case Arg::tensor_map: {
        auto eval = [&](const Dim& d) { return symbols.eval(d); };
        out.map_args.push_back({TRY(bind_map(a.map, eval)), {a.base, a.index, value}});
        out.maps.emplace_back();
        out.params.push_back(reinterpret_cast<void*>(kMapParam));
        return {};
      }
      default:
        out.words.push_back(0);
        out.addresses.push_back({word, {a.kind, a.index, value}});
    }
    out.params.push_back(nullptr);
    return {};
  }

  // Once nothing grows any more.
  static void point_params(BoundLaunch& l) {
    size_t word = 0, map = 0;
    for (void*& p : l.params) p = p ? static_cast<void*>(&l.maps[map++]) : &l.words[word++];
  }
};

// What a damaged engine could get wrong, so that a launch need not look again.
Status check_args(const Recipe& recipe, const KernelSource& source) {
  const Node& node = source.node;
  auto present = [](const std::vector<ValueId>& list, int i) { return size_t(i) < list.size() && list[size_t(i)] != kNoValue; };
  if (!recipe.results.empty() && recipe.results.size() != node.outputs.size()) return damaged("the step's recipe has not a shape for each result");
  for (const KernelLaunch& l : recipe.launches)
    for (const Arg& a : l.args) {
      const Arg::Kind kind = a.kind == Arg::tensor_map ? a.base : a.kind;
      if ((kind == Arg::input && !present(node.inputs, a.index)) || (kind == Arg::output && !present(node.outputs, a.index)) ||
          (kind == Arg::count && recipe.results.empty()) || (kind == Arg::data && size_t(a.index) + 1 >= source.image.data.size()))
        return damaged("the step's recipe names an operand that it does not have");
    }
  return {};
}

}  // namespace

Result<std::unique_ptr<Kernel>> load_kernel(std::shared_ptr<CudaDevice> device, const KernelSource& source) {
  const KernelImage& image = source.image;
  auto k = std::make_unique<CudaKernel>();
  k->device = device;
  k->recipe = TRY(Recipe::parse(image.config));
  if (image.data.empty() || !image.data[0] || image.data[0].bytes() == 0) return damaged("the step has no machine code");
  TRY(check_args(k->recipe, source));
  k->unread = k->recipe.unread_inputs(source.node.inputs.size());
  k->module = TRY(device->load_module(image.data[0]));
  for (const KernelLaunch& l : k->recipe.launches) k->functions.push_back(TRY(k->module->function(l.kernel)));
  for (size_t i = 1; i < image.data.size(); ++i) k->data.push_back(TRY(device->upload(image.data[i])));
  k->nodes = std::make_shared<std::vector<std::string>>(1, describe(source.node));
  return std::unique_ptr<Kernel>(std::move(k));
}

}  // namespace tenon::cuda
