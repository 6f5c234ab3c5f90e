"""ONNX Runtime's Python API, spelled alike: a program changes one import.

    import tenon.onnxruntime as onnxruntime
    session = onnxruntime.InferenceSession("m.onnx", providers=["CUDAExecutionProvider", "CPUExecutionProvider"])
    outputs = session.run(None, {"x": array})

Options that steer what Tenon does in its own way (arenas, execution mode, optimisation level) are accepted and kept.
Providers that Tenon does not have are passed over, as ONNX Runtime does, with a warning.
"""
import enum
import os
import re
import warnings

import numpy as np

import tenon
from tenon import _arrays, _core
from tenon.errors import InvalidArgumentError, NotFoundError

__version__ = tenon.__version__

# Providers of ONNX Runtime and the devices that do their work.
_PROVIDERS = {"CUDAExecutionProvider": "cuda", "CPUExecutionProvider": "cpu"}


class GraphOptimizationLevel(enum.IntEnum):
    ORT_DISABLE_ALL = 0
    ORT_ENABLE_BASIC = 1
    ORT_ENABLE_EXTENDED = 2
    ORT_ENABLE_LAYOUT = 3
    ORT_ENABLE_ALL = 99


class ExecutionMode(enum.IntEnum):
    ORT_SEQUENTIAL = 0
    ORT_PARALLEL = 1


class ExecutionOrder(enum.IntEnum):
    DEFAULT = 0
    PRIORITY_BASED = 1
    MEMORY_EFFICIENT = 2


class SessionOptions:
    """Options of a session. `intra_op_num_threads` is the number of threads of a run; 0: one for each core."""

    def __init__(self):
        self.intra_op_num_threads = 0
        self.inter_op_num_threads = 0
        self.log_severity_level = -1
        self.log_verbosity_level = 0
        self.logid = ""
        self.enable_cpu_mem_arena = True
        self.enable_mem_pattern = True
        self.enable_mem_reuse = True
        self.enable_profiling = False
        self.profile_file_prefix = "onnxruntime_profile_"
        self.optimized_model_filepath = ""
        self.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_ALL
        self.execution_mode = ExecutionMode.ORT_SEQUENTIAL
        self.execution_order = ExecutionOrder.DEFAULT
        self.use_deterministic_compute = False
        self._config, self._dimensions = {}, {}

    def add_session_config_entry(self, key, value):
        self._config[str(key)] = str(value)

    def get_session_config_entry(self, key):
        try:
            return self._config[key]
        except KeyError:
            raise RuntimeError(f"no session configuration entry '{key}'") from None

    def has_session_config_entry(self, key):
        return key in self._config

    def add_free_dimension_override_by_name(self, name, size):
        """Fixes the dim of that name in all inputs."""
        self._dimensions[str(name)] = int(size)

    def register_custom_ops_library(self, path):
        raise tenon.UnsupportedError(f"custom operators cannot be loaded: {path}", "unsupported")


class RunOptions:
    """Options of one run; kept, none changes what is computed."""

    def __init__(self):
        self.log_severity_level = -1
        self.log_verbosity_level = 0
        self.logid = ""
        self.terminate = False
        self.only_execute_path_to_fetches = False
        self._config = {}

    def add_run_config_entry(self, key, value):
        self._config[str(key)] = str(value)


class NodeArg:
    """An input or output: name, type as ONNX Runtime writes it, shape with text or None for free dims."""

    def __init__(self, info):
        self.name = info.name
        self.type = f"tensor({_type_name(info.dtype)})"
        # A dim that the file does not name gets a name of the input's and its own number.
        own = re.sub(r"[^0-9A-Za-z_.]", "_", info.name)
        unnamed = re.compile(rf"d?{re.escape(own)}_\d+_?|_.*")
        self.shape = [None if isinstance(dim, str) and unnamed.fullmatch(dim) else dim for dim in info.shape or ()]

    def __repr__(self):
        return f"NodeArg(name='{self.name}', type='{self.type}', shape={self.shape})"

    __str__ = __repr__


class ModelMetadata:
    """What the file says of itself."""

    def __init__(self, model):
        self.custom_metadata_map = model.metadata
        self.producer_name = model._core.producer
        self.graph_name = model.name
        self.description = self.domain = self.graph_description = ""
        self.version = 0


def _type_name(dtype):
    """ONNX Runtime's name of a numpy type: float32 is `float`."""
    return {"float32": "float", "float64": "double"}.get(dtype, dtype)


class OrtDevice:
    """Where memory lies."""

    def __init__(self, kind="cpu", number=0):
        self._kind, self._number = kind.lower(), number

    @staticmethod
    def make(kind, number=0):
        return OrtDevice(kind, number)

    def device_type(self):
        return self._kind

    def device_id(self):
        return self._number


class OrtValue:
    """A tensor that belongs to the runtime, on the host or on a GPU."""

    def __init__(self, array):
        self._array = array

    @staticmethod
    def ortvalue_from_numpy(array, device_type="cpu", device_id=0):
        array = np.ascontiguousarray(array).reshape(np.shape(array))
        if _device(device_type, device_id) is None:
            return OrtValue(array)
        value = OrtValue.ortvalue_from_shape_and_type(array.shape, array.dtype, device_type, device_id)
        value.update_inplace(array)
        return value

    @staticmethod
    def ortvalue_from_shape_and_type(shape, element_type, device_type="cpu", device_id=0):
        dtype, device = _dtype(element_type), _device(device_type, device_id)
        return OrtValue(tenon.empty(shape, dtype.name, device=device) if device else np.zeros(tuple(shape), dtype))

    @staticmethod
    def from_dlpack(value, is_bool_tensor=False):
        array = _core.device_take(value) if _arrays.on_device(value) else np.from_dlpack(value)
        if is_bool_tensor and array.dtype != "bool":
            array = (_core.device_view(array.device, array.ptr, array.shape, "bool", array)
                     if isinstance(array, tenon.DeviceArray) else array.view(np.bool_))
        return OrtValue(array)

    def _on_device(self):
        return isinstance(self._array, tenon.DeviceArray)

    def numpy(self):
        return self._array.numpy() if self._on_device() else self._array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.numpy(), dtype=dtype, copy=bool(copy))

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()

    def update_inplace(self, array):
        if self._on_device():
            self._array.update(array)
        else:
            np.copyto(self._array, array)

    def data_ptr(self):
        return self._array.ptr if self._on_device() else self._array.ctypes.data

    def shape(self):
        return list(self._array.shape)

    def element_type(self):
        from onnx import helper
        return helper.np_dtype_to_tensor_dtype(_arrays.dtype_of(str(self._array.dtype)))

    def data_type(self):
        return f"tensor({_type_name(str(self._array.dtype))})"

    def device_name(self):
        return self._array.device.partition(":")[0] if self._on_device() else "cpu"

    def has_value(self):
        return True

    def is_tensor(self):
        return True

    def is_sparse_tensor(self):
        return False

    def is_tensor_sequence(self):
        return False


def _device(device_type, device_id):
    """ "cuda:1"; None for the host."""
    name = device_type.lower()
    if name in ("cpu", "cuda_pinned"):
        return None
    if name not in ("cuda", "gpu"):
        raise InvalidArgumentError(f"memory of device '{device_type}' cannot be bound", "invalid_argument",
                                   "device_type='cpu' or 'cuda'")
    return f"cuda:{int(device_id)}"


def _dtype(element_type):
    """The numpy type of one of numpy's or one of onnx's numbers."""
    if not isinstance(element_type, int):
        return np.dtype(element_type)
    from onnx import helper
    return helper.tensor_dtype_to_np_dtype(element_type)


class IOBinding:
    """Arrays fixed to inputs and outputs before a run."""

    def __init__(self, session):
        self._session = session
        self._inputs, self._outputs, self._results = {}, {}, {}
        self._stay = set()  # names of outputs without an address that are to stay on the GPU
        self._binding = None

    def _bind(self, arrays, name, array, stay=False):
        arrays[name] = array
        if arrays is self._outputs:
            self._stay = self._stay - {name} | ({name} if stay else set())
        self._binding = None

    def bind_cpu_input(self, name, array):
        self._bind(self._inputs, name, np.asarray(array))

    def bind_ortvalue_input(self, name, value):
        self._bind(self._inputs, name, value._array)

    def bind_input(self, name, device_type, device_id, element_type, shape, buffer_ptr):
        """An input at an address; the memory must outlive the binding."""
        self._bind(self._inputs, name, _at_address(_device(device_type, device_id), buffer_ptr, element_type, shape))

    def bind_output(self, name, device_type="cpu", device_id=0, element_type=None, shape=None, buffer_ptr=None):
        """An output at an address, or without one wherever the run puts it in that device's memory."""
        device = _device(device_type, device_id)
        array = None if buffer_ptr is None else _at_address(device, buffer_ptr, element_type, shape)
        self._bind(self._outputs, name, array, stay=device is not None and array is None)

    def bind_ortvalue_output(self, name, value):
        self._bind(self._outputs, name, value._array)

    def clear_binding_inputs(self):
        self._inputs.clear()
        self._binding = None

    def clear_binding_outputs(self):
        self._outputs.clear()
        self._stay.clear()
        self._results.clear()
        self._binding = None

    def synchronize_inputs(self):
        """Nothing to wait for: what comes here through OrtValue has arrived."""

    def synchronize_outputs(self):
        """Waits for runs that did not wait themselves."""
        if self._binding is not None:
            self._binding.wait()

    def copy_outputs_to_cpu(self):
        self.synchronize_outputs()
        return [OrtValue(self._results[name]).numpy() for name in self._outputs]

    def get_outputs(self):
        return [OrtValue(self._results[name]) for name in self._outputs]

    def get_outputs_as_ortvaluevector(self):
        return self.get_outputs()

    def _run(self, wait=True):
        given = {name: array for name, array in self._outputs.items() if array is not None}
        # The same memory is bound for many runs; what is not dense is copied anew for each.
        dense = all(isinstance(array, tenon.DeviceArray) or array.flags.c_contiguous and array.dtype.isbuiltin != 2
                    for array in self._inputs.values())
        for name in self._outputs:
            self._session._output_index(name)
        kind = "device" if self._stay else "numpy"
        if dense and self._binding is None:
            self._binding = self._session._model._core.bind(self._inputs, given)
        if dense:
            found = self._binding.execute(kind, self._session._stream)
            if wait and self._session._stream is not None:
                self._binding.wait()
        else:
            found = self._session._model._core.run(self._inputs, kind)
            for name, array in given.items():
                result = found[self._session._output_index(name)]
                array.update(result) if isinstance(array, tenon.DeviceArray) else np.copyto(array, OrtValue(result).numpy())
        self._results = {name: given[name] if name in given else found[self._session._output_index(name)]
                         for name in self._outputs}
        for name in self._outputs.keys() - given.keys() - self._stay:
            self._results[name] = OrtValue(self._results[name]).numpy()


def _at_address(device, address, element_type, shape):
    import ctypes

    dtype = _dtype(element_type)
    if device:
        return _core.device_view(device, int(address), list(shape), dtype.name, None)
    count = int(np.prod(tuple(shape), dtype=np.int64)) * dtype.itemsize
    return np.frombuffer((ctypes.c_char * count).from_address(address), dtype).reshape(tuple(shape))


class InferenceSession:
    """A model (path or bytes of ONNX, or of a Tenon engine), ready to run."""

    def __init__(self, path_or_bytes, sess_options=None, providers=None, provider_options=None, **kwargs):
        options = sess_options or SessionOptions()
        provider, device, chosen = _choose(providers, provider_options)
        self._provider_options = {provider: {name: str(value) for name, value in chosen.items()}}
        # CUDA's default stream where that is what the caller says, none where nothing is said.
        stream = chosen.get("user_compute_stream") if provider == "CUDAExecutionProvider" else None
        self._stream = None if stream is None or str(stream) == "" else _arrays.stream_handle(int(stream))
        self._providers = [provider] if provider == "CPUExecutionProvider" else [provider, "CPUExecutionProvider"]
        self._sess_options = options
        self._model_path = None if isinstance(path_or_bytes, (bytes, bytearray)) else path_or_bytes
        self._model = _open(path_or_bytes, device, options)
        self._inputs_meta = [NodeArg(info) for info in self._model.inputs]
        self._outputs_meta = [NodeArg(info) for info in self._model.outputs]
        self._output_names = [info.name for info in self._model.outputs]

    def run(self, output_names, input_feed, run_options=None):
        """The outputs named, or all (None), as numpy arrays."""
        wanted = [self._output_index(name) for name in output_names] if output_names else None
        found = self._model._core.run(_plain_feeds(input_feed), "numpy")
        return found if wanted is None else [found[i] for i in wanted]

    def run_with_ort_values(self, output_names, input_dict_ort_values, run_options=None):
        return [OrtValue(array) for array in self.run(output_names, input_dict_ort_values, run_options)]

    def run_with_iobinding(self, iobinding, run_options=None):
        """Waits for the run, unless the run option disable_synchronize_execution_providers is 1 and the provider has a
        user_compute_stream.
        """
        config = run_options._config if run_options else {}
        iobinding._run(config.get("disable_synchronize_execution_providers", "0") != "1")

    def run_async(self, output_names, input_feed, callback, user_data, run_options=None):
        """Runs on another thread, then calls callback(outputs, user_data, error text)."""
        import threading

        def work():
            try:
                found, error = self.run(output_names, input_feed, run_options), ""
            except Exception as problem:
                found, error = [], str(problem)
            callback(found, user_data, error)

        threading.Thread(target=work, daemon=True).start()

    def io_binding(self):
        return IOBinding(self)

    def get_inputs(self):
        return self._inputs_meta

    def get_outputs(self):
        return self._outputs_meta

    def get_overridable_initializers(self):
        return []

    def get_modelmeta(self):
        return ModelMetadata(self._model)

    def get_providers(self):
        return self._providers

    def get_provider_options(self):
        return {name: self._provider_options.get(name, {}) for name in self._providers}

    def get_session_options(self):
        return self._sess_options

    def set_providers(self, providers=None, provider_options=None):
        provider = _choose(providers, provider_options)[0]
        if provider != self._providers[0]:
            raise InvalidArgumentError(f"the session was made for {self._providers[0]}", "invalid_argument",
                                       f"InferenceSession(..., providers=['{provider}'])")

    def disable_fallback(self):
        """There is no fallback to another provider."""

    enable_fallback = disable_fallback

    def end_profiling(self):
        return ""

    def _output_index(self, name):
        try:
            return self._output_names.index(name)
        except ValueError:
            raise InvalidArgumentError(f"the model has no output '{name}'; it has: {', '.join(self._output_names)}",
                                       "invalid_argument") from None


def _plain_feeds(feeds):
    if any(isinstance(value, OrtValue) for value in feeds.values()):
        return {name: value._array if isinstance(value, OrtValue) else value for name, value in feeds.items()}
    return feeds if isinstance(feeds, dict) else dict(feeds)


def _choose(providers, provider_options):
    """(provider, device, options) of the first provider that is there. Entries are names or (name, options)."""
    available = get_available_providers()
    for number, entry in enumerate(providers or ["CPUExecutionProvider"]):
        name, options = entry if isinstance(entry, (tuple, list)) else (entry, {})
        if provider_options and number < len(provider_options):
            options = provider_options[number]
        if name in available:
            index = int(options.get("device_id", 0))
            return name, _PROVIDERS[name] + (f":{index}" if index else ""), options
        if name not in _PROVIDERS and not name.endswith("ExecutionProvider"):
            raise InvalidArgumentError(f"'{name}' is no execution provider", "invalid_argument",
                                       f"one of {', '.join(available)}")
        warnings.warn(f"provider '{name}' is not available; there are: {', '.join(available)}", stacklevel=3)
    return "CPUExecutionProvider", "cpu", {}


def _open(source, device, options):
    threads, host = int(options.intra_op_num_threads), isinstance(source, (bytes, bytearray))
    if not host and not hasattr(source, "SerializeToString"):
        try:
            source = os.fsdecode(os.fspath(source))
        except TypeError:
            raise TypeError(f"a model is given as a path or bytes, not as {type(source).__name__}") from None
        if not os.path.exists(source):
            raise NotFoundError(f"'{source}' does not exist", "not_found")
    head = bytes(source[:64]) if host else b"" if not isinstance(source, str) else _head(source)
    if _core.looks_like_engine(head):
        return tenon.load(source, device=device if ":" in device else None, threads=threads)
    # A session is expected to open quickly; an engine that was tuned can be opened instead.
    arguments = {"device": device, "threads": threads, "golden": False, "effort": 0}
    if options._dimensions:
        arguments["shapes"] = _fixed_shapes(source, options._dimensions)
    return tenon.compile(source, **arguments)


def _head(path):
    with open(path, "rb") as file:
        return file.read(64)


def _fixed_shapes(source, sizes):
    """Shapes of the inputs with the named dims fixed; other free dims keep any size."""
    import onnx

    model = onnx.load_from_string(source) if isinstance(source, bytes) else onnx.load(source, load_external_data=False)
    weights = {tensor.name for tensor in model.graph.initializer}
    shapes = {}
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name not in weights and any(d.dim_param in sizes for d in dims):
            shapes[value.name] = tuple(sizes[d.dim_param] if d.dim_param in sizes else d.dim_value
                                       if d.HasField("dim_value") else f"0..1..{2**40}" for d in dims)
    return shapes


def get_available_providers():
    return [name for name, device in _PROVIDERS.items() if _core.has_device(device)]


get_all_providers = get_available_providers


def get_device():
    """"GPU" where there is one that engines can be built for."""
    return "GPU" if "CUDAExecutionProvider" in get_available_providers() else "CPU"


def get_version_string():
    return __version__


def get_build_info():
    return f"tenon {__version__}"


def set_default_logger_severity(level):
    """Kept for programs that call it; Tenon logs nothing from a run."""


set_default_logger_verbosity = set_default_logger_severity


def set_seed(seed):
    """Random operators draw from the seeds in the model."""


def disable_telemetry_events():
    """There are none."""


enable_telemetry_events = disable_telemetry_events


class _State:
    """onnxruntime.capi.onnxruntime_pybind11_state: the exceptions, under the names that programs catch."""

    Fail = RuntimeException = EPFail = tenon.InternalError
    InvalidArgument = tenon.InvalidArgumentError
    InvalidGraph = InvalidProtobuf = tenon.InvalidModelError
    NoSuchFile = tenon.NotFoundError
    NoModel = NoSuchFile
    NotImplemented = tenon.UnsupportedError
    ModelLoaded = EngineError = tenon.TenonError


class capi:  # noqa: N801
    onnxruntime_pybind11_state = _State
