// Bytes to engine content. Every number read is checked before it is used: the file may come from anywhere.
#include <xxhash.h>

#include <cstring>

#include "engine/engine_file.h"
#include "engine/format.h"
#include "engine/serialize.h"
#include "ir/text.h"

namespace tenon {

using nlohmann::json;
using namespace engine_format;

static Status damaged(const std::string& what) {
  return Status(Code::data_loss, "the engine file is damaged: " + what, "build it again with `tenon build`");
}

bool looks_like_engine(std::span<const uint8_t> bytes) {
  return bytes.size() >= sizeof kMagic && std::memcmp(bytes.data(), kMagic, sizeof kMagic) == 0;
}

static Result<Header> read_header(std::span<const uint8_t> bytes) {
  if (!looks_like_engine(bytes)) {
    if (bytes.size() >= sizeof kMagic && std::memcmp(bytes.data() + 1, kMagic + 1, 5) == 0)
      return damaged("its first bytes were changed, as a transfer in text mode does");
    return Status(Code::data_loss, "this is not a Tenon engine", "`tenon build MODEL.onnx -o MODEL.engine` makes one");
  }
  Header h;
  if (bytes.size() < sizeof h) return damaged("it ends inside its header");
  std::memcpy(&h, bytes.data(), sizeof h);
  if (h.version != kVersion)
    return Status(Code::incompatible, cat("the engine has format ", h.version, ", this Tenon (", kTenonVersion, ") reads format ", kVersion),
                  h.version > kVersion ? "use a newer Tenon, or build the engine again with this one" : "build the engine again with this Tenon");
  if (h.header_bytes != sizeof h || h.manifest_offset != sizeof h) return damaged("its header is inconsistent");
  if (h.file_bytes != bytes.size())
    return damaged(cat("it has ", bytes.size(), " bytes where its header says ", h.file_bytes, bytes.size() < h.file_bytes ? " (truncated)" : ""));
  if (h.manifest_bytes > bytes.size() - sizeof h) return damaged("its manifest runs past the end");
  if (XXH3_64bits(bytes.data() + sizeof h, h.manifest_bytes) != h.manifest_hash) return damaged("its manifest has the wrong checksum");
  return h;
}

Result<std::string> read_manifest(std::span<const uint8_t> bytes) {
  Header h = TRY(read_header(bytes));
  return std::string(reinterpret_cast<const char*>(bytes.data()) + h.manifest_offset, h.manifest_bytes);
}

namespace {

const json& member(const json& j, const char* key) {
  static const json null;
  if (!j.is_object()) return null;
  auto it = j.find(key);
  return it == j.end() ? null : *it;
}
std::string text(const json& j) { return j.is_string() ? j.get<std::string>() : std::string(); }
int64_t number(const json& j, int64_t fallback) { return j.is_number_integer() ? j.get<int64_t>() : fallback; }

Result<std::map<std::string, std::span<const uint8_t>>> read_sections(std::span<const uint8_t> bytes, const Header& h,
                                                                      const json& manifest, bool verify) {
  std::map<std::string, std::span<const uint8_t>> out;
  const uint64_t base = (sizeof(Header) + h.manifest_bytes + kAlignment - 1) / kAlignment * kAlignment;
  for (const json& s : member(manifest, "sections")) {
    const std::string name = text(member(s, "name"));
    const int64_t offset = number(member(s, "offset"), -1), size = number(member(s, "bytes"), -1);
    if (offset < 0 || size < 0 || base > bytes.size() || uint64_t(offset) > bytes.size() - base ||
        uint64_t(size) > bytes.size() - base - uint64_t(offset))
      return damaged("section '" + escape(name) + "' runs past the end");
    auto part = bytes.subspan(base + uint64_t(offset), uint64_t(size));
    if (verify) {
      char hash[17];
      std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(XXH3_64bits(part.data(), part.size())));
      if (text(member(s, "hash")) != hash) return damaged("section '" + escape(name) + "' has the wrong checksum");
    }
    out[name] = part;
  }
  for (const char* needed : {"graph", "plan", "weights", "report"})
    if (!out.contains(needed)) return damaged(cat("section '", needed, "' is missing"));
  return out;
}

Result<std::vector<Tensor>> read_blobs(const json& table, std::span<const uint8_t> weights, const std::shared_ptr<const void>& owner) {
  std::vector<Tensor> out;
  if (!table.is_array()) return damaged("the table of weights is missing");
  for (const json& b : table) {
    const DType t = dtype_from_name(text(member(b, "dtype")));
    Shape shape;
    for (const json& d : member(b, "shape")) shape.push_back(number(d, -1));
    const int64_t offset = number(member(b, "offset"), -1), size = number(member(b, "bytes"), -1), n = num_elements(shape);
    if (t == DType::none || shape.size() > 64 || n < 0 || n > int64_t(1) << 50 || byte_size(t, n) != size || offset < 0 ||
        offset % int64_t(kBlobAlignment) || offset > int64_t(weights.size()) || size > int64_t(weights.size()) - offset)
      return damaged("an entry of the table of weights is wrong");
    if (owner) {
      out.emplace_back(t, shape, Buffer::borrow(weights.data() + offset, size, owner));
    } else {
      Tensor copy = TRY(Tensor::allocate(t, shape));
      if (size) std::memcpy(copy.data(), weights.data() + offset, size_t(size));
      out.push_back(std::move(copy));
    }
  }
  return out;
}

Result<std::vector<Tensor>> pick(const json& numbers, const std::vector<Tensor>& blobs) {
  std::vector<Tensor> out;
  for (const json& k : numbers) {
    const int64_t i = number(k, -1);
    if (i < 0 || i >= int64_t(blobs.size())) return damaged("it names a weight that it does not have");
    out.push_back(blobs[size_t(i)]);
  }
  return out;
}

// Each node must have its step, and each body of a node its own.
Status check_steps(const Graph& g, const std::vector<StepPlan>& steps) {
  if (g.nodes.size() != steps.size()) return damaged("its plan does not fit its graph");
  for (size_t n = 0; n < steps.size(); ++n)
    for (const auto& [attr, body] : steps[n].bodies) {
      GraphPtr inner = g.nodes[n].attrs.graph(attr);
      if (!inner) return damaged("its plan does not fit its graph");
      TRY(check_steps(*inner, body));
    }
  return {};
}

}  // namespace

Result<EngineContent> read_engine(std::span<const uint8_t> bytes, std::shared_ptr<const void> owner, const EngineReadOptions& options) {
  const Header h = TRY(read_header(bytes));
  const auto* m = bytes.data() + h.manifest_offset;
  const json manifest = json::parse(m, m + h.manifest_bytes, nullptr, false);
  if (manifest.is_discarded()) return damaged("its manifest is not JSON");
  if (text(member(manifest, "schema")) != "tenon.engine/1") return damaged("its manifest has an unknown schema");
  auto sections = TRY(read_sections(bytes, h, manifest, options.verify_checksums));

  EngineContent c;
  c.target = text(member(manifest, "target"));
  c.precision = text(member(manifest, "precision"));
  const json& model = member(manifest, "model");
  c.model_name = text(member(model, "name"));
  c.producer = text(member(model, "producer"));
  c.model_hash = text(member(model, "hash"));
  c.opset = number(member(model, "opset"), 0);
  if (member(model, "metadata").is_object())
    for (const auto& [key, value] : member(model, "metadata").items()) c.metadata[key] = text(value);
  for (const json& p : member(manifest, "profiles")) {
    OptimizationProfile profile;
    if (member(p, "dims").is_object())
      for (const auto& [symbol, r] : member(p, "dims").items())
        profile.dims[symbol] = {number(member(r, "min"), 1), number(member(r, "opt"), 1), number(member(r, "max"), kUnbounded)};
    c.profiles.push_back(std::move(profile));
  }
  auto plan_bytes = sections["plan"];
  const json plan = json::parse(plan_bytes.begin(), plan_bytes.end(), nullptr, false);
  if (plan.is_discarded()) return damaged("its plan is not JSON");
  const std::vector<Tensor> blobs = TRY(read_blobs(member(plan, "blobs"), sections["weights"], owner));
  BlobTable table;
  table.tensors = TRY(pick(member(plan, "graph_blobs"), blobs));
  auto graph = parse({reinterpret_cast<const char*>(sections["graph"].data()), sections["graph"].size()}, &table);
  if (!graph.ok()) return damaged("its graph does not parse: " + graph.status().message());
  c.graph = std::move(graph).value();
  c.steps = TRY(steps_from_json(member(plan, "steps"), blobs));
  TRY(check_steps(c.graph, c.steps));
  auto report = sections["report"];
  c.report.assign(report.begin(), report.end());
  const json& golden = member(plan, "golden");
  c.golden.source = text(member(golden, "source"));
  c.golden.inputs = TRY(pick(member(golden, "inputs"), blobs));
  c.golden.outputs = TRY(pick(member(golden, "outputs"), blobs));
  return c;
}

}  // namespace tenon
