#include "runtime/engine.h"

#include "base/machine.h"
#include "base/memory_limit.h"
#include "engine/engine_file.h"
#include "runtime/symbols.h"

namespace tenon {

Result<std::shared_ptr<LoadedEngine>> LoadedEngine::load_bytes(std::span<const uint8_t> bytes, std::shared_ptr<const void> owner,
                                                               const LoadOptions& options) {
  return catch_bad_alloc([&]() -> Result<std::shared_ptr<LoadedEngine>> {
    auto engine = std::make_shared<LoadedEngine>();
    engine->content_ = TRY(read_engine(bytes, std::move(owner), {options.verify_checksums}));
    engine->devices_ = TRY(open_devices(engine->content_.target, options.ordinal));
    engine->plan_ = TRY(load_plan(std::move(engine->content_.graph), engine->content_.steps, engine->devices_));
    engine->memory_ = {held_bytes(*engine->plan_), int64_t(bytes.size())};
    return engine;
  });
}

Result<std::shared_ptr<LoadedEngine>> LoadedEngine::load_file(const std::string& path, const LoadOptions& options) {
  auto file = TRY(MappedFile::open(path));
  auto engine = load_bytes(file->bytes(), file, options);
  if (!engine.ok()) return engine.status().with_prefix(cat("'", path, "': "));
  return engine;
}

Result<std::unique_ptr<Context>> Context::create(std::shared_ptr<LoadedEngine> engine, const ContextOptions& options) {
  if (options.threads < 0 || options.threads > 1024) return invalid_argument("a context cannot have ", options.threads, " threads");
  return catch_bad_alloc([&]() -> Result<std::unique_ptr<Context>> {
    auto c = std::unique_ptr<Context>(new Context);
    c->engine_ = std::move(engine);
    c->threads_ = options.threads > 0 ? options.threads : usable_cores();
    Device& device = c->engine_->device();
    c->stream_ = TRY(device.create_stream(c->threads_));
    if (c->engine_->plan().split) c->host_ = TRY(c->engine_->devices().back().device->create_stream(c->threads_));
    c->executor_ = std::make_unique<Executor>(c->engine_->plan(), *c->stream_, c->host_ ? *c->host_ : *c->stream_);
    c->executor_->set_workspace_limit(options.workspace);
    return c;
  });
}

Status Context::check_profiles(const std::vector<Tensor>& inputs) const {
  const Graph& g = engine_->graph();
  const auto& profiles = engine_->content().profiles;
  if (profiles.empty() || inputs.size() != g.inputs.size()) return {};
  SymbolValues symbols;
  for (size_t i = 0; i < inputs.size(); ++i)
    TRY(symbols.match(g.info(g.inputs[i]), inputs[i].shape()).with_prefix(cat("input '", escape(g.value(g.inputs[i]).name), "': ")));
  Status first;
  for (const OptimizationProfile& p : profiles) {
    Status s = symbols.check(p);
    if (s.ok()) return {};
    if (first.ok()) first = s;
  }
  return first.with_remedy("build the engine with a --shape range that covers these inputs");
}

Status Context::run(const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs, const RunOptions& options) {
  return catch_bad_alloc([&]() -> Status {
    TRY(check_profiles(inputs));
    return executor_->run(inputs, outputs, options);
  });
}

}  // namespace tenon
