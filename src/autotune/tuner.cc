#include "autotune/tuner.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "autotune/measure.h"
#include "base/file_lock.h"
#include "base/machine.h"
#include "engine/engine_file.h"
#include "lowering/signature.h"

namespace tenon {

size_t choose_tactic(const std::vector<Tactic>& tactics) {
  size_t best = tactics.size();
  for (size_t i = 0; i < tactics.size(); ++i)
    if (tactics[i].seconds > 0 && (best == tactics.size() || tactics[i].seconds < tactics[best].seconds)) best = i;
  if (best == tactics.size()) {
    const auto may_run = std::find_if(tactics.begin(), tactics.end(), [](const Tactic& t) { return t.failure.empty(); });
    return may_run == tactics.end() ? 0 : size_t(may_run - tactics.begin());
  }
  const Tactic &own = tactics[0], &other = tactics[best];
  const double uncertain = std::clamp(std::max(own.spread, other.spread), own.seconds * 0.01, own.seconds * 0.1);
  const bool close = own.seconds > 0 && own.seconds - other.seconds <= uncertain;
  return close ? 0 : best;
}

namespace {

using Clock = std::chrono::steady_clock;

// How many variants of a kernel are measured.
size_t candidates_at(int effort) {
  constexpr size_t kEvidence = 4;  // shown where nothing is measured
  constexpr size_t kCounts[] = {kEvidence, 2, 4, 8, 16, SIZE_MAX};
  return kCounts[effort];
}

// What a compiler's kernels run on.
struct Machine {
  std::shared_ptr<Device> device;  // null: not at hand, or it failed
  std::string words, version;
};

// Jobs of one signature, which share a choice.
struct Choice {
  std::string signature, target;
  std::vector<KernelJob*> jobs;
  Machine* machine = nullptr;
  bool sized = false;
  std::vector<Tactic> tactics;

  bool is_open(const Tactic& t) const { return t.source == Tactic::model && t.failure.empty(); }
  bool any_open() const {
    return std::any_of(tactics.begin(), tactics.end(), [&](const Tactic& t) { return is_open(t); });
  }
};

class Tuning {
 public:
  Tuning(const TuneOptions& options, TuneReport& report, const TuneWatch& watch) : options_(options), report_(report), watch_(watch) {}

  Status run(std::vector<KernelJob>& jobs) {
    TRY(open(jobs));
    collect(jobs);
    const Status status = settle();
    save();
    for (Choice& c : choices_) write(c);
    report_.seconds = seconds();
    return status;
  }

 private:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }
  double seconds_left() const { return std::max(0.0, options_.budget - seconds()); }
  bool out_of_time() const { return seconds_left() <= 0; }

  // ---- devices and the database ----------------------------------------------------------------------------------

  Machine& machine_of(KernelCompiler& compiler) {
    const auto [it, added] = machines_.try_emplace(compiler.target());
    Machine& m = it->second;
    if (!added) return m;
    const std::string toolchain = compiler.toolchain();
    m.version = cat("tenon ", kTenonVersion, toolchain.empty() ? "" : ", ", toolchain);
    auto opened = options_.open ? options_.open(it->first) : open_device(it->first, compiler.on_host() ? 0 : options_.ordinal);
    if (!opened.ok()) return m;
    m.device = *opened;
    m.words = m.device->description();
    if (m.device->memory() == kHostMemory) m.words += cat(", ", cpu_model(), ", ", usable_cores(), " threads");
    return m;
  }

  Status open(const std::vector<KernelJob>& jobs) {
    if (options_.effort < kAutoEffort || options_.effort > kMostEffort)
      return invalid_argument("there is no effort ", options_.effort, "; it is 0 to ", kMostEffort);
    if (!(options_.budget >= 0)) return invalid_argument("a budget of ", options_.budget, " seconds is none");
    report_.effort = std::max(options_.effort, 0);
    if (options_.effort == 0 || jobs.empty()) return {};
    // The first compiler that is asked is the target's own; where its device is absent nothing is measured by default.
    if (options_.effort == kAutoEffort) report_.effort = machine_of(*jobs[0].compiler).device ? 2 : 0;
    if (report_.effort == 0) return {};
    report_.database = options_.database.empty() ? default_tuning_database() : options_.database;
    if (report_.database.empty()) return {};
    auto loaded = TuningDatabase::load(report_.database);
    if (loaded.ok()) {
      known_ = std::move(*loaded);
      report_.complaints = known_.complaints();
      return {};
    }
    if (!options_.database.empty()) return Status(Code::invalid_argument, loaded.status().message(), loaded.status().remedy());
    report_.complaints.push_back(cat(loaded.status().message(), "; nothing is read from it or added to it"));
    report_.database.clear();
    return {};
  }

  TuningKey key(const Choice& c, const Tactic& t) const {
    return {c.machine->words, c.target, c.machine->version, c.signature, t.variant};
  }

  const TuningResult* look_up(const Choice& c, const Tactic& t) const {
    return c.machine->words.empty() ? known_.find_on_any_device(key(c, t)) : known_.find(key(c, t));
  }

  // Another build may have measured the same meanwhile; then its word counts, so that builds that follow agree with this.
  void save() {
    if (fresh_.size() == 0 || report_.database.empty()) return;
    const auto kept = fresh_.save_into(report_.database);
    if (!kept.ok()) {
      report_.complaints.push_back(cat("what was measured could not be kept: ", kept.status().message()));
      return;
    }
    for (Choice& c : choices_)
      for (Tactic& t : c.tactics)
        if (const TuningResult* r = t.source == Tactic::measured ? kept->find(key(c, t)) : nullptr)
          t.seconds = r->seconds, t.spread = r->spread, t.failure = r->failure;
  }

  // ---- choices ---------------------------------------------------------------------------------------------------

  void collect(std::vector<KernelJob>& jobs) {
    std::map<std::string, size_t> seen;
    for (KernelJob& job : jobs) {
      const std::vector<KernelVariant> variants = job.compiler->variants(job.request);
      if (variants.size() < 2) continue;
      const std::string name = signature(job.request);
      const auto [it, added] = seen.try_emplace(cat(job.compiler->target(), " ", name), choices_.size());
      if (added) choices_.push_back(make_choice(job, name, variants));
      choices_[it->second].jobs.push_back(&job);
    }
    report_.choices = int64_t(choices_.size());
  }

  // The variants to be compared: as many as the effort says, and all that the database knows.
  Choice make_choice(const KernelJob& job, const std::string& name, const std::vector<KernelVariant>& variants) {
    Choice c;
    c.signature = name;
    c.target = job.compiler->target();
    c.sized = has_sizes(job.request);
    if (report_.effort > 0) c.machine = &machine_of(*job.compiler);
    for (size_t i = 0; i < variants.size(); ++i) {
      Tactic t{variants[i].name, variants[i].estimate, 0, 0, {}, Tactic::model, false};
      const TuningResult* r = c.machine && c.sized ? look_up(c, t) : nullptr;
      if (r) t.seconds = r->seconds, t.spread = r->spread, t.failure = r->failure, t.source = Tactic::database;
      if (r || i < candidates_at(report_.effort)) c.tactics.push_back(std::move(t));
    }
    return c;
  }

  Status tell(int64_t done) const {
    if (!watch_ || watch_({done, report_.choices, report_.known, seconds_left()})) return {};
    return Status(Code::cancelled, "the build was interrupted; nothing was written but what was measured");
  }

  // A few choices at a time, so that all cores have candidates to compile while few of them take memory.
  Status settle() {
    std::vector<Choice*> open;
    int64_t done = 0;
    for (Choice& c : choices_) {
      if (report_.effort == 0) continue;
      if (!c.sized) ++report_.unsized, ++done;
      else if (!c.any_open()) ++report_.known, ++done;
      else if (c.machine->device) open.push_back(&c);
      else ++done;
    }
    if (report_.effort == 0) return {};
    for (size_t at = 0; at < open.size();) {
      TRY(tell(done));
      std::vector<Choice*> some;
      for (size_t candidates = 0; at < open.size() && (some.empty() || candidates < size_t(usable_cores())); ++at) {
        some.push_back(open[at]);
        candidates += open[at]->tactics.size();
      }
      TRY(measure_some(some, done));
    }
    return tell(done);
  }

  Status measure_some(const std::vector<Choice*>& some, int64_t& done) {
    std::vector<KernelJob> jobs;
    std::vector<std::pair<Choice*, Tactic*>> of_job;
    for (Choice* c : some)
      for (Tactic& t : c->tactics) {
        if (!c->is_open(t) || !c->machine->device || out_of_time()) continue;
        jobs.push_back(*c->jobs[0]);
        jobs.back().request.variant = t.variant;
        of_job.emplace_back(c, &t);
      }
    std::vector<Result<KernelImage>> images = compile_images(jobs);
    for (Choice* c : some) {
      std::vector<const KernelImage*> runnable;
      std::vector<Tactic*> tactics;
      for (size_t i = 0; i < jobs.size(); ++i) {
        if (of_job[i].first != c) continue;
        if (!images[i].ok()) {
          note(*c, *of_job[i].second, images[i].status());
          continue;
        }
        runnable.push_back(&*images[i]);
        tactics.push_back(of_job[i].second);
      }
      if (!runnable.empty() && !out_of_time() && c->machine->device) {
        const FileLock alone = TRY(wait_for_turn(*c, done));
        measure_one(*c, runnable, tactics);
      }
      ++done;
      if (!c->any_open()) ++report_.measured;
      else if (out_of_time()) ++report_.over_budget;
      TRY(tell(done));
    }
    return {};
  }

  // Builds that measure on one device at once would measure each other: they take turns, and the budget waits.
  Result<FileLock> wait_for_turn(const Choice& c, int64_t done) {
    const std::string folder = cache_folder();
    if (folder.empty() || c.machine->device->memory() == kHostMemory) return FileLock();
    FileLock turn(cat(folder, "/measuring-", backend_of(c.target), "-", options_.ordinal, ".lock"));
    while (turn.usable() && !turn.try_now()) {
      const Clock::time_point asked = Clock::now();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      TRY(tell(done));
      begin_ += Clock::now() - asked;
    }
    return turn;
  }

  void measure_one(Choice& c, const std::vector<const KernelImage*>& images, const std::vector<Tactic*>& tactics) {
    if (report_.device.empty()) report_.device = c.machine->words;
    Device& device = *c.machine->device;
    const std::vector<Result<Timing>> times = measure(device, c.jobs[0]->request, images, {[this] { return out_of_time(); }});
    // A kernel that faults may take the device with it; the others did nothing wrong.
    const Status alive = device.create_stream(1).status();
    bool culprit = false;
    for (size_t i = 0; i < times.size(); ++i) {
      Tactic& t = *tactics[i];
      if (times[i].ok()) {
        t.seconds = times[i]->seconds;
        t.spread = times[i]->spread;
        t.source = Tactic::measured;
        fresh_.add(key(c, t), {t.seconds, t.spread, ""});
      } else if (alive.ok() || !culprit) {
        culprit = note(c, t, times[i].status()) || culprit;
      }
    }
    if (alive.ok()) return;
    c.machine->device = nullptr;
    report_.complaints.push_back(cat("measuring ended early: ", alive.message()));
  }

  // A failure as evidence; true where it is the kernel's own.
  bool note(Choice& c, Tactic& t, const Status& s) {
    const Code code = s.code();
    if (code == Code::cancelled || code == Code::out_of_memory || code == Code::unsupported || code == Code::unavailable) return false;
    t.failure = s.message();
    t.source = Tactic::measured;
    fresh_.add(key(c, t), {0, 0, t.failure});
    return true;
  }

  static void write(Choice& c) {
    const size_t chosen = choose_tactic(c.tactics);
    c.tactics[chosen].chosen = true;
    // Names alone are no evidence.
    const bool tells = std::any_of(c.tactics.begin(), c.tactics.end(), [](const Tactic& t) { return t.estimate > 0 || t.source != Tactic::model; });
    for (KernelJob* job : c.jobs) {
      job->request.variant = c.tactics[chosen].variant;
      if (tells) job->step->tactics = c.tactics;
    }
  }

  const TuneOptions& options_;
  TuneReport& report_;
  const TuneWatch& watch_;
  Clock::time_point begin_ = Clock::now();  // later by what was waited for other builds
  TuningDatabase known_, fresh_;  // as found; measured by this build
  std::map<std::string, Machine> machines_;  // by target
  std::vector<Choice> choices_;
};

}  // namespace

Status tune(std::vector<KernelJob>& jobs, const TuneOptions& options, TuneReport& report, const TuneWatch& watch) {
  return Tuning(options, report, watch).run(jobs);
}

}  // namespace tenon
