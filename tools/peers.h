// Other runtimes on the same model and inputs: onnxruntime, openvino, in a Python process of their own.
#pragma once

#include <string>
#include <vector>

#include "base/tensor.h"

namespace tenon::cli {

const std::vector<std::string>& peer_names();

struct PeerRequest {
  std::string name, model;                       // an ONNX file
  std::vector<std::string> input_names, output_names;
  std::vector<Tensor> inputs;
  int threads = 1;
  double duration = 0, warmup = 0;               // seconds; 0: one run, for its outputs only
};
struct PeerAnswer {
  std::string version;
  std::vector<Tensor> outputs;
  std::vector<double> seconds;                   // of each run
  double memory_mib = 0;                         // peak of the process that ran it
};
// Python is $TENON_PYTHON, else .venv beside the program's source tree, else python3. Errors: unavailable, saying what
// is missing.
Result<PeerAnswer> ask_peer(const PeerRequest& request);

}  // namespace tenon::cli
