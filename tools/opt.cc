// tenon opt: passes over the text form of a graph.
#include <cstdio>

#include "ir/text.h"
#include "json.h"
#include "model.h"
#include "onnx/import.h"
#include "passes/pipeline.h"

namespace tenon::cli {

static void declare(Options& o) {
  o.add(Positional{"GRAPH", "a file in text form, an ONNX model, or - for standard input", true});
  o.add(Option{"pass", 0, Kind::text, "NAME", "run this pass, in the order given", "", true});
  o.add(Option{"all", 0, Kind::flag, "", "run all passes in their order"});
  o.add(Option{"list", 0, Kind::flag, "", "what passes there are"});
}

static Result<std::string> read_stdin() {
  std::string text;
  char buffer[65536];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, stdin)) > 0;) text.append(buffer, n);
  if (std::ferror(stdin)) return make_status(Code::io, "cannot read standard input");
  return text;
}

static Result<Graph> read_graph(const std::string& path) {
  if (path == "-") return parse(TRY(read_stdin()));
  auto file = TRY(open_file(path));
  const std::string_view text(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  if (path.size() > 5 && path.substr(path.size() - 5) == ".onnx") return std::move(TRY(onnx::import_file(path)).graph);
  auto g = parse(text);
  // A graph that does not parse is a broken model, not a misspelled command line.
  if (!g.ok()) return make_status(Code::invalid_model, "'", escape(path), "': ", g.status().message());
  return g;
}

static void list_passes(bool as_json) {
  ordered_json j = {{"schema", "tenon.passes/1"}, {"passes", ordered_json::array()}};
  Table table({"PASS", "WHAT IT DOES"});
  for (const Pass& p : all_passes()) {
    table.add({p.name, p.summary});
    j["passes"].push_back({{"name", p.name}, {"summary", p.summary}});
  }
  as_json ? print_json(j) : print_text(table.text());
}

static Result<int> run(const Options& o) {
  if (o.has("list")) {
    list_passes(o.has("json"));
    return int(kOk);
  }
  if (!o.has("pass") && !o.has("all")) return Status(Code::invalid_argument, "--pass is missing", "tenon opt --list");
  std::vector<const Pass*> passes;
  std::vector<std::string> names;
  for (const Pass& p : all_passes()) names.push_back(p.name);
  for (const std::string& name : o.texts("pass")) {
    passes.push_back(find_pass(name));
    const std::string near = nearest(name, names);
    if (!passes.back())
      return Status(Code::invalid_argument, cat("no pass '", escape(name), "'", near.empty() ? "" : cat("; did you mean '", near, "'?")), "tenon opt --list");
  }
  if (o.argument(0).empty()) return invalid_argument("GRAPH is missing");
  Graph g = TRY(read_graph(o.argument(0)));
  const PassOptions options;
  if (o.has("all")) g = TRY(optimize(std::move(g), options));
  for (const Pass* p : passes) {
    const size_t before = g.nodes.size();
    g = TRY(run_pass(*p, std::move(g), options));
    detail(p->name, ": ", before, " to ", counted(int64_t(g.nodes.size()), "node"));
  }
  const std::string text = print(g);
  if (o.has("json")) print_json({{"schema", "tenon.opt/1"}, {"nodes", g.nodes.size()}, {"graph", text}});
  else print_text(text);
  return int(kOk);
}

extern const Command opt_command = {
    "opt", "run passes over a graph in text form",
    "tenon opt graph.txt --pass fold_constants\n"
    "tenon opt model.onnx --all\n"
    "tenon opt --list",
    declare, run};

}  // namespace tenon::cli
