// The engine file: what is written is read back, and every damage is refused with its place and the remedy.
#include "engine/engine_file.h"

#include <xxhash.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "engine/format.h"
#include "runtime/testing.h"

namespace tenon {
namespace {

using testing::make_content;
using Bytes = std::vector<uint8_t>;

EngineContent sample() {
  EngineContent c = make_content(R"(graph "net" (%x: f32[n, 4], %c: bool[]) -> (%y "out") {
    const %w: f32[4, 40] = random 3
    const %b: f32[40] = random 4
    %m = MatMul(%x, %w)
    %a = Add(%m, %b)
    %y = If(%c, %a) {captures=1,
      then_branch=graph "t" (%p: f32[n, 40]) -> (%q) { %q = Relu(%p) },
      else_branch=graph "e" (%p: f32[n, 40]) -> (%q) { %q = Neg(%p) }}
  })", "reference");
  c.producer = "pytest \xff";
  c.opset = 21;
  c.model_hash = "0123";
  c.profiles.push_back({{{"n", {1, 2, kUnbounded}}}});
  c.golden.source = "reference";
  c.golden.inputs = {testing::ramp({1, 4}), Tensor::scalar_int(1, DType::boolean)};
  c.golden.outputs = {testing::ramp({1, 40})};
  return c;
}

Bytes written() {
  auto bytes = serialize_engine(sample());
  EXPECT_TRUE(bytes.ok()) << bytes.status().message();
  return bytes.ok() ? *bytes : Bytes();
}

std::string error(const Bytes& b, Code code = Code::data_loss) {
  auto e = read_engine(b, nullptr);
  if (e.ok()) return "no error";
  EXPECT_EQ(e.status().code(), code) << e.status().to_string();
  EXPECT_FALSE(e.status().remedy().empty()) << e.status().to_string();
  return e.status().message();
}

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(EngineFile, RoundTripGivesTheSameBytes) {
  const Bytes b = written();
  EXPECT_EQ(b, written());
  EXPECT_TRUE(looks_like_engine(b));
  auto e = read_engine(b, nullptr);
  ASSERT_TRUE(e.ok()) << e.status().to_string();
  const EngineContent want = sample();
  EXPECT_EQ(print(e->graph), print(want.graph));
  EXPECT_EQ(e->target, want.target);
  EXPECT_EQ(e->opset, 21);
  EXPECT_EQ(e->model_hash, "0123");
  EXPECT_EQ(e->profiles.size(), 1u);
  EXPECT_EQ(e->profiles[0].dims.at("n").max, kUnbounded);
  ASSERT_EQ(e->steps.size(), want.steps.size());
  EXPECT_EQ(e->steps[2].bodies.size(), 2u);
  EXPECT_TRUE(e->golden.outputs[0].identical(want.golden.outputs[0]));
  auto again = serialize_engine(*e);
  ASSERT_TRUE(again.ok());
  auto third = read_engine(*again, nullptr);
  ASSERT_TRUE(third.ok());
  EXPECT_EQ(*serialize_engine(*third), *again);
}

TEST(EngineFile, WeightsStayInTheOwnersMemory) {
  auto b = std::make_shared<const Bytes>(written());
  auto e = read_engine(*b, b);
  ASSERT_TRUE(e.ok());
  const Graph& g = e->graph;
  int inside = 0;
  for (const Value& v : g.values)
    if (v.is_constant() && v.info.constant.size() > 64) {
      const auto* p = static_cast<const uint8_t*>(v.info.constant.data());
      inside += p >= b->data() && p < b->data() + b->size();
      EXPECT_EQ((p - b->data()) % int64_t(engine_format::kBlobAlignment), 0);
    }
  EXPECT_GE(inside, 1);
}

TEST(EngineFile, TruncationIsRefusedEverywhere) {
  const Bytes b = written();
  for (size_t n = 0; n < b.size(); n += n < 512 ? 1 : 509) {
    const std::string what = error(Bytes(b.begin(), b.begin() + int64_t(n)));
    if (n < sizeof engine_format::kMagic) EXPECT_HAS(what, "not a Tenon engine");
    else if (n < sizeof(engine_format::Header)) EXPECT_HAS(what, "inside its header");
    else EXPECT_HAS(what, "truncated");
  }
  Bytes longer = b;
  longer.push_back(0);
  EXPECT_HAS(error(longer), "header says");
}

TEST(EngineFile, AFlippedBitIsRefusedAndTheSectionNamed) {
  const Bytes b = written();
  auto text = read_manifest(b);
  ASSERT_TRUE(text.ok());
  const auto manifest = nlohmann::json::parse(*text);
  using namespace engine_format;
  const size_t base = (sizeof(Header) + text->size() + kAlignment - 1) / kAlignment * kAlignment;
  int sections = 0;
  for (const auto& s : manifest["sections"]) {
    const auto size = s["bytes"].get<size_t>();
    if (!size) continue;
    ++sections;
    for (size_t at : {size_t(0), size / 2, size - 1}) {
      Bytes damaged = b;
      damaged[base + s["offset"].get<size_t>() + at] ^= 0x10;
      EXPECT_HAS(error(damaged), cat("section '", s["name"].get<std::string>(), "' has the wrong checksum"));
    }
  }
  EXPECT_GE(sections, 4);
  for (size_t at : {sizeof(Header), sizeof(Header) + text->size() / 2}) {
    Bytes damaged = b;
    damaged[at] ^= 1;
    EXPECT_HAS(error(damaged), "manifest has the wrong checksum");
  }
}

TEST(EngineFile, OtherVersionsAreRefusedWithTheRemedy) {
  Bytes b = written();
  b[8] = 9;
  EXPECT_HAS(error(b, Code::incompatible), "format 9");
  EXPECT_HAS(read_engine(b, nullptr).status().remedy(), "newer Tenon");
  b[8] = 0;
  EXPECT_HAS(error(b, Code::incompatible), "format 0");
}

TEST(EngineFile, ATransferInTextModeIsRecognised) {
  Bytes b = written();
  Bytes stripped = b;
  stripped[0] &= 0x7f;
  EXPECT_HAS(error(stripped), "text mode");
  Bytes joined = b;  // CR LF became LF
  joined.erase(joined.begin() + 6);
  EXPECT_HAS(error(joined), "text mode");
  EXPECT_HAS(error(Bytes(100, 'x')), "not a Tenon engine");
}

// Any manifest and sections with right checksums.
Bytes forge(Bytes b, const std::string& from, const std::string& to) {
  using namespace engine_format;
  Header h;
  std::memcpy(&h, b.data(), sizeof h);
  const auto at = std::search(b.begin(), b.end(), from.begin(), from.end());
  EXPECT_NE(at, b.end()) << from;
  EXPECT_EQ(from.size(), to.size());
  if (at == b.end() || from.size() != to.size()) return b;
  std::copy(to.begin(), to.end(), at);
  h.manifest_hash = XXH3_64bits(b.data() + sizeof h, h.manifest_bytes);
  std::memcpy(b.data(), &h, sizeof h);
  return b;
}

TEST(EngineFile, RightChecksumsDoNotMakeItRight) {
  const Bytes b = written();
  auto read = [&](const std::string& from, const std::string& to) {
    auto e = read_engine(forge(b, from, to), nullptr, {false});
    return e.ok() ? std::string("no error") : e.status().message();
  };
  EXPECT_HAS(read("tenon.engine/1", "tenon.engine/7"), "unknown schema");
  EXPECT_HAS(read("\"name\": \"plan\"", "\"name\": \"plam\""), "'plan' is missing");
  EXPECT_HAS(read("graph \"net\"", "graph  net\""), "does not parse");
  EXPECT_HAS(read("\"steps\"", "\"stepz\""), "damaged");
  EXPECT_HAS(read("\"blobs\"", "\"blobz\""), "table of weights");
  EXPECT_HAS(read("\"graph_blobs\"", "\"graph_blobz\""), "does not parse");
  EXPECT_HAS(read("\"then_branch\"", "\"then_brunch\""), "does not fit");
}

TEST(EngineFile, RandomDamageNeverCrashes) {
  const Bytes b = written();
  uint64_t state = 1;
  for (int round = 0; round < 3000; ++round) {
    Bytes damaged = b;
    for (int k = 0; k < 3; ++k) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      damaged[size_t(state >> 33) % damaged.size()] = uint8_t(state >> 20);
    }
    auto e = read_engine(damaged, nullptr, {false});
    if (e.ok()) (void)testing::load(*e).ok();
  }
}

}  // namespace
}  // namespace tenon
