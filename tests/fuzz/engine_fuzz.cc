// Bytes as an engine. An input is either a whole file, or the parts of one, "graph text ==== plan JSON ==== weights",
// which are put into a container with the right checksums, so that changes reach what lies behind them.
#include <xxhash.h>

#include <cstring>
#include <string>
#include <vector>

#include "engine/engine_file.h"
#include "engine/format.h"
#include "fuzz_util.h"
#include "ir/random_input.h"
#include "runtime/engine.h"

namespace tenon {

static std::vector<uint8_t> container(const std::vector<std::string_view>& parts) {
  using namespace engine_format;
  static const char* const names[] = {"graph", "plan", "weights"};
  // Weights' offsets are multiples of 4096 from a base that is one, too: nothing to compute but sums.
  std::string body, list;
  for (size_t i = 0; i < 3; ++i) {
    list += cat(i ? "," : "", "{\"name\":\"", names[i], "\",\"offset\":", body.size(), ",\"bytes\":", parts[i].size(), "}");
    body += parts[i];
    body.resize((body.size() + kAlignment - 1) / kAlignment * kAlignment);
  }
  const std::string manifest =
      cat("{\"schema\":\"tenon.engine/1\",\"target\":\"reference\",\"sections\":[", list,
          ",{\"name\":\"report\",\"offset\":0,\"bytes\":0}],\"profiles\":[]}");
  Header h{};
  std::memcpy(h.magic, kMagic, sizeof kMagic);
  h.version = kVersion;
  h.header_bytes = uint32_t(sizeof h);
  h.manifest_offset = sizeof h;
  h.manifest_bytes = manifest.size();
  h.manifest_hash = XXH3_64bits(manifest.data(), manifest.size());
  std::vector<uint8_t> out(sizeof h);
  out.insert(out.end(), manifest.begin(), manifest.end());
  out.resize((out.size() + kAlignment - 1) / kAlignment * kAlignment);
  out.insert(out.end(), body.begin(), body.end());
  h.file_bytes = out.size();
  std::memcpy(out.data(), &h, sizeof h);
  return out;
}

static void load_and_run(std::span<const uint8_t> bytes) {
  (void)read_manifest(bytes).ok();
  auto engine = LoadedEngine::load_bytes(bytes, nullptr, {0, false});
  if (!engine.ok()) return;
  Graph quick = (*engine)->graph();
  if (!is_quick(quick)) return;
  std::vector<Tensor> inputs, outputs;
  for (ValueId v : quick.inputs) {
    auto t = random_input(quick.info(v).dtype, *to_concrete(quick.info(v).shape), uint64_t(v));
    if (!t.ok()) return;
    inputs.push_back(std::move(t).value());
  }
  auto context = Context::create(*engine, {1});
  if (context.ok()) (void)(*context)->run(inputs, outputs).ok();
}

}  // namespace tenon

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view mark = "\n====\n";
  const size_t first = text.find(mark), second = first == text.npos ? first : text.find(mark, first + mark.size());
  if (second == text.npos) {
    tenon::load_and_run({data, size});
    return 0;
  }
  tenon::load_and_run(tenon::container({text.substr(0, first), text.substr(first + mark.size(), second - first - mark.size()),
                                        text.substr(second + mark.size())}));
  return 0;
}
