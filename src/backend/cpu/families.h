// Families of cpu kernels: each answers whether it can do a request, compiles it, and loads what it compiled.
// One ordered list (families.cc); the first family that says yes takes the request.
#pragma once

#include "backend/compiler.h"
#include "backend/cpu/kernels/isa.h"

namespace tenon::cpu {

struct Family {
  const char* name;  // also the first part of a kernel's name
  // Whether this family is about such nodes at all; `supports` then says yes, or why not.
  bool (*concerns)(const KernelRequest&);
  KernelAnswer (*supports)(const KernelRequest&);
  Result<KernelImage> (*compile)(const KernelRequest&, Isa);
  Result<std::unique_ptr<Kernel>> (*load)(const KernelSource&, Isa);
};

std::span<const Family* const> families();

}  // namespace tenon::cpu
