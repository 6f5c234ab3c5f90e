// The reference backend: runs any operator of the book with its plain reference kernel, on the host.
#pragma once

#include "backend/compiler.h"

namespace tenon::reference {

Result<std::unique_ptr<KernelCompiler>> create_compiler(const std::string& target);
Result<std::shared_ptr<Device>> open_device(const std::string& target, int ordinal);

}  // namespace tenon::reference
