#include "device_array.h"

#include <nanobind/stl/string.h>

#include "base/text.h"

namespace tenon::python {

namespace {

// DLPack's numbers.
constexpr int kHost = 1, kGpu = 2, kPinned = 3, kManaged = 13;

[[noreturn]] void refuse(const std::string& message, const std::string& remedy = {}) {
  raise(Status(Code::invalid_argument, message, remedy));
}

nb::object handle_object(void* stream) { return nb::int_(reinterpret_cast<uintptr_t>(stream)); }

std::string text_of(DLPackDevice d) {
  return d.type == kHost ? "the host" : d.type == kGpu || d.type == kManaged ? cat("GPU ", d.id) : cat("device ", d.type, ":", d.id);
}

Status wrong_device(const std::string& what, DLPackDevice is, DLPackDevice engine) {
  return Status(Code::invalid_argument, cat(what, " lies on ", text_of(is), ", the engine runs on ", text_of(engine)),
                engine.type == kHost ? cat("move it to the host first, or open the engine with device=\"cuda:", is.id, "\"")
                                     : cat("move it to ", text_of(engine), " first"));
}

// A capsule, or an error in the words of the library that refuses.
nb::object capsule_of(nb::handle object, const std::string& what, void* stream) {
  // torch lends no memory of tensors that are being differentiated.
  nb::object from = nb::borrow(object);
  if (nb::hasattr(from, "detach") && nb::hasattr(from, "requires_grad") && nb::cast<bool>(nb::bool_(from.attr("requires_grad"))))
    from = from.attr("detach")();
  const nb::object lend = from.attr("__dlpack__");
  const auto refused = [&](nb::python_error& error) { refuse(cat(what, " cannot be lent: ", nb::cast<std::string>(nb::str(error.value())))); };
  try {
    return lend(nb::arg("stream") = handle_object(stream), nb::arg("max_version") = nb::make_tuple(1, 0));
  } catch (nb::python_error& error) {
    if (!error.matches(PyExc_TypeError)) refused(error);
  }
  try {  // from before there were versions
    return lend(nb::arg("stream") = handle_object(stream));
  } catch (nb::python_error& error) {
    refused(error);
  }
  return {};
}

template <class A>
bool take_capsule(nb::handle capsule, Lent& out) {
  A array;
  if (!nb::try_cast<A>(capsule, array, false)) {
    PyErr_Clear();
    return false;
  }
  out = lent_by(std::move(array));
  return true;
}

Lent lend_dlpack(nb::handle object, bool writable, const std::string& what, void* stream) {
  const nb::object capsule = capsule_of(object, what, stream);
  Lent out;
  if (writable ? take_capsule<WritableArray>(capsule, out) : take_capsule<AnyArray>(capsule, out)) return out;
  const char* name = PyCapsule_CheckExact(capsule.ptr()) ? PyCapsule_GetName(capsule.ptr()) : "";
  if (name && starts_with(name, "used_")) refuse(cat(what, ": its __dlpack__ gives a capsule that was taken before"));
  if (writable && take_capsule<AnyArray>(capsule, out)) refuse(cat(what, " is read-only"), "an array that may be written");
  refuse(cat(what, ": its __dlpack__ gives no DLPack capsule"));
}

std::shared_ptr<const void> keep(nb::handle object) {
  return held<PyObject>(nb::borrow(object).release().ptr(), [](PyObject* o) { Py_DECREF(o); });
}

// How __cuda_array_interface__ writes types: "<f4". "": it has no name for the type.
std::string typestr(DType t) {
  const bool plain_float = t == DType::f16 || t == DType::f32 || t == DType::f64;
  const char* letter = kind(t) == Kind::boolean ? "b" : kind(t) == Kind::complex ? "c" : plain_float ? "f" : kind(t) == Kind::signed_int ? "i"
                       : kind(t) == Kind::unsigned_int ? "u" : "";
  return *letter && bits(t) >= 8 ? cat(bits(t) == 8 ? "|" : "<", letter, bits(t) / 8) : "";
}

DType dtype_of_typestr(std::string_view text) {
  for (int i = 1; i < kNumDTypes; ++i)
    if (const std::string own = typestr(DType(i)); !own.empty() && text.size() == own.size() && text[0] != '>' && text.substr(1) == own.substr(1))
      return DType(i);
  return DType::none;
}

// The stream on which its memory becomes ready; null where there is nothing to wait for.
void* stream_of_interface(nb::handle interface) {
  const nb::object stream = nb::borrow<nb::dict>(interface).attr("get")("stream");
  return stream.is_none() ? nullptr : reinterpret_cast<void*>(nb::cast<uintptr_t>(stream));
}

Lent lend_cuda_interface(nb::handle object, bool writable, const std::string& what, const Reach& reach) {
  const auto interface = nb::cast<nb::dict>(object.attr("__cuda_array_interface__"));
  if (nb::object mask = interface.attr("get")("mask"); !mask.is_none()) refuse(cat(what, " has a mask"), "an array without one");
  Lent out;
  const std::string type = nb::cast<std::string>(interface["typestr"]);
  out.dtype = dtype_of_typestr(type);
  if (out.dtype == DType::none) refuse(cat(what, " holds elements of type '", escape(type), "'"));
  const auto data = nb::cast<nb::tuple>(interface["data"]);
  out.data = reinterpret_cast<void*>(nb::cast<uintptr_t>(data[0]));
  if (writable && nb::cast<bool>(data[1])) refuse(cat(what, " is read-only"), "an array that may be written");
  for (nb::handle dim : interface["shape"]) out.shape.push_back(nb::cast<int64_t>(dim));
  if (const nb::object strides = interface.attr("get")("strides"); !strides.is_none())
    for (nb::handle step : strides) out.strides.push_back(nb::cast<int64_t>(step));
  else
    for (int64_t step : row_major_strides(out.shape)) out.strides.push_back(step * out.itemsize());
  if (out.strides.size() != out.shape.size()) refuse(cat(what, " has ", out.shape.size(), " dimensions and ", out.strides.size(), " strides"));
  if (void* stream = stream_of_interface(interface)) check(reach.stream.wait_for(stream));
  out.owner = keep(object);
  return out;
}

// The consumer may still be reading on streams of its own when it lets go, and memory that is let go is soon used again.
std::shared_ptr<const Tensor> outlive_readers(const std::shared_ptr<Device>& device, const std::shared_ptr<const Tensor>& tensor) {
  return std::shared_ptr<const Tensor>(tensor.get(), [device, kept = std::shared_ptr<const Tensor>(tensor)](const Tensor*) mutable {
    (void)device->synchronize();
    kept.reset();
  });
}

}  // namespace

std::optional<DLPackDevice> device_of(nb::handle object) {
  if (nb::hasattr(object, "__dlpack_device__")) {
    const auto pair = nb::cast<nb::tuple>(object.attr("__dlpack_device__")());
    const DLPackDevice d{nb::cast<int>(nb::int_(pair[0])), nb::cast<int>(nb::int_(pair[1]))};
    if (d.type == kHost || d.type == kPinned) return std::nullopt;
    return d;
  }
  // It does not say which GPU; the address will.
  if (nb::hasattr(object, "__cuda_array_interface__")) return DLPackDevice{kGpu, -1};
  return std::nullopt;
}

Lent lend_device_array(nb::handle object, DLPackDevice where, bool writable, const std::string& what, const Reach& reach) {
  const DLPackDevice engine = reach.device.dlpack_device();
  const bool known = where.id >= 0;
  if (engine.type != kGpu || (where.type != kGpu && where.type != kManaged) || (known && where.type == kGpu && where.id != engine.id))
    raise(wrong_device(what, {where.type, std::max(where.id, 0)}, engine));
  Lent out = known ? lend_dlpack(object, writable, what, reach.stream.handle()) : lend_cuda_interface(object, writable, what, reach);
  if (out.dtype == DType::none) refuse(cat(what, " holds elements of a type that engines do not have"));
  out.memory = reach.device.memory();
  if (out.data && num_elements(out.shape) > 0) {
    auto owner = reach.device.owner_of(out.data);
    if (!owner.ok()) raise(owner.status().with_prefix(what + ": "));
    out.memory = *owner;
  }
  if (!out.dense()) refuse(cat(what, " is not dense and row-major, and lies on ", text_of(engine)), "make it contiguous first");
  return out;
}

void wait_for_producer(nb::handle object, const Reach& reach) {
  if (nb::hasattr(object, "__dlpack__")) (void)capsule_of(object, "an array", reach.stream.handle());
  else if (void* stream = stream_of_interface(object.attr("__cuda_array_interface__"))) check(reach.stream.wait_for(stream));
}

// ---- ours ----------------------------------------------------------------------------------------------------------

DeviceArray::DeviceArray(std::shared_ptr<Device> device, Tensor tensor, void* stream, std::function<Status()> settle)
    : device_(std::move(device)), tensor_(std::make_shared<const Tensor>(std::move(tensor))), stream_(stream), settle_(std::move(settle)) {}

std::string DeviceArray::device_name() const {
  const DLPackDevice d = device_->dlpack_device();
  return d.type == kGpu ? cat("cuda:", d.id) : "cpu";
}

nb::tuple DeviceArray::shape() const {
  nb::list out;
  for (int64_t d : tensor_->shape()) out.append(d);
  return nb::tuple(out);
}

// Waits until it is written.
Status DeviceArray::settled() {
  if (!settle_) return {};
  const auto settle = std::move(settle_);  // let go with the lock held: it may be the last to know a binding
  settle_ = nullptr;
  stream_ = nullptr;
  nb::gil_scoped_release release;
  return settle();
}

nb::object DeviceArray::dlpack(nb::handle stream, nb::handle max_version, nb::handle dl_device, nb::handle copy) {
  // -1: no waiting is wanted; none: CUDA's default stream, which some versions of torch call "1".
  const int64_t reader = stream.is_none() ? 1 : nb::cast<int64_t>(nb::int_(nb::borrow(stream)));
  if (reader != -1 && reader != int64_t(reinterpret_cast<uintptr_t>(stream_))) check(settled());
  if (!shown_) tensor_ = outlive_readers(device_, tensor_);
  shown_ = true;
  auto* kept = new std::shared_ptr<const Tensor>(tensor_);
  nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::shared_ptr<const Tensor>*>(p); });
  const std::vector<size_t> shape(tensor_->shape().begin(), tensor_->shape().end());
  const DLPackDevice d = device_->dlpack_device();
  const nb::object array = nb::cast(nb::ndarray<nb::array_api>(const_cast<void*>(tensor_->data()), shape.size(), shape.data(), owner, nullptr,
                                                               dlpack_type(tensor_->dtype(), false), d.type, d.id));
  return array.attr("__dlpack__")(nb::arg("max_version") = max_version, nb::arg("dl_device") = dl_device, nb::arg("copy") = copy);
}

nb::dict DeviceArray::cuda_interface() {
  const std::string type = typestr(tensor_->dtype());
  if (type.empty() || device_->dlpack_device().type != kGpu) {
    PyErr_SetString(PyExc_AttributeError, type.empty() ? cat("__cuda_array_interface__ has no name for ", numpy_name(tensor_->dtype()), "; use DLPack").c_str()
                                                       : "the array is not on a GPU");
    throw nb::python_error();
  }
  if (!shown_) tensor_ = outlive_readers(device_, tensor_);
  shown_ = true;
  nb::dict out;
  out["shape"] = shape();
  out["typestr"] = type;
  out["data"] = nb::make_tuple(reinterpret_cast<uintptr_t>(tensor_->data()), false);
  out["strides"] = nb::none();
  out["version"] = 3;
  out["stream"] = stream_ ? handle_object(stream_) : nb::none();
  return out;
}

nb::object DeviceArray::numpy() {
  check(settled());
  Tensor host = value_or_raise(Tensor::allocate(tensor_->dtype(), tensor_->shape()));
  {
    nb::gil_scoped_release release;
    const auto bring = [&]() -> Status {
      auto stream = TRY(device_->create_stream(1));
      TRY(device_->copy(*stream, host.data(), tensor_->data(), host.bytes(), Copy::device_to_host));
      return stream->synchronize();
    };
    const Status status = bring();
    nb::gil_scoped_acquire gil;
    check(status);
  }
  return from_tensor(host, Array::numpy);
}

void DeviceArray::update(nb::handle array) {
  check(settled());
  auto stream = value_or_raise(device_->create_stream(1));
  const Tensor from = to_tensor(array, tensor_->dtype(), Access::read, "the array", {*device_, *stream});
  if (from.shape() != tensor_->shape()) raise(invalid_argument("the array has shape ", from.shape(), ", expected ", tensor_->shape()));
  const Copy way = from.memory() == kHostMemory ? Copy::host_to_device : Copy::device_to_device;
  check(device_->copy(*stream, const_cast<void*>(tensor_->data()), from.data(), from.bytes(), way));
  check(stream->synchronize());
}

std::shared_ptr<Device> open_named_device(const std::string& device) {
  const DeviceChoice choice = value_or_raise(parse_device(device));
  const std::string target = value_or_raise(target_of(choice));
  return value_or_raise(open_device(target.empty() ? choice.name : target, choice.ordinal));
}

static DType type_named(const std::string& dtype) {
  const DType t = from_numpy_name(dtype);
  if (t == DType::none || t == DType::str || bits(t) < 8)
    raise(invalid_argument("arrays of ", escape(dtype), " cannot be made on a device"));
  return t;
}

std::unique_ptr<DeviceArray> make_device_array(std::shared_ptr<Device> device, const std::vector<int64_t>& shape, const std::string& dtype) {
  const DType t = type_named(dtype);
  const int64_t elements = num_elements(shape);
  if (elements < 0) raise(invalid_argument("there is no array of shape ", shape));
  auto buffer = device->allocate(std::max<int64_t>(byte_size(t, elements), 1));
  if (!buffer) raise(Status(Code::out_of_memory, cat("no device memory for ", human_bytes(uint64_t(byte_size(t, elements))))));
  return std::make_unique<DeviceArray>(std::move(device), Tensor(t, shape, std::move(buffer)));
}

std::unique_ptr<DeviceArray> view_device_memory(std::shared_ptr<Device> device, uint64_t address, const std::vector<int64_t>& shape,
                                                const std::string& dtype, nb::object owner) {
  const DType t = type_named(dtype);
  const int64_t elements = num_elements(shape);
  if (elements < 0) raise(invalid_argument("there is no array of shape ", shape));
  const auto* at = reinterpret_cast<const void*>(address);
  const MemoryId memory = value_or_raise(device->owner_of(at));
  if (memory != device->memory()) refuse("the address is of the host's memory, not of the device's", "name the cpu as its device");
  Tensor tensor(t, shape, Buffer::borrow(at, byte_size(t, elements), keep(owner), memory));
  return std::make_unique<DeviceArray>(std::move(device), std::move(tensor));
}

std::unique_ptr<DeviceArray> take_device_array(nb::handle array) {
  const auto where = device_of(array);
  if (!where) raise(invalid_argument("the array is not on a GPU"));
  auto device = open_named_device(cat("cuda:", std::max(where->id, 0)));
  auto stream = value_or_raise(device->create_stream(1));
  Tensor tensor = to_tensor(array, DType::none, Access::read_here, "the array", {*device, *stream});
  check(stream->synchronize());
  return std::make_unique<DeviceArray>(std::move(device), std::move(tensor));
}

}  // namespace tenon::python
