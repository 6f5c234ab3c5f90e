// Arrays in the memory of a device: those of other libraries, read where they are, and ours, for others to read.
#pragma once

#include <functional>
#include <optional>

#include "convert.h"
#include "lent.h"

namespace tenon::python {

// By DLPack's numbers; nothing for an object that does not say, or is on the host.
std::optional<DLPackDevice> device_of(nb::handle object);

// What an array on a device lends, by DLPack or __cuda_array_interface__; work on reach.stream from now on waits for what its
// library has under way for it. Raises.
Lent lend_device_array(nb::handle object, DLPackDevice where, bool writable, const std::string& what, const Reach& reach);
// That last alone, for an array that was lent before.
void wait_for_producer(nb::handle object, const Reach& reach);

// An array of ours in a device's memory. Speaks DLPack and __cuda_array_interface__, so that libraries take it as it is.
class DeviceArray {
 public:
  // `stream`, where not null, is what it is still being written on, and `settle` waits for that.
  DeviceArray(std::shared_ptr<Device> device, Tensor tensor, void* stream = nullptr, std::function<Status()> settle = {});

  const Tensor& tensor() const { return *tensor_; }
  Device& device() const { return *device_; }
  std::string device_name() const;
  nb::tuple shape() const;
  nb::object dlpack(nb::handle stream, nb::handle max_version, nb::handle dl_device, nb::handle copy);
  nb::dict cuda_interface();
  nb::object numpy();
  // Copies an array of the same type and shape from the host.
  void update(nb::handle array);

 private:
  Status settled();

  std::shared_ptr<Device> device_;
  std::shared_ptr<const Tensor> tensor_;
  void* stream_;
  std::function<Status()> settle_;
  bool shown_ = false;
};

// `device` is "cuda:0". Raises.
std::shared_ptr<Device> open_named_device(const std::string& device);
std::unique_ptr<DeviceArray> make_device_array(std::shared_ptr<Device> device, const std::vector<int64_t>& shape, const std::string& dtype);
// Memory of somebody else's, at an address; `owner` keeps it alive.
std::unique_ptr<DeviceArray> view_device_memory(std::shared_ptr<Device> device, uint64_t address, const std::vector<int64_t>& shape,
                                                const std::string& dtype, nb::object owner);
// Another library's array on a GPU, as one of ours; its memory is ready when this returns.
std::unique_ptr<DeviceArray> take_device_array(nb::handle array);

}  // namespace tenon::python
