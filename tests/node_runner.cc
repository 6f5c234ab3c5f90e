// Runs test cases in ONNX's layout: [--device NAME] [--precision fp16] DIR...; without a device by the interpreter; the
// device cuda-emulated is the backend cuda on a GPU that the host emulates. With
// --largest 1e-4 floats may differ by that part of the largest magnitude. Each case runs three times on a device and must
// give the same bits. DIR/model.onnx, DIR/test_data_set_K/{input,output}_N.pb.
#include <dirent.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "backend/compiler.h"
#include "base/mapped_file.h"
#include "compiler/compile.h"
#include "ir/interpreter.h"
#include "onnx/import.h"
#include "onnx/tensor.h"
#include "runtime/engine.h"
#if defined(TENON_CUDA_EMULATOR)
#include "cuda_emulator/emulated_driver.h"
#endif

using namespace tenon;

static Result<Tensor> read_tensor(const std::string& path) {
  auto file = TRY(MappedFile::open(path));
  onnx::TensorProto proto = TRY(onnx::decode_tensor(file->bytes()));
  onnx::TensorSource source(file, "");
  return source.load(proto);
}

static std::vector<Result<Tensor>> read_all(const std::string& set, const char* prefix) {
  std::vector<Result<Tensor>> out;
  for (int k = 0;; ++k) {
    auto t = read_tensor(cat(set, "/", prefix, "_", k, ".pb"));
    if (!t.ok() && t.status().code() == Code::not_found) return out;
    out.push_back(std::move(t));
  }
}

// Largest difference in units of the largest magnitude; for whole networks. 0: element by element, as ONNX's runner does.
static double largest_tolerance = 0;

static Status compare_largest(const Tensor& got, const Tensor& want) {
  double largest = 0, difference = 0;
  for (int64_t i = 0; i < got.size(); ++i) {
    const double a = got.at(i), b = want.at(i);
    if (std::isnan(a) != std::isnan(b)) return internal_error("element ", i, " is ", a, ", expected ", b);
    if (std::isfinite(b)) largest = std::max(largest, std::fabs(b));
    if (std::isfinite(a) || std::isfinite(b)) difference = std::max(difference, std::fabs(a - b));
  }
  std::printf("%.1e ", largest > 0 ? difference / largest : difference);
  if (!(difference <= largest_tolerance * largest)) return internal_error("differs by ", difference, ", largest magnitude ", largest);
  return {};
}

static Status compare(const Tensor& got, const Tensor& want) {
  if (got.dtype() != want.dtype()) return internal_error("type ", name(got.dtype()), ", expected ", name(want.dtype()));
  if (got.shape() != want.shape()) return internal_error("shape ", got.shape(), ", expected ", want.shape());
  if (largest_tolerance > 0 && is_float(got.dtype())) return compare_largest(got, want);
  for (int64_t i = 0; i < got.size(); ++i) {
    if (!is_float(got.dtype())) {
      if (got.int_at(i) != want.int_at(i)) return internal_error("element ", i, " is ", got.int_at(i), ", expected ", want.int_at(i));
      continue;
    }
    double a = got.at(i), b = want.at(i);
    if (std::isnan(a) && std::isnan(b)) continue;
    if (a == b) continue;
    double rtol = bits(got.dtype()) == 16 ? 1e-2 : 1e-3, atol = 1e-6;
    if (!(std::fabs(a - b) <= atol + rtol * std::fabs(b))) return internal_error("element ", i, " is ", a, ", expected ", b);
  }
  return {};
}

static Status run_case(const std::string& dir, const std::string& device, const std::string& precision) {
  auto model = TRY(onnx::import_file(dir + "/model.onnx"));
  std::unique_ptr<Context> context;
  if (!device.empty()) {
    BuildOptions options;
    options.device = device;
    options.golden = false;
    options.precision = precision;
    auto built = TRY(compile_model(model, "", options));
    auto engine = TRY(LoadedEngine::load_bytes(built.bytes, nullptr));
    context = TRY(Context::create(engine, {.threads = 2}));
  }
  const bool deterministic = std::all_of(model.graph.nodes.begin(), model.graph.nodes.end(), [](const Node& n) { return n.op->deterministic; });
  for (int k = 0;; ++k) {
    std::string set = cat(dir, "/test_data_set_", k);
    if (DIR* d = opendir(set.c_str())) closedir(d);
    else return k ? Status() : internal_error("no data");
    std::vector<Tensor> inputs;
    for (auto& t : read_all(set, "input")) inputs.push_back(TRY(t));
    if (inputs.size() > model.graph.inputs.size()) inputs.resize(model.graph.inputs.size());
    std::vector<Tensor> outputs;
    if (context) {
      TRY(context->run(inputs, outputs));
      for (int again = 0; again < 2; ++again) {  // the later ones may be replays of a recording
        std::vector<Tensor> repeated;
        TRY(context->run(inputs, repeated));
        for (size_t i = 0; i < outputs.size(); ++i)
          if (deterministic && !repeated[i].identical(outputs[i])) return internal_error("output ", i, " differs when it runs again");
      }
    } else outputs = TRY(interpret(model.graph, std::move(inputs)));
    auto want = read_all(set, "output");
    for (size_t i = 0; i < want.size(); ++i) TRY(compare(outputs[i], TRY(want[i])).with_prefix(cat("output ", i, ": ")));
  }
}

int main(int argc, char** argv) {
  int passed = 0, failed = 0, refused = 0;
  std::string device, precision = "fp32";
  std::shared_ptr<Device> held;  // opening a GPU anew for each case would take long
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--device") {
      device = argv[++i];
#if defined(TENON_CUDA_EMULATOR)
      if (device == "cuda-emulated") {
        emulator::install();
        device = "cuda";
      }
#endif
      continue;
    }
    if (std::string(argv[i]) == "--precision") {
      precision = argv[++i];
      continue;
    }
    if (std::string(argv[i]) == "--largest") {
      largest_tolerance = std::atof(argv[++i]);
      continue;
    }
    if (!held && !device.empty())
      if (auto compiler = create_compiler(device, ""); compiler.ok())
        if (auto opened = open_device((*compiler)->target()); opened.ok()) held = *opened;
    std::printf("%s: ", argv[i]);
    std::fflush(stdout);
    Status s = run_case(argv[i], device, precision);
    const bool refusal = s.code() == Code::unsupported;
    (s.ok() ? passed : refusal ? refused : failed)++;
    std::printf("%s %s\n", s.ok() ? "ok" : refusal ? "REFUSED" : "FAIL", s.ok() ? "" : s.message().c_str());
  }
  std::printf("%d passed, %d failed, %d refused\n", passed, failed, refused);
  return failed ? 1 : 0;
}
