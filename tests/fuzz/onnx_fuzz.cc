// Bytes as an ONNX model: import, compile, and a run where that is quick.
#include "fuzz_util.h"
#include "onnx/import.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto model = tenon::onnx::import_bytes({data, size}, nullptr, "");
  if (model.ok()) tenon::compile_and_run(std::move(model->graph));
  return 0;
}
