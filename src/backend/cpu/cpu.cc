#include "backend/cpu/cpu.h"

#include "backend/cpu/families.h"
#include "backend/cpu/kernels/peak.h"
#include "backend/host.h"
#include "backend/reference/reference.h"

namespace tenon::cpu {

namespace {

Result<Isa> parse_target(const std::string& target) {
  if (target.empty() || target == "cpu") return best_isa();
  std::string names;
  for (Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (target == cat("cpu:", isa_name(isa))) return isa;
    names += cat(names.empty() ? "" : ", ", "cpu:", isa_name(isa));
  }
  return invalid_argument("no target '", escape(target), "'; there are: ", names).with_remedy("build for one of them with --target");
}

class CpuDevice : public HostDevice {
 public:
  explicit CpuDevice(Isa isa) : isa_(isa) {}
  std::string description() const override { return cat("cpu, ", isa_name(isa_)); }
  Result<std::unique_ptr<Kernel>> load(const KernelSource& s) override {
    const std::string family = s.image.kernel.substr(0, s.image.kernel.find('.'));
    for (const Family* f : families())
      if (family == f->name) return f->load(s, isa_);
    return make_status(Code::incompatible, "this Tenon has no cpu kernel '", escape(s.image.kernel), "'")
        .with_remedy("build the engine again with this Tenon");
  }
  Result<Peaks> peaks(Stream& stream) override {
    const MeasuredPeaks m = measure_peaks(*stream.pool());
    Peaks p;
    p.source = cat("measured on ", stream.pool()->threads(), stream.pool()->threads() == 1 ? " thread" : " threads");
    p.bytes = m.bytes;
    p.arithmetic = p.f32 = m.flops;
    return p;
  }

 private:
  Isa isa_;
};

class CpuCompiler : public KernelCompiler {
 public:
  explicit CpuCompiler(Isa isa) : isa_(isa) {}
  std::string target() const override { return cat("cpu:", isa_name(isa_)); }
  KernelAnswer supports(const KernelRequest& r) const override { return choose(r).second; }
  std::vector<KernelVariant> variants(const KernelRequest& r) const override {
    const Family* f = choose(r).first;
    return f && f->variants ? f->variants(r, isa_) : std::vector<KernelVariant>();
  }
  Result<KernelImage> compile(const KernelRequest& r) override {
    const Family* f = choose(r).first;
    CHECK(f != nullptr);
    return f->compile ? f->compile(r, isa_) : KernelImage{"cpu", f->name, "", {}, {}};
  }

 private:
  static std::pair<const Family*, KernelAnswer> choose(const KernelRequest& r) {
    std::string why;
    for (const Family* f : families()) {
      if (!f->concerns(r)) continue;
      KernelAnswer a = f->supports(r);
      if (a.yes) return {f, a};
      why += cat(why.empty() ? "" : "; ", f->name, ": ", a.reason);
    }
    return {nullptr, {false, why.empty() ? "no cpu kernel family handles this operator" : why}};
  }
  Isa isa_;
};

}  // namespace

Result<std::unique_ptr<KernelCompiler>> create_compiler(const std::string& target) {
  return std::unique_ptr<KernelCompiler>(std::make_unique<CpuCompiler>(TRY(parse_target(target))));
}

Result<std::shared_ptr<Device>> open_device(const std::string& target, int ordinal) {
  if (ordinal != 0) return make_status(Code::unavailable, "there is one cpu, no cpu:", ordinal);
  const Isa isa = TRY(parse_target(target));
  if (!isa_supported(isa))
    return Status(Code::incompatible, cat("the engine was built for ", isa_name(isa), ", this processor offers ", isa_name(best_isa())),
                  cat("build it on this machine, or with --target cpu:", isa_name(best_isa())));
  return std::shared_ptr<Device>(std::make_shared<CpuDevice>(isa));
}

}  // namespace tenon::cpu
