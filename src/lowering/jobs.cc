#include "lowering/jobs.h"

#include <atomic>

#include "base/machine.h"
#include "base/memory_limit.h"
#include "lowering/signature.h"

namespace tenon {

// The first of each kernel, then the rest: what is alike would wait for each other inside of a compiler.
static std::vector<size_t> unlike_first(const std::vector<KernelJob>& jobs) {
  std::vector<size_t> order, rest;
  std::set<std::string> seen;
  for (size_t i = 0; i < jobs.size(); ++i)
    (seen.insert(cat(jobs[i].compiler->target(), signature(jobs[i].request), jobs[i].request.variant)).second ? order : rest).push_back(i);
  order.insert(order.end(), rest.begin(), rest.end());
  return order;
}

std::vector<Result<KernelImage>> compile_images(const std::vector<KernelJob>& jobs, const JobProgress& progress) {
  const Status stopped(Code::cancelled, "the build was interrupted; nothing was written");
  std::vector<Result<KernelImage>> images(jobs.size(), Result<KernelImage>(stopped));
  const std::vector<size_t> order = unlike_first(jobs);
  const auto total = int64_t(jobs.size());
  std::atomic<int64_t> done = 0;
  std::atomic<bool> stop = progress && !progress(0, total);
  ThreadPool pool(int(std::min<int64_t>(usable_cores(), std::max<int64_t>(total, 1))));
  pool.parallel_for(total, [&](int64_t i, int worker) {
    if (stop) return;
    const size_t at = order[size_t(i)];
    images[at] = catch_bad_alloc([&] { return jobs[at].compiler->compile(jobs[at].request); });
    const int64_t now = ++done;
    if (worker == 0 && progress && !progress(now, total)) stop = true;  // worker 0 is the caller
  });
  return images;
}

Status compile_jobs(const std::vector<KernelJob>& jobs, const JobProgress& progress) {
  std::vector<Result<KernelImage>> images = compile_images(jobs, progress);
  // Being stopped is what the caller knows already; a kernel's own error tells more.
  Status stopped;
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (!images[i].ok() && images[i].status().code() == Code::cancelled) stopped = images[i].status();
    else if (!images[i].ok()) return images[i].status().with_prefix(jobs[i].where);
    else jobs[i].step->image = std::move(*images[i]);
  }
  return stopped;
}

}  // namespace tenon
