// Builder and EngineFile: the build half of the C++ API.
#include "api/api.h"
#include "compiler/compile.h"
#include "engine/engine_file.h"

namespace tenon {

const char* version() { return kTenonVersion; }

// ---- EngineFile --------------------------------------------------------------------------------------------------

EngineFile api::own(std::vector<uint8_t> bytes) {
  auto kept = std::make_shared<const std::vector<uint8_t>>(std::move(bytes));
  return EngineFile(std::make_shared<EngineFile::Impl>(EngineFile::Impl{kept, *kept}));
}

Result<EngineFile> EngineFile::open(const std::string& path) {
  return api::guarded([&]() -> Result<EngineFile> {
    auto file = TRY(MappedFile::open(path));
    return EngineFile(std::make_shared<Impl>(Impl{file, file->bytes()}));
  });
}

std::span<const uint8_t> EngineFile::bytes() const { return impl_->bytes; }

Status EngineFile::save(const std::string& path) const {
  return api::guarded([&] {
    const std::span<const uint8_t> pieces[] = {impl_->bytes};
    return write_file_atomically(path, pieces);
  });
}

Result<std::string> EngineFile::manifest() const {
  return api::guarded([&] { return read_manifest(impl_->bytes); });
}

Result<std::string> EngineFile::report() const {
  return api::guarded([&]() -> Result<std::string> { return TRY(read_engine(impl_->bytes, impl_->owner)).report; });
}

// ---- Builder -----------------------------------------------------------------------------------------------------

struct Builder::Impl {
  BuildOptions options;  // `device` may end in an ordinal until build()
  std::string path, folder;
  std::vector<std::string> io_types;
  std::span<const uint8_t> bytes;
  bool from_bytes = false;
  Progress progress;
};

Builder::Builder(std::string device) : impl_(std::make_unique<Impl>()) {
  impl_->options.device = std::move(device);
  impl_->options.tuning.effort = kAutoEffort;
}
Builder::~Builder() = default;
Builder::Builder(Builder&&) noexcept = default;
Builder& Builder::operator=(Builder&&) noexcept = default;

Builder& Builder::parse(const std::string& path) {
  impl_->path = path;
  impl_->from_bytes = false;
  return *this;
}

Builder& Builder::parse_bytes(std::span<const uint8_t> bytes, const std::string& folder) {
  impl_->bytes = bytes;
  impl_->folder = folder;
  impl_->from_bytes = true;
  return *this;
}

Builder& Builder::optimization_profile(const Shapes& shapes) {
  for (const auto& [name, dims] : shapes) {
    ShapeSpec spec{name, {}};
    for (const Range& r : dims) spec.dims.push_back({r.min, r.opt, r.max});
    impl_->options.shapes.push_back(std::move(spec));
  }
  return *this;
}

Builder& Builder::precision(const std::string& precision) {
  impl_->options.precision = precision;
  return *this;
}

Builder& Builder::io_type(const std::string& pattern, const std::string& type) {
  impl_->io_types.push_back(cat(pattern, "=", type));
  return *this;
}

Builder& Builder::pin(const std::string& pattern, const std::string& type) {
  impl_->options.pins.push_back(cat(pattern, "=", type));
  return *this;
}

Builder& Builder::target(const std::string& target) {
  impl_->options.target = target;
  return *this;
}

Builder& Builder::model_name(const std::string& name) {
  impl_->options.model_name = name;
  return *this;
}

Builder& Builder::golden(bool keep) {
  impl_->options.golden = keep;
  return *this;
}

Builder& Builder::effort(int effort) {
  impl_->options.tuning.effort = effort;
  return *this;
}

Builder& Builder::budget(double seconds) {
  impl_->options.tuning.budget = seconds;
  return *this;
}

Builder& Builder::tuning_db(const std::string& path) {
  impl_->options.tuning.database = path;
  return *this;
}

Builder& Builder::on_progress(std::function<bool(std::string_view, int64_t, int64_t)> call) {
  impl_->progress = [call = std::move(call)](const char* stage, int64_t done, int64_t total) { return call(stage, done, total); };
  return *this;
}

Result<EngineFile> Builder::build() {
  return api::guarded([&]() -> Result<EngineFile> {
    for (const ShapeSpec& s : impl_->options.shapes)
      for (const DimRange& r : s.dims)
        if (r.min < 0 || r.min > r.opt || r.opt > r.max)
          return invalid_argument("input '", escape(s.input), "': the range ", r.min, "..", r.opt, "..", r.max, " is not in order");
    if (!impl_->from_bytes && impl_->path.empty()) return Status(Code::invalid_argument, "there is no model to build", "call parse first");
    BuildOptions options = impl_->options;
    for (const std::string& text : impl_->io_types) options.io_types.push_back(TRY(parse_io_type(text)));
    const DeviceChoice device = TRY(parse_device(options.device));
    options.device = device.name;
    if (device.ordinal > 0 && options.target.empty()) options.target = TRY(target_of(device));
    auto built = impl_->from_bytes ? compile_bytes(impl_->bytes, impl_->folder, options, impl_->progress)
                                   : compile_file(impl_->path, options, impl_->progress);
    if (!built.ok()) return built.status();
    return api::own(std::move(built->bytes));
  });
}

}  // namespace tenon
