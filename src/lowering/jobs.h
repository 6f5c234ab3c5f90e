// The kernels that a graph needs, once it is settled who compiles each of them.
#pragma once

#include <functional>

#include "backend/compiler.h"
#include "engine/content.h"

namespace tenon {

struct KernelJob {
  KernelRequest request;     // `variant` may be set until it is compiled
  KernelCompiler* compiler;
  StepPlan* step;            // what it is for: gets the image
  std::string where;         // "Conv 'conv1': ", in front of errors
};

// How many are done, of how many; called on the caller's thread. Returning false stops the work with `cancelled`.
using JobProgress = std::function<bool(int64_t done, int64_t total)>;

// Images in the order of the jobs, compiled on all cores; those of one signature after each other, since the second finds
// most of its work done. Jobs after the work was stopped have `cancelled`.
std::vector<Result<KernelImage>> compile_images(const std::vector<KernelJob>& jobs, const JobProgress& progress = {});
// Gives each job's step its image. Errors: the first one in the order of the jobs.
Status compile_jobs(const std::vector<KernelJob>& jobs, const JobProgress& progress = {});

}  // namespace tenon
