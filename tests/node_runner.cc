// Runs test cases in ONNX's layout: [--device NAME] [--precision fp16] DIR...; without a device by the interpreter; the
// device cuda-emulated is the backend cuda on a GPU that the host emulates. With --largest 1e-4 floats may differ by that
// part of the largest magnitude; with --decisions only the place of each row's largest element must be right, unless both
// candidates are nearer to each other than that difference allows. Each case runs three times on a device and must give the same bits. With --build-only
// nothing runs: kernels come into the cache, so that a later run takes the device only for running.
// DIR/model.onnx, DIR/test_data_set_K/{input,output}_N.pb.
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

static bool decisions_only = false;

static int64_t rows_decided = 0, rows_otherwise = 0;

// Rows are those of the last dimension that is not 1.
static Status compare_decisions(const Tensor& got, const Tensor& want) {
  int64_t row = 1;
  for (int64_t d : want.shape())
    if (d != 1) row = d;
  double largest = 0;
  for (int64_t i = 0; i < want.size(); ++i) largest = std::max(largest, std::fabs(want.at(i)));
  const auto decision = [row](const Tensor& t, int64_t begin) {
    int64_t best = begin;
    for (int64_t i = begin; i < begin + row; ++i)
      if (t.at(i) > t.at(best)) best = i;
    return best;
  };
  for (int64_t begin = 0; begin < want.size(); begin += row, ++rows_decided) {
    const int64_t is = decision(got, begin), should = decision(want, begin);
    if (is == should) continue;
    ++rows_otherwise;
    const double ahead = want.at(should) - want.at(is);
    if (!(ahead <= 2 * largest_tolerance * largest))
      return internal_error("row ", begin / row, " decides for ", is - begin, ", expected ", should - begin, ", which is ", ahead, " ahead (largest magnitude ", largest, ")");
  }
  return {};
}

static Status compare(const Tensor& got, const Tensor& want) {
  if (got.dtype() != want.dtype()) return internal_error("type ", name(got.dtype()), ", expected ", name(want.dtype()));
  if (got.shape() != want.shape()) return internal_error("shape ", got.shape(), ", expected ", want.shape());
  if (decisions_only) return compare_decisions(got, want);
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

struct How {
  std::string device, precision = "fp32";
  bool build_only = false;
};

static Status run_case(const std::string& dir, const How& how) {
  auto model = TRY(onnx::import_file(dir + "/model.onnx"));
  std::unique_ptr<Context> context;
  if (!how.device.empty()) {
    BuildOptions options;
    options.device = how.device;
    options.golden = false;
    options.precision = how.precision;
    auto built = TRY(compile_model(model, "", options));
    if (how.build_only) return {};
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
  How how;
  std::shared_ptr<Device> held;  // opening a GPU anew for each case would take long
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--device") {
      how.device = argv[++i];
#if defined(TENON_CUDA_EMULATOR)
      if (how.device == "cuda-emulated") {
        emulator::install();
        how.device = "cuda";
      }
#endif
      continue;
    }
    if (std::string(argv[i]) == "--precision") {
      how.precision = argv[++i];
      continue;
    }
    if (std::string(argv[i]) == "--decisions") {
      decisions_only = true;
      continue;
    }
    if (std::string(argv[i]) == "--build-only") {
      how.build_only = true;
      continue;
    }
    if (std::string(argv[i]) == "--largest") {
      largest_tolerance = std::atof(argv[++i]);
      continue;
    }
    if (!held && !how.device.empty() && !how.build_only)
      if (auto compiler = create_compiler(how.device, ""); compiler.ok())
        if (auto opened = open_device((*compiler)->target()); opened.ok()) held = *opened;
    std::printf("%s: ", argv[i]);
    std::fflush(stdout);
    rows_decided = rows_otherwise = 0;
    Status s = run_case(argv[i], how);
    if (rows_otherwise) std::printf("%lld of %lld otherwise ", static_cast<long long>(rows_otherwise), static_cast<long long>(rows_decided));
    const bool refusal = s.code() == Code::unsupported;
    (s.ok() ? passed : refusal ? refused : failed)++;
    std::printf("%s %s\n", s.ok() ? "ok" : refusal ? "REFUSED" : "FAIL", s.ok() ? "" : s.message().c_str());
  }
  std::printf("%d passed, %d failed, %d refused\n", passed, failed, refused);
  return failed ? 1 : 0;
}
