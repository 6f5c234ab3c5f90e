// tenon run: one run of a model on given or random input.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "json.h"
#include "model.h"
#include "npy.h"

namespace tenon::cli {

static void declare(Options& o) {
  o.add(Positional{"MODEL", "an engine, or an ONNX model, which is built in memory first"});
  declare_input_options(o);
  o.add(Option{"output-dir", 0, Kind::text, "DIR", "outputs.json and a .npy for each output go here"});
  declare_context_options(o);
  declare_build_options(o);
}

// A file name that no other output has: letters, digits, '.', '_' and '-' stay.
static std::string file_name(const std::string& name, std::vector<std::string>& taken) {
  std::string stem;
  for (char c : name.substr(0, 100)) stem += std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || (c == '.' && !stem.empty()) ? c : '_';
  if (stem.empty()) stem = "output";
  std::string out = stem + ".npy";
  for (int k = 2; std::find(taken.begin(), taken.end(), out) != taken.end(); ++k) out = cat(stem, "_", k, ".npy");
  taken.push_back(out);
  return out;
}

static Status make_folder(const std::string& path) {
  if (mkdir(path.c_str(), 0777) == 0 || errno == EEXIST) return {};
  return make_status(Code::io, "cannot make the folder '", escape(path), "': ", std::strerror(errno));
}

namespace {
struct Extremes {
  double min = 0, max = 0, mean = 0;
  int64_t not_finite = 0;
};
}  // namespace

static Extremes extremes(const Tensor& t) {
  Extremes e;
  int64_t n = 0;
  for (int64_t i = 0; i < t.size(); ++i) {
    const double v = t.at(i);
    if (!std::isfinite(v)) {
      ++e.not_finite;
      continue;
    }
    e.min = n ? std::min(e.min, v) : v;
    e.max = n ? std::max(e.max, v) : v;
    e.mean += v;
    ++n;
  }
  if (n) e.mean /= double(n);
  return e;
}

static Result<int> run(const Options& o) {
  const OpenModel model = TRY(open_model(o, o.argument(0)));
  const Graph& g = model.engine->graph();
  const std::vector<Tensor> inputs = TRY(given_inputs(o, g, model.engine->content().profiles, o.has("random")));
  auto context = TRY(Context::create(model.engine, context_options(o)));
  std::vector<Tensor> outputs;
  TRY(context->run(inputs, outputs));

  const std::string folder = o.text("output-dir");
  if (!folder.empty()) TRY(make_folder(folder));
  ordered_json files = ordered_json::object(), values = ordered_json::object();
  std::vector<std::string> taken;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Tensor& t = outputs[i];
    const std::string& name = g.output_names[i];
    const Extremes e = extremes(t);
    ordered_json value = {{"dtype", tenon::name(t.dtype())}, {"shape", t.shape()}, {"min", e.min}, {"mean", e.mean}, {"max", e.max}, {"not_finite", e.not_finite}};
    if (!folder.empty()) {
      files[name] = file_name(name, taken);
      const std::vector<uint8_t> bytes = TRY(format_npy(t));
      TRY(save_file(cat(folder, "/", taken.back()), std::span<const uint8_t>(bytes)));
      value["file"] = taken.back();
      if (!npy_holds(t.dtype())) note("output '", escape(name), "' is ", tenon::name(t.dtype()), ", written in a wider type that numpy knows");
    }
    values[name] = value;
    if (!o.has("json"))
      print_line(escape(name), ": ", show_tensor(t), ", min ", float(e.min), ", mean ", float(e.mean), ", max ", float(e.max),
                 e.not_finite ? cat(", ", e.not_finite, " not finite") : std::string());
  }
  if (!folder.empty()) TRY(save_file(folder + "/outputs.json", json_text(files)));
  if (o.has("json"))
    print_json({{"schema", "tenon.run/1"}, {"model", o.argument(0)}, {"device", device_text(*model.engine)}, {"threads", context->threads()}, {"outputs", values}});
  return int(kOk);
}

extern const Command run_command = {
    "run", "run a model once",
    "tenon run model.engine --input image=image.npy --output-dir out\n"
    "tenon run model.onnx --random --seed 7",
    declare, run};

}  // namespace tenon::cli
