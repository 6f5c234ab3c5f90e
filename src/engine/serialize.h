// Helpers of the writer and the reader: the plan as JSON, tensors as references into the weights section.
#pragma once

#include <nlohmann/json.hpp>

#include "engine/content.h"

namespace tenon {

// Collects tensors into one section; equal bytes are stored once. Blobs are numbered in order of first use.
class BlobWriter {
 public:
  int add(const Tensor& t);
  nlohmann::json table() const;                  // [{"dtype", "shape", "offset", "bytes"}]
  std::vector<uint8_t> take_bytes() { return std::move(bytes_); }

 private:
  struct Blob {
    DType dtype;
    Shape shape;
    int64_t offset, bytes;
  };
  std::vector<Blob> blobs_;
  std::vector<uint8_t> bytes_;
  std::multimap<uint64_t, int> by_hash_;
};

// Where a time was measured, by this build or an earlier one, is not told: equal databases are to give equal engines.
nlohmann::json tactics_to_json(const std::vector<Tactic>& tactics);
nlohmann::json steps_to_json(const std::vector<StepPlan>& steps, BlobWriter& blobs);
// `blobs` are the tensors that the numbers mean. Errors: data_loss.
Result<std::vector<StepPlan>> steps_from_json(const nlohmann::json& j, const std::vector<Tensor>& blobs, int depth = 0);

}  // namespace tenon
