"""Arrays in the memory of a GPU; run by test_device_arrays.py. What lies there belongs to a library that is written here,
from the driver's functions and the two protocols, so that what it is asked for can be seen.
"""
import ctypes
import gc
import threading

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import tenon
import tenon.onnxruntime as ort

CUDA = ctypes.CDLL("libcuda.so.1")
EMULATED = hasattr(ctypes.CDLL("libcuda.so.1"), "emu_barrier")
KINDS = {"f": 2, "i": 0, "u": 1, "b": 6}


def check(error):
    assert error == 0, f"the driver's error {error}"


class Gpu:
    """One GPU's memory and a stream of our own on it."""

    def __init__(self, ordinal):
        self.ordinal = ordinal
        self.context = ctypes.c_void_p()
        check(CUDA.cuInit(0))
        check(CUDA.cuDevicePrimaryCtxRetain(ctypes.byref(self.context), ordinal))
        self.stream = self.new_stream()

    def __enter__(self):
        check(CUDA.cuCtxPushCurrent_v2(self.context))

    def __exit__(self, *_):
        check(CUDA.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p())))

    def new_stream(self):
        stream = ctypes.c_void_p()
        with self:
            check(CUDA.cuStreamCreate(ctypes.byref(stream), 1))
        return stream.value

    def allocate(self, nbytes):
        address = ctypes.c_uint64()
        with self:
            check(CUDA.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(max(nbytes, 1))))
        return address.value

    def free(self, address):
        with self:
            check(CUDA.cuMemFree_v2(ctypes.c_uint64(address)))

    def write(self, address, array, stream=None):
        """Puts the copy on a stream, and waits for nothing."""
        array = np.ascontiguousarray(array)
        with self:
            check(CUDA.cuMemcpyHtoDAsync_v2(ctypes.c_uint64(address), ctypes.c_void_p(array.ctypes.data),
                                            ctypes.c_size_t(array.nbytes), ctypes.c_void_p(stream or self.stream)))

    def read(self, address, shape, dtype, stream=None):
        out = np.empty(shape, dtype)
        with self:
            check(CUDA.cuMemcpyDtoHAsync_v2(ctypes.c_void_p(out.ctypes.data), ctypes.c_uint64(address),
                                            ctypes.c_size_t(out.nbytes), ctypes.c_void_p(stream or self.stream)))
            check(CUDA.cuStreamSynchronize(ctypes.c_void_p(stream or self.stream)))
        return out

    def put_behind(self, stream):
        """Work on `stream` from now on waits for what is on our own."""
        event = ctypes.c_void_p()
        with self:
            check(CUDA.cuEventCreate(ctypes.byref(event), 2))
            check(CUDA.cuEventRecord(event, ctypes.c_void_p(self.stream)))
            check(CUDA.cuStreamWaitEvent(ctypes.c_void_p(stream), event, 0))
            check(CUDA.cuEventDestroy_v2(event))


class DLDevice(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("id", ctypes.c_int32)]


class DLTensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device", DLDevice), ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8),
                ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64)]


DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Managed(ctypes.Structure):
    _fields_ = [("tensor", DLTensor), ("context", ctypes.c_void_p), ("deleter", DELETER)]


class ManagedVersioned(ctypes.Structure):
    _fields_ = [("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
                ("deleter", DELETER), ("flags", ctypes.c_uint64), ("tensor", DLTensor)]


new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype, new_capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
LENT = {}  # what capsules point to, until they are let go
is_capsule, capsule_pointer = ctypes.pythonapi.PyCapsule_IsValid, ctypes.pythonapi.PyCapsule_GetPointer
is_capsule.argtypes = capsule_pointer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
capsule_pointer.restype = ctypes.c_void_p


@DELETER
def drop(capsule):
    """Capsules that nobody took let go themselves."""
    for name, kind in ((b"dltensor", Managed), (b"dltensor_versioned", ManagedVersioned)):
        if is_capsule(capsule, name):
            at = capsule_pointer(capsule, name)
            kind.from_address(at).deleter(at)


class Base:
    """An array of another library on a GPU, written on a stream of that library's."""

    offset = 0  # how far behind a boundary of 64 bytes it begins

    def __init__(self, gpu, array, strides=None, read_only=False):
        array = np.asarray(array)
        self.gpu, self.shape, self.dtype, self.read_only = gpu, array.shape, array.dtype, read_only
        self.strides, self.asked = strides, []
        self.address = gpu.allocate(array.nbytes + 64) + self.offset
        gpu.write(self.address, array)

    def __del__(self):
        self.gpu.free(self.address - self.offset)

    def write(self, array, stream=None):
        self.gpu.write(self.address, np.asarray(array, self.dtype), stream)

    def read(self, stream=None):
        return self.gpu.read(self.address, self.shape, self.dtype, stream)


class Lender(Base):
    """Speaks DLPack, in its older or its newer form."""

    versioned = True
    capsule = None  # one that is given again and again, against the rules

    def __dlpack_device__(self):
        return 2, self.gpu.ordinal

    def __dlpack__(self, *, stream=None, max_version=None):
        self.asked.append(stream)
        self.gpu.put_behind(stream)
        if self.capsule is not None:
            return self.capsule
        n = len(self.shape)
        numbers = ctypes.c_int64 * max(n, 1)
        shape = numbers(*self.shape)
        strides = numbers(*self.strides) if self.strides else None
        tensor = DLTensor(self.address - self.offset, DLDevice(2, self.gpu.ordinal), n, KINDS[self.dtype.kind],
                          self.dtype.itemsize * 8, 1, shape, strides, self.offset)
        key = object()
        deleter = DELETER(lambda _: LENT.pop(key) and None)
        if self.versioned and max_version:
            managed, name = ManagedVersioned(1, 0, None, deleter, int(self.read_only), tensor), b"dltensor_versioned"
        else:
            managed, name = Managed(tensor, None, deleter), b"dltensor"
        LENT[key] = (managed, shape, strides, self)
        return new_capsule(ctypes.addressof(managed), name, ctypes.cast(drop, ctypes.c_void_p))


class OldLender(Lender):
    """From before DLPack had versions: it does not know the argument."""

    versioned = False

    def __dlpack__(self, *, stream=None):
        return super().__dlpack__(stream=stream)


class Interface(Base):
    """Speaks __cuda_array_interface__ only."""

    @property
    def __cuda_array_interface__(self):
        return {"shape": self.shape, "typestr": self.dtype.str, "data": (self.address, self.read_only), "version": 3,
                "strides": self.strides, "stream": self.gpu.stream}


W = np.linspace(-2, 2, 8, dtype=np.float32)


def relu_model():
    """y = max(x + W, 0)"""
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["s"]), helper.make_node("Relu", ["s"], ["y"])], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8])],
                              [numpy_helper.from_array(W, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()


def expected(x):
    return np.maximum(x + W, 0)


def floats(*shape, start=-20):
    return (np.arange(np.prod(shape)) % 41 + start).astype(np.float32).reshape(shape) / 4


@pytest.fixture(scope="module")
def gpu():
    return Gpu(0)


@pytest.fixture(scope="module")
def model():
    return tenon.compile(relu_model(), device="cuda")


@pytest.fixture
def unset(gpu):
    return lambda n: Lender(gpu, np.full((n, 8), -1, np.float32))


# ---- the kind that goes in comes out ---------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", [Lender, OldLender, Interface])
def test_arrays_of_a_gpu_give_arrays_of_it(gpu, model, kind):
    for n in (1, 3, 0):
        x = floats(n, 8)
        y = model(kind(gpu, x))["y"]
        assert isinstance(y, tenon.DeviceArray) and y.shape == (n, 8) and y.dtype == "float32" and y.device == "cuda:0"
        assert y.__dlpack_device__() == (2, 0) and y.nbytes == n * 32
        assert np.array_equal(y.numpy(), expected(x))


def test_arrays_of_the_host_give_arrays_of_the_host(model):
    x = floats(2, 8)
    y = model(x)["y"]
    assert isinstance(y, np.ndarray) and np.array_equal(y, expected(x))


def test_arrays_of_ours_are_taken_by_both_protocols(gpu, model):
    x = floats(5, 8)
    y = model(Lender(gpu, x))["y"]
    interface = y.__cuda_array_interface__
    assert interface["shape"] == (5, 8) and interface["typestr"] == "<f4" and interface["version"] == 3
    assert np.array_equal(gpu.read(interface["data"][0], (5, 8), np.float32), expected(x))
    assert '"dltensor"' in repr(y.__dlpack__()) and '"dltensor_versioned"' in repr(y.__dlpack__(max_version=(1, 0)))
    with pytest.raises(TypeError, match=r"numpy\(\)"):
        np.asarray(y)
    assert y.__dlpack__(stream="1") and y.__dlpack__(stream=-1)
    with pytest.raises(BufferError):
        y.__dlpack__(dl_device=(1, 0))
    again = model(y)["y"]
    assert np.array_equal(again.numpy(), expected(expected(x)))
    mine = tenon.empty((2, 8), device="cuda:0")
    mine.update(x[:2])
    assert np.array_equal(model(mine)["y"].numpy(), expected(x[:2]))
    with pytest.raises(tenon.InvalidArgumentError, match="shape"):
        mine.update(x)


class Slice(Lender):
    offset = 4


def test_slices_begin_anywhere(gpu, model):
    x, y = Slice(gpu, floats(4, 8)), Slice(gpu, np.zeros((4, 8), np.float32))
    assert np.array_equal(model(x)["y"].numpy(), expected(floats(4, 8)))
    bound = model.bind(x=x, y=y)
    for _ in range(3):
        bound.execute()
        assert np.array_equal(y.read(), expected(floats(4, 8)))
    model.bind(x=Lender(gpu, floats(4, 8, start=1)), y=y).execute()
    assert np.array_equal(y.read(), expected(floats(4, 8, start=1)))


def test_what_is_under_way_is_waited_for(gpu, model):
    """The input is still being written on a stream of its library's, which is told the stream that reads it."""
    x = Lender(gpu, np.zeros((4, 8), np.float32))
    x.write(floats(4, 8))
    assert np.array_equal(model(x)["y"].numpy(), expected(floats(4, 8)))
    assert len(x.asked) == 1 and x.asked[0] > 2


def test_memory_is_kept_and_let_go(gpu, model):
    before = len(LENT)
    bound = model.bind(x=Lender(gpu, floats(3, 8)))
    gc.collect()
    assert len(LENT) == before + 1
    assert np.array_equal(bound.execute()["y"].numpy(), expected(floats(3, 8)))
    y = model(Lender(gpu, floats(3, 8)))["y"]
    del bound
    gc.collect()
    assert len(LENT) == before
    assert np.array_equal(y.numpy(), expected(floats(3, 8)))


# ---- binding and streams ---------------------------------------------------------------------------------------------

class TorchStream:
    def __init__(self, handle):
        self.cuda_stream = handle


class CupyStream:
    def __init__(self, handle):
        self.ptr = handle


class CudaStream:
    def __init__(self, handle):
        self.handle = handle

    def __cuda_stream__(self):
        return 0, self.handle


@pytest.mark.parametrize("named", [int, TorchStream, CupyStream, CudaStream])
def test_a_run_is_put_on_the_callers_stream(gpu, model, unset, named):
    stream, x, y = gpu.new_stream(), Lender(gpu, np.zeros((6, 8), np.float32)), unset(6)
    y.read()
    bound = model.bind(x=x, y=y)
    for k in range(4):  # the first run is launched, later ones are replayed
        x.write(floats(6, 8, start=k), stream)
        assert bound.execute(named(stream))["y"] is y
        if EMULATED and k == 0:
            assert (y.read() == -1).all()  # nobody has waited
        assert np.array_equal(y.read(stream), expected(floats(6, 8, start=k)))


def test_the_default_stream(gpu, model, unset):
    """0, as torch calls it, is 1 to the driver."""
    x, y = Lender(gpu, np.zeros((6, 8), np.float32)), unset(6)
    y.read()
    bound = model.bind(x=x, y=y)
    for k, stream in enumerate((0, TorchStream(0), 1)):
        x.write(floats(6, 8, start=k), 1)
        bound.execute(stream)
        assert np.array_equal(y.read(1), expected(floats(6, 8, start=k)))


def test_another_stream_waits_for_the_last(gpu, model, unset):
    a, b, x, y = gpu.new_stream(), gpu.new_stream(), Lender(gpu, np.zeros((2, 8), np.float32)), unset(2)
    bound = model.bind(x=x, y=y)
    x.write(floats(2, 8), a)
    bound.execute(a)
    bound.execute(b)
    assert np.array_equal(y.read(b), expected(floats(2, 8)))
    x.write(floats(2, 8, start=3), a)
    bound.execute(a)
    bound.synchronize()
    assert np.array_equal(y.read(b), expected(floats(2, 8, start=3)))


def test_without_a_stream_the_arrays_are_ready_before_and_after(gpu, model, unset):
    x, y = Lender(gpu, np.zeros((2, 8), np.float32)), unset(2)
    bound = model.bind(x=x, y=y)
    for k in range(3):
        x.write(floats(2, 8, start=k))
        bound.execute()
        assert np.array_equal(y.read(gpu.new_stream()), expected(floats(2, 8, start=k)))


def test_outputs_that_are_not_bound(gpu, model):
    stream, x = gpu.new_stream(), Lender(gpu, np.zeros((2, 8), np.float32))
    bound = model.bind(x=x)
    x.write(floats(2, 8), stream)
    y = bound.execute(stream)["y"]
    assert y.__cuda_array_interface__["stream"] == stream
    assert np.array_equal(gpu.read(y.ptr, (2, 8), np.float32, stream), expected(floats(2, 8)))
    x.write(floats(2, 8, start=5), stream)
    assert np.array_equal(bound.execute(stream)["y"].numpy(), expected(floats(2, 8, start=5)))
    # A reader on another stream: the run is waited for.
    x.write(floats(2, 8, start=7), stream)
    y = bound.execute(stream)["y"]
    y.__dlpack__(stream=gpu.new_stream())
    assert np.array_equal(gpu.read(y.ptr, (2, 8), np.float32), expected(floats(2, 8, start=7)))


def test_host_and_device_arrays_in_one_binding(gpu, model, unset):
    stream, out, y = gpu.new_stream(), np.empty((2, 8), np.float32), unset(2)
    model.bind(x=Lender(gpu, floats(2, 8)), y=out).execute(stream)
    assert np.array_equal(out, expected(floats(2, 8)))  # what comes to the host is there
    model.bind(x=floats(2, 8, start=1), y=y).execute(stream)
    assert np.array_equal(y.read(stream), expected(floats(2, 8, start=1)))


def test_what_is_no_stream(gpu, model):
    bound = model.bind(x=floats(2, 8))
    for wrong in ("stream", 1.5, -3, True):
        with pytest.raises(tenon.InvalidArgumentError, match="is no stream"):
            bound.execute(wrong)


# ---- errors ----------------------------------------------------------------------------------------------------------

def test_what_does_not_fit_is_told(gpu, model, unset):
    def refused(match, **arrays):
        with pytest.raises(tenon.InvalidArgumentError, match=match):
            model.bind(**arrays)

    x = floats(4, 8)
    refused("input 'x' is float64, expected float32", x=Lender(gpu, x.astype(np.float64)))
    refused("input 'x' is int32, expected float32", x=Interface(gpu, x.astype(np.int32)))
    refused("(?s)input 'x' is not dense.*contiguous", x=Lender(gpu, x, strides=(1, 4)))
    refused("(?s)input 'x' is not dense.*contiguous", x=Interface(gpu, x, strides=(4, 16)))
    refused("output 'y' is read-only", x=x, y=Lender(gpu, x, read_only=True))
    refused("output 'y' is read-only", x=x, y=Interface(gpu, x, read_only=True))
    used = Lender(gpu, x)
    used.capsule = used.__dlpack__(stream=gpu.stream, max_version=(1, 0))
    model(used)
    refused("input 'x': its __dlpack__ gives a capsule that was taken before", x=used)
    used.capsule = "nothing"
    refused("input 'x': its __dlpack__ gives no DLPack capsule", x=used)

    class Refusing(Lender):
        def __dlpack__(self, **_):
            raise BufferError("not today")

    refused("input 'x' cannot be lent: .*not today", x=Refusing(gpu, x))
    with pytest.raises(tenon.InvalidArgumentError, match="'y' is bound to"):
        model.bind(x=x, y=unset(3)).execute()


def test_an_engine_of_the_cpu_takes_no_array_of_a_gpu(gpu):
    on_cpu = tenon.compile(relu_model(), threads=1)
    for kind in (Lender, Interface):
        with pytest.raises(tenon.InvalidArgumentError, match="input 'x' lies on GPU 0, the engine runs on the host") as error:
            on_cpu(kind(gpu, floats(2, 8)))
        assert 'device="cuda:0"' in error.value.remedy


# ---- several GPUs ------------------------------------------------------------------------------------------------------

def gpus():
    count = ctypes.c_int()
    check(CUDA.cuInit(0))
    check(CUDA.cuDeviceGetCount(ctypes.byref(count)))
    return count.value


two_gpus = pytest.mark.skipif(gpus() < 2, reason="one GPU")


def test_a_gpu_that_is_not_there(model):
    n = gpus()
    for ask in (lambda: tenon.compile(relu_model(), device="cuda:7"), lambda: tenon.load(model.serialize(), device="cuda:7"),
                lambda: tenon.empty((2,), device="cuda:7")):
        with pytest.raises(tenon.DeviceUnavailableError, match=f"no GPU 7; this machine has {n}"):
            ask()
    with pytest.raises(tenon.InvalidArgumentError, match="built for cuda.*not for cpu"):
        tenon.load(model.serialize(), device="cpu")
    with pytest.raises(tenon.DeviceUnavailableError, match="one cpu"):
        tenon.compile(relu_model(), device="cpu:1")


@two_gpus
def test_two_gpus_at_once(gpu, model):
    other, second = Gpu(1), tenon.load(model.serialize(), device="cuda:1")
    y = second(Lender(other, floats(3, 8)))["y"]
    assert y.device == "cuda:1" and y.__dlpack_device__() == (2, 1)
    assert np.array_equal(y.numpy(), expected(floats(3, 8)))
    wrong = []

    def work(engine, device):
        for k in range(20):
            if not np.array_equal(engine(Lender(device, floats(9, 8, start=k)))["y"].numpy(), expected(floats(9, 8, start=k))):
                wrong.append((device.ordinal, k))

    threads = [threading.Thread(target=work, args=pair) for pair in ((model, gpu), (second, other)) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@two_gpus
def test_memory_of_the_other_gpu(gpu, model):
    other = Gpu(1)
    with pytest.raises(tenon.InvalidArgumentError, match="input 'x' lies on GPU 1, the engine runs on GPU 0"):
        model(Lender(other, floats(2, 8)))
    with pytest.raises(tenon.InvalidArgumentError, match="input 'x': the memory is of GPU 1, the engine runs on GPU 0"):
        model(Interface(other, floats(2, 8)))
    with pytest.raises(tenon.InvalidArgumentError, match="lies on GPU 1"):
        model(tenon.compile(relu_model(), device="cuda:1")(Lender(other, floats(2, 8)))["y"])


# ---- memory ------------------------------------------------------------------------------------------------------------

def test_memory_is_known_before_a_run(model):
    fresh = tenon.load(model.serialize())
    small, large = fresh.memory_for(x=(1, 8)), fresh.memory_for(x=(1 << 16, 8))
    assert fresh.memory["device"] > 0 and small["device"] >= fresh.memory["device"]
    assert large["device"] - small["device"] >= (1 << 16) * 32 - 4096 and large["host"] >= len(model.serialize())
    with pytest.raises(tenon.InvalidArgumentError, match="shape of input 'x' is missing"):
        fresh.memory_for()
    with pytest.raises(tenon.InvalidArgumentError, match="no input 'z'"):
        fresh.memory_for(x=(1, 8), z=(1,))


# ---- ONNX Runtime's spelling -------------------------------------------------------------------------------------------

CUDA_FIRST = ["CUDAExecutionProvider", "CPUExecutionProvider"]


@pytest.fixture(scope="module")
def session():
    return ort.InferenceSession(relu_model(), providers=CUDA_FIRST)


def test_io_binding_at_addresses(gpu, session, unset):
    assert session.get_providers() == CUDA_FIRST
    x, y = Lender(gpu, floats(3, 8)), unset(3)
    x.read(), y.read()  # both are written
    binding = session.io_binding()
    binding.bind_input("x", "cuda", 0, np.float32, (3, 8), x.address)
    binding.bind_output("y", "cuda", 0, np.float32, (3, 8), y.address)
    session.run_with_iobinding(binding)
    assert np.array_equal(y.read(), expected(floats(3, 8)))
    assert binding.get_outputs()[0].data_ptr() == y.address and binding.get_outputs()[0].device_name() == "cuda"
    with pytest.raises(tenon.InvalidArgumentError, match="host's memory"):
        binding.bind_input("x", "cuda", 0, np.float32, (3, 8), floats(3, 8).ctypes.data)


def test_ort_values_on_a_gpu(session):
    x = ort.OrtValue.ortvalue_from_numpy(floats(3, 8), "cuda", 0)
    y = ort.OrtValue.ortvalue_from_shape_and_type([3, 8], np.float32, "cuda", 0)
    assert x.shape() == [3, 8] and x.data_type() == "tensor(float)" and x.device_name() == "cuda"
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", x)
    binding.bind_ortvalue_output("y", y)
    session.run_with_iobinding(binding)
    assert np.array_equal(y.numpy(), expected(floats(3, 8)))
    x.update_inplace(floats(3, 8, start=2))
    binding.bind_output("y", "cuda")
    session.run_with_iobinding(binding)
    assert binding.get_outputs()[0].device_name() == "cuda"
    assert np.array_equal(binding.copy_outputs_to_cpu()[0], expected(floats(3, 8, start=2)))
    binding.bind_output("y")
    session.run_with_iobinding(binding)
    assert isinstance(binding.get_outputs()[0]._array, np.ndarray)
    assert np.array_equal(binding.get_outputs()[0].numpy(), expected(floats(3, 8, start=2)))
    assert np.array_equal(session.run(None, {"x": x})[0], expected(floats(3, 8, start=2)))


def test_ort_values_from_dlpack(gpu):
    value = ort.OrtValue.from_dlpack(Lender(gpu, floats(3, 8)))
    assert value.device_name() == "cuda" and np.array_equal(value.numpy(), floats(3, 8))
    truth = ort.OrtValue.from_dlpack(Lender(gpu, np.array([0, 1, 1], np.uint8)), is_bool_tensor=True)
    assert truth.data_type() == "tensor(bool)" and truth.numpy().tolist() == [False, True, True]


def test_a_session_runs_on_the_callers_stream(gpu, unset):
    stream = gpu.new_stream()
    session = ort.InferenceSession(relu_model(), providers=[("CUDAExecutionProvider", {"device_id": 0, "user_compute_stream": str(stream)})])
    assert session.get_provider_options()["CUDAExecutionProvider"] == {"device_id": "0", "user_compute_stream": str(stream)}
    x, y = Lender(gpu, np.zeros((3, 8), np.float32)), unset(3)
    y.read()
    binding = session.io_binding()
    binding.bind_input("x", "cuda", 0, np.float32, (3, 8), x.address)
    binding.bind_output("y", "cuda", 0, np.float32, (3, 8), y.address)
    x.write(floats(3, 8), stream)
    session.run_with_iobinding(binding)
    assert np.array_equal(y.read(), expected(floats(3, 8)))
    options = ort.RunOptions()
    options.add_run_config_entry("disable_synchronize_execution_providers", "1")
    x.write(floats(3, 8, start=2), stream)
    session.run_with_iobinding(binding, options)
    if EMULATED:
        assert np.array_equal(y.read(), expected(floats(3, 8)))  # still the last run's
    binding.synchronize_outputs()
    assert np.array_equal(y.read(), expected(floats(3, 8, start=2)))


# ---- torch -------------------------------------------------------------------------------------------------------------

def test_torch(model):
    torch = pytest.importorskip("torch")
    if EMULATED or not torch.cuda.is_available():
        pytest.skip("no GPU that torch knows")
    x = torch.from_numpy(floats(4, 8)).cuda()
    y = model(x)["y"]
    assert isinstance(y, torch.Tensor) and y.is_cuda and np.array_equal(y.cpu().numpy(), expected(floats(4, 8)))
    assert isinstance(model(x.cpu())["y"], torch.Tensor)
    out = torch.empty(4, 8, device="cuda")
    bound = model.bind(x=x, y=out)
    side = torch.cuda.Stream()
    for stream in (torch.cuda.current_stream(), side):
        for k in range(50):
            with torch.cuda.stream(stream):
                x.fill_(k)
                assert bound.execute(stream)["y"] is out
                total = (out - torch.from_numpy(expected(np.full((4, 8), k, np.float32))).cuda()).abs().sum()
            assert total.item() == 0
    with pytest.raises(tenon.InvalidArgumentError, match="not dense"):
        model(torch.zeros(8, 4, device="cuda").t())
