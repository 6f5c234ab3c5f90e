// Engine content to bytes.
#include <xxhash.h>

#include <cstring>

#include "engine/engine_file.h"
#include "engine/format.h"
#include "engine/serialize.h"
#include "ir/text.h"

namespace tenon {

using nlohmann::json;
using namespace engine_format;

// Names of a model need not be UTF-8, which JSON must be.
static constexpr auto kReplace = json::error_handler_t::replace;

static json value_json(const Graph& g, ValueId v, const std::string& label) {
  const ValueInfo& info = g.info(v);
  json shape = json::array();
  if (info.ranked)
    for (const Dim& d : info.shape) d.is_const() ? shape.push_back(d.constant()) : shape.push_back(d.to_string());
  json j = {{"name", label}, {"dtype", name(info.dtype)}};
  j["shape"] = info.ranked ? shape : json(nullptr);
  return j;
}

static json profiles_json(const std::vector<OptimizationProfile>& profiles) {
  json out = json::array();
  for (const OptimizationProfile& p : profiles) {
    json dims = json::object();
    for (const auto& [symbol, r] : p.dims)
      dims[symbol] = {{"min", r.min}, {"opt", r.opt}, {"max", r.max == kUnbounded ? json(nullptr) : json(r.max)}};
    out.push_back({{"dims", dims}});
  }
  return out;
}

namespace {
struct Section {
  std::string name;
  std::vector<uint8_t> bytes;
};
std::vector<uint8_t> to_bytes(const std::string& s) { return {s.begin(), s.end()}; }
uint64_t align(uint64_t v) { return (v + kAlignment - 1) / kAlignment * kAlignment; }
std::string hex(uint64_t v) {
  char buffer[17];
  std::snprintf(buffer, sizeof buffer, "%016llx", static_cast<unsigned long long>(v));
  return buffer;
}
}  // namespace

// The graph as stored: constants that kernels have absorbed are not kept.
static Graph without_absorbed(const EngineContent& c) {
  Graph g = c.graph;
  std::vector<bool> read(g.values.size());
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    const auto& absorbed = c.steps[n].image.absorbed_inputs;
    for (size_t i = 0; i < g.nodes[n].inputs.size(); ++i) {
      const bool gone = std::find(absorbed.begin(), absorbed.end(), int(i)) != absorbed.end();
      if (g.nodes[n].inputs[i] != kNoValue && !gone) read[size_t(g.nodes[n].inputs[i])] = true;
    }
  }
  for (ValueId v : g.outputs) read[size_t(v)] = true;
  for (size_t v = 0; v < g.values.size(); ++v)
    if (g.values[v].is_constant() && !read[v]) {
      // Its type and shape stay, which inference needs; its bytes go.
      Tensor& t = g.values[v].info.constant;
      if (!is_float(t.dtype()) || t.size() <= 64) continue;
      if (auto zeros = Buffer::zeros(t.bytes())) t = Tensor(t.dtype(), t.shape(), zeros);
    }
  return g;
}

Result<std::vector<uint8_t>> serialize_engine(const EngineContent& c) {
  CHECK(c.steps.size() == c.graph.nodes.size());
  BlobWriter blobs;
  BlobTable table;
  const std::string text = print(without_absorbed(c), &table);
  std::vector<int> numbers;
  for (const Tensor& t : table.tensors) numbers.push_back(blobs.add(t));
  json golden = {{"source", c.golden.source}, {"inputs", json::array()}, {"outputs", json::array()}};
  for (const Tensor& t : c.golden.inputs) golden["inputs"].push_back(blobs.add(t));
  for (const Tensor& t : c.golden.outputs) golden["outputs"].push_back(blobs.add(t));
  json plan = {{"graph_blobs", numbers}, {"steps", steps_to_json(c.steps, blobs)}, {"golden", golden}};
  plan["blobs"] = blobs.table();

  std::vector<Section> sections;
  sections.push_back({"graph", to_bytes(text)});
  sections.push_back({"plan", to_bytes(plan.dump(-1, ' ', false, kReplace))});
  sections.push_back({"report", to_bytes(c.report)});
  sections.push_back({"weights", blobs.take_bytes()});

  json manifest = {{"schema", "tenon.engine/1"},
                   {"tenon", kTenonVersion},
                   {"target", c.target},
                   {"precision", c.precision},
                   {"model", {{"name", c.model_name}, {"producer", c.producer}, {"opset", c.opset}, {"hash", c.model_hash}}},
                   {"profiles", profiles_json(c.profiles)}};
  if (!c.metadata.empty()) manifest["model"]["metadata"] = c.metadata;
  manifest["inputs"] = json::array();
  manifest["outputs"] = json::array();
  for (ValueId v : c.graph.inputs) manifest["inputs"].push_back(value_json(c.graph, v, c.graph.value(v).name));
  for (size_t i = 0; i < c.graph.outputs.size(); ++i)
    manifest["outputs"].push_back(value_json(c.graph, c.graph.outputs[i], c.graph.output_names[i]));

  // Offsets are counted from the end of the manifest's page, so that they do not depend on its length.
  uint64_t at = 0;
  for (const Section& s : sections) {
    manifest["sections"].push_back({{"name", s.name}, {"offset", at}, {"bytes", s.bytes.size()},
                                    {"hash", hex(XXH3_64bits(s.bytes.data(), s.bytes.size()))}});
    at = align(at + s.bytes.size());
  }
  const std::string manifest_text = manifest.dump(1, ' ', false, kReplace);
  const uint64_t base = align(sizeof(Header) + manifest_text.size());
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kVersion;
  header.header_bytes = sizeof(Header);
  header.manifest_offset = sizeof(Header);
  header.manifest_bytes = manifest_text.size();
  header.manifest_hash = XXH3_64bits(manifest_text.data(), manifest_text.size());
  header.file_bytes = base + at;

  std::vector<uint8_t> out(header.file_bytes);
  std::memcpy(out.data(), &header, sizeof header);
  std::memcpy(out.data() + sizeof header, manifest_text.data(), manifest_text.size());
  at = base;
  for (const Section& s : sections) {
    if (!s.bytes.empty()) std::memcpy(out.data() + at, s.bytes.data(), s.bytes.size());
    at = align(at + s.bytes.size());
  }
  return out;
}

}  // namespace tenon
