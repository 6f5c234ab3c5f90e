// Engines of every version of the format, kept for ever in tests/engines: they open, run, and give what they gave when they
// were written; damaged copies are refused.
#include <cstring>
#include <nlohmann/json.hpp>

#include "engine/engine_file.h"
#include "engine/format.h"
#include "whole.h"

namespace tenon {
namespace {

using Bytes = std::vector<uint8_t>;
namespace format = engine_format;

Bytes kept(const std::string& name) {
  auto file = MappedFile::open(cat(TENON_SOURCE_DIR, "/tests/engines/", name));
  EXPECT_TRUE(file.ok()) << file.status().to_string();
  return file.ok() ? Bytes((*file)->bytes().begin(), (*file)->bytes().end()) : Bytes();
}

const char* const kDigits = "digits-v1.engine";

Status open_status(const Bytes& bytes) { return LoadedEngine::load_bytes(bytes, nullptr).status(); }

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

// The sections of a whole engine: name, offset in the file, size.
struct Section {
  std::string name;
  size_t offset, bytes;
};
std::vector<Section> sections(const Bytes& b) {
  const std::string manifest = *read_manifest(b);
  const size_t base = (sizeof(format::Header) + manifest.size() + format::kAlignment - 1) / format::kAlignment * format::kAlignment;
  std::vector<Section> out;
  const auto parsed = nlohmann::json::parse(manifest);  // outlives the loop over a part of it
  for (const auto& s : parsed["sections"])
    out.push_back({s["name"].get<std::string>(), base + s["offset"].get<size_t>(), s["bytes"].get<size_t>()});
  return out;
}

TEST(EngineFormat, Version1OpensAndGivesItsGoldenOutputs) {
  const Bytes b = kept(kDigits);
  ASSERT_FALSE(b.empty());
  format::Header header;
  std::memcpy(&header, b.data(), sizeof header);
  EXPECT_EQ(header.version, 1u);
  auto engine = LoadedEngine::load_bytes(b, nullptr);
  ASSERT_TRUE(engine.ok()) << engine.status().to_string();
  const EngineContent& content = (*engine)->content();
  EXPECT_EQ(content.target, "reference");
  EXPECT_EQ(content.model_name, "digits");
  EXPECT_EQ((*engine)->graph().output_names, std::vector<std::string>{"probability"});
  ASSERT_EQ(content.golden.source, "reference");
  ASSERT_EQ(content.golden.outputs.size(), 1u);

  auto context = Context::create(*engine, {1});
  ASSERT_TRUE(context.ok());
  std::vector<Tensor> y;
  const Status s = (*context)->run(content.golden.inputs, y);
  ASSERT_TRUE(s.ok()) << s.to_string();
  const Tensor& want = content.golden.outputs[0];
  ASSERT_EQ(y[0].shape(), want.shape());
  EXPECT_EQ(want.shape(), (Shape{1, 10}));
  double sum = 0;
  for (int64_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(y[0].at(i), want.at(i), 1e-6) << i;
    sum += y[0].at(i);
  }
  EXPECT_NEAR(sum, 1, 1e-5);
}

TEST(EngineFormat, AChangedByteInASectionIsRefused) {
  const Bytes b = kept(kDigits);
  std::set<std::string> seen;
  for (const Section& s : sections(b)) {
    seen.insert(s.name);
    for (size_t at : {size_t(0), s.bytes / 3, s.bytes - 1}) {
      Bytes damaged = b;
      damaged[s.offset + at] ^= 0x40;
      const Status status = open_status(damaged);
      EXPECT_EQ(status.code(), Code::data_loss);
      EXPECT_HAS(status.message(), cat("section '", s.name, "' has the wrong checksum"));
      EXPECT_HAS(status.remedy(), "again");
    }
  }
  EXPECT_EQ(seen, (std::set<std::string>{"graph", "plan", "report", "weights"}));
}

TEST(EngineFormat, ANewerVersionIsRefused) {
  Bytes b = kept(kDigits);
  for (int version : {2, 255}) {
    b[8] = uint8_t(version);
    const Status s = open_status(b);
    EXPECT_EQ(s.code(), Code::incompatible);
    EXPECT_HAS(s.message(), cat("format ", version));
    EXPECT_HAS(s.remedy(), "newer Tenon");
  }
}

TEST(EngineFormat, AForeignTargetIsRefused) {
  for (const char* target : {"cpu:mips128", "abacus"}) {
    auto content = read_engine(kept(kDigits), nullptr);
    ASSERT_TRUE(content.ok());
    content->target = target;
    auto bytes = serialize_engine(*content);
    ASSERT_TRUE(bytes.ok()) << bytes.status().to_string();
    const Status s = open_status(*bytes);
    EXPECT_FALSE(s.ok());
    EXPECT_HAS(s.message(), target);
    EXPECT_FALSE(s.remedy().empty()) << s.to_string();
  }
}

TEST(EngineFormat, ATruncatedFileIsRefused) {
  const Bytes b = kept(kDigits);
  for (size_t n : {b.size() - 1, b.size() / 2, size_t(5000), size_t(100)}) {
    const Status s = open_status(Bytes(b.begin(), b.begin() + int64_t(n)));
    EXPECT_EQ(s.code(), Code::data_loss) << n;
    EXPECT_HAS(s.message(), "truncated");
    EXPECT_FALSE(s.remedy().empty());
  }
}

}  // namespace
}  // namespace tenon
