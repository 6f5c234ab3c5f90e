#include "engine/serialize.h"

#include <xxhash.h>

#include <cstring>

#include "engine/format.h"

namespace tenon {

using nlohmann::json;

int BlobWriter::add(const Tensor& t) {
  const auto* data = static_cast<const uint8_t*>(t.data());
  const int64_t n = t.bytes();
  const uint64_t hash = XXH3_64bits(data, size_t(n));
  auto [first, last] = by_hash_.equal_range(hash);
  int64_t offset = -1;
  for (auto it = first; it != last; ++it) {
    const Blob& b = blobs_[size_t(it->second)];
    if (b.bytes != n || std::memcmp(&bytes_[size_t(b.offset)], data, size_t(n)) != 0) continue;
    if (b.dtype == t.dtype() && b.shape == t.shape()) return it->second;
    offset = b.offset;  // same bytes under another type or shape
  }
  if (offset < 0) {
    bytes_.resize((bytes_.size() + engine_format::kBlobAlignment - 1) / engine_format::kBlobAlignment * engine_format::kBlobAlignment);
    offset = int64_t(bytes_.size());
    bytes_.insert(bytes_.end(), data, data + n);
    // Vector kernels may read a little past the last element.
    bytes_.resize(bytes_.size() + engine_format::kBlobAlignment);
  }
  blobs_.push_back({t.dtype(), t.shape(), offset, n});
  by_hash_.emplace(hash, int(blobs_.size()) - 1);
  return int(blobs_.size()) - 1;
}

json BlobWriter::table() const {
  json out = json::array();
  for (const Blob& b : blobs_)
    out.push_back({{"dtype", name(b.dtype)}, {"shape", b.shape}, {"offset", b.offset}, {"bytes", b.bytes}});
  return out;
}

json tactics_to_json(const std::vector<Tactic>& tactics) {
  json out = json::array();
  for (const Tactic& t : tactics) {
    json j = {{"variant", t.variant}, {"source", t.source == Tactic::model ? "model" : "measured"}};
    if (t.estimate > 0) j["estimate"] = t.estimate;
    if (t.seconds > 0) j["seconds"] = t.seconds, j["spread"] = t.spread;
    if (!t.failure.empty()) j["failure"] = t.failure;
    if (t.chosen) j["chosen"] = true;
    out.push_back(std::move(j));
  }
  return out;
}

json steps_to_json(const std::vector<StepPlan>& steps, BlobWriter& blobs) {
  json out = json::array();
  for (const StepPlan& s : steps) {
    json j = json::object();
    if (!s.image.backend.empty()) {
      j["backend"] = s.image.backend;
      j["kernel"] = s.image.kernel;
    }
    if (!s.image.config.empty()) j["config"] = s.image.config;
    if (!s.reason.empty()) j["reason"] = s.reason;
    if (!s.tactics.empty()) j["tactics"] = tactics_to_json(s.tactics);
    if (s.fallback) j["fallback"] = true;
    if (s.image.strides_output) j["strides_output"] = true;
    if (!s.image.absorbed_inputs.empty()) j["absorbed"] = s.image.absorbed_inputs;
    for (const Tensor& t : s.image.data) j["data"].push_back(blobs.add(t));
    for (const auto& [attr, body] : s.bodies) j["bodies"][attr] = steps_to_json(body, blobs);
    out.push_back(std::move(j));
  }
  return out;
}

static Status damaged_plan() { return make_status(Code::data_loss, "the engine's plan is damaged"); }

static std::string text(const json& o, const char* key) {
  const auto it = o.find(key);
  return it != o.end() && it->is_string() ? it->get<std::string>() : std::string();
}

static Result<std::vector<Tactic>> tactics_from_json(const json& j) {
  std::vector<Tactic> out;
  if (!j.is_array()) return damaged_plan();
  for (const json& o : j) {
    if (!o.is_object()) return damaged_plan();
    Tactic t;
    t.variant = text(o, "variant");
    t.failure = text(o, "failure");
    t.source = text(o, "source") == "measured" ? Tactic::measured : Tactic::model;
    t.chosen = o.value("chosen", json(false)) == json(true);
    for (const auto& [key, to] : {std::pair{"estimate", &t.estimate}, {"seconds", &t.seconds}, {"spread", &t.spread}}) {
      const auto it = o.find(key);
      if (it == o.end()) continue;
      if (!it->is_number() || !(it->get<double>() >= 0)) return damaged_plan();
      *to = it->get<double>();
    }
    out.push_back(std::move(t));
  }
  return out;
}

Result<std::vector<StepPlan>> steps_from_json(const json& j, const std::vector<Tensor>& blobs, int depth) {
  const Status damaged = damaged_plan();
  if (!j.is_array() || depth > 32) return damaged;
  std::vector<StepPlan> out;
  for (const json& o : j) {
    if (!o.is_object()) return damaged;
    StepPlan s;
    s.image.backend = text(o, "backend");
    s.image.kernel = text(o, "kernel");
    s.image.config = text(o, "config");
    s.reason = text(o, "reason");
    s.fallback = o.value("fallback", json(false)) == json(true);
    s.image.strides_output = o.value("strides_output", json(false)) == json(true);
    if (auto it = o.find("tactics"); it != o.end()) s.tactics = TRY(tactics_from_json(*it));
    if (auto it = o.find("absorbed"); it != o.end() && it->is_array())
      for (const json& k : *it) {
        if (!k.is_number_integer()) return damaged;
        s.image.absorbed_inputs.push_back(k.get<int>());
      }
    if (auto it = o.find("data"); it != o.end() && it->is_array())
      for (const json& k : *it) {
        if (!k.is_number_integer() || k.get<int64_t>() < 0 || k.get<int64_t>() >= int64_t(blobs.size())) return damaged;
        s.image.data.push_back(blobs[k.get<size_t>()]);
      }
    if (auto it = o.find("bodies"); it != o.end() && it->is_object())
      for (const auto& [attr, body] : it->items()) s.bodies.emplace_back(attr, TRY(steps_from_json(body, blobs, depth + 1)));
    out.push_back(std::move(s));
  }
  return out;
}

}  // namespace tenon
