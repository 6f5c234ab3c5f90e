// Reads two handwritten digits in the memory of any device, on a stream of our own: nothing passes through Tenon's host memory.
//
//   device_memory examples/digits/digits.onnx cpu|cuda|cuda:1
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "../digits/two_digits.h"
#include "tenon/tenon.h"

// Memory and a stream as a program has them anyway. Here they come from NVIDIA's driver, so that the example is compiled
// without CUDA's headers; a program that has those calls cudaMalloc, cudaMemcpyAsync and cudaStreamCreate.
class Memory {
 public:
  explicit Memory(const std::string& device) {
    if (device.substr(0, 4) != "cuda") return;
    driver_ = dlopen("libcuda.so.1", RTLD_NOW);
    const size_t colon = device.find(':');
    int gpu = 0;
    void* context = nullptr;
    good_ = driver_ && call("cuInit", 0u) && call("cuDeviceGet", &gpu, colon == device.npos ? 0 : std::atoi(device.c_str() + colon + 1)) &&
            call("cuDevicePrimaryCtxRetain", &context, gpu) && call("cuCtxPushCurrent_v2", context) && call("cuStreamCreate", &stream_, 1u);
  }
  bool good() const { return good_; }
  void* stream() const { return stream_; }
  void* allocate(size_t bytes) {
    unsigned long long address = 0;
    if (!driver_) return std::malloc(bytes);
    return call("cuMemAlloc_v2", &address, bytes) ? reinterpret_cast<void*>(address) : nullptr;
  }
  // Both are in the stream's order; the second waits for it.
  void write(void* to, const void* from, size_t bytes) {
    if (driver_) call("cuMemcpyHtoDAsync_v2", reinterpret_cast<unsigned long long>(to), from, bytes, stream_);
    else std::memcpy(to, from, bytes);
  }
  void read(void* to, const void* from, size_t bytes) {
    if (driver_) call("cuMemcpyDtoHAsync_v2", to, reinterpret_cast<unsigned long long>(from), bytes, stream_), call("cuStreamSynchronize", stream_);
    else std::memcpy(to, from, bytes);
  }

 private:
  template <class... Args>
  bool call(const char* name, Args... args) {
    auto* f = reinterpret_cast<int (*)(Args...)>(dlsym(driver_, name));
    return f && f(args...) == 0;
  }
  void *driver_ = nullptr, *stream_ = nullptr;
  bool good_ = true;
};

static int fail(const tenon::Status& status) {
  std::fprintf(stderr, "%s: %s\n", tenon::code_name(status.code()), status.to_string().c_str());
  return 1;
}

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s digits.onnx cpu|cuda|cuda:1\n", argv[0]);
    return 2;
  }
  const std::string device = argv[2];
  const size_t colon = device.find(':');
  auto file = tenon::Builder(device).parse(argv[1]).build();
  if (!file.ok()) return fail(file.status());
  auto engine = tenon::Runtime(colon == device.npos ? 0 : std::atoi(device.c_str() + colon + 1)).load(*file);
  if (!engine.ok()) return fail(engine.status());
  auto context = engine->create_context();
  if (!context.ok()) return fail(context.status());

  Memory memory(device);
  void* image = memory.allocate(sizeof kTwoDigits);
  void* probability = memory.allocate(2 * 10 * sizeof(float));
  if (!memory.good() || !image || !probability) return 1;
  memory.write(image, kTwoDigits, sizeof kTwoDigits);
  for (const tenon::Status& status :
       {context->set_input_shape("image", {2, 1, 8, 8}), context->set_address("image", image, sizeof kTwoDigits),
        context->set_address("probability", probability, 2 * 10 * sizeof(float)), context->enqueue(memory.stream())})
    if (!status.ok()) return fail(status);
  float found[2][10];
  memory.read(found, probability, sizeof found);  // behind the run, on the same stream
  if (auto status = context->synchronize(); !status.ok()) return fail(status);

  const int digits[] = {int(std::max_element(found[0], found[0] + 10) - found[0]), int(std::max_element(found[1], found[1] + 10) - found[1])};
  std::printf("%s: the images are a %d and a %d\n", engine->device().c_str(), digits[0], digits[1]);
  std::printf("on the device: %lld bytes of weights and code, %lld of workspace\n", (long long)engine->device_memory_bytes(),
              (long long)context->device_memory_bytes().value());
  return digits[0] == 0 && digits[1] == 7 ? 0 : 1;
}
