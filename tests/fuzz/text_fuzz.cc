// Bytes as a graph in text form: what parses must print and parse back the same; then it is compiled as a model is.
#include "fuzz_util.h"
#include "ir/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto g = tenon::parse({reinterpret_cast<const char*>(data), size});
  if (!g.ok()) return 0;
  const std::string text = tenon::print(*g);
  if (text.size() > 1 << 20) return 0;
  auto again = tenon::parse(text);
  if (!again.ok() || tenon::print(*again) != text) __builtin_trap();
  tenon::compile_and_run(std::move(g).value());
  return 0;
}
