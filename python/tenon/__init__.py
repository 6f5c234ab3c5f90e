"""Tenon: compiles trained ONNX networks into engines and runs them.

    y = tenon.compile("m.onnx")({"x": array})
    m = tenon.compile("m.onnx", shapes={"x": ("1..8..32", 3, 224, 224)})
    m.save("m.engine"); m = tenon.load("m.engine"); m.run(x=array)
"""
import importlib
import os

from tenon import _core
from tenon._core import DeviceArray, __version__
from tenon._model import Binding, Model, TensorInfo
from tenon.errors import (AccuracyError, CancelledError, DataLossError, DeviceUnavailableError, FileError,
                          IncompatibleError, InternalError, InvalidArgumentError, InvalidModelError, NoKernelError,
                          NotFoundError, OutOfMemoryError, TenonError, UnsupportedError)

__all__ = ["compile", "load", "devices", "Model", "Binding", "DeviceArray", "TensorInfo", "empty", "TenonError", "AccuracyError",
           "CancelledError", "DataLossError", "DeviceUnavailableError", "FileError", "IncompatibleError",
           "InternalError", "InvalidArgumentError", "InvalidModelError", "NoKernelError", "NotFoundError",
           "OutOfMemoryError", "UnsupportedError", "__version__"]

_LAYERS = ("onnxruntime", "onnx_backend", "errors")


def compile(model, *, device="cpu", precision="fp32", shapes=None, io_types=None, pins=None, threads=0, workspace=0, target="",
            golden=True, effort=None, budget=60.0, tuning_db=None, progress=None):
    """Builds an engine and opens it.

    model      path of an ONNX file, its bytes, or an onnx.ModelProto
    device     "cpu", "cuda", "reference"; "cuda:1" is the second GPU
    precision  of the arithmetic: "fp32"; on GPUs "tf32", "fp16" and "bf16" too
    shapes     {input: dims}; a dim is a number or a range "min..opt..max"; a list of dims gives a profile each
    io_types   {name: type}: types of inputs and outputs instead of the model's, "fp32", "fp16", "bf16", "int32" or "int64"; names may
               hold "*" and "?", and of several that match the last counts
    pins       {name: type}: nodes whose name, operator or result matches stay "fp32", or move to the precision whatever its rules say
    threads    host threads of a run; 0: one for each core
    workspace  most bytes of intermediate memory of a run; 0: no limit
    target     build for this target ("cpu:avx2") instead of the machine at hand
    golden     compute and keep expected outputs in the engine, where that is quick
    effort     0 to 5, how much is measured to choose kernels: 0 nothing; None: 2 where the device is at hand, else 0
    budget     the most seconds that this takes
    tuning_db  file with earlier measurements, where new ones go too; None: tuning.txt in the user's cache folder
    progress   called with (stage, done, total); returning False stops the build
    """
    retyped, pinned = ([f"{name}={kind}" for name, kind in (given or {}).items()] for given in (io_types, pins))
    options = (device, target, precision, _shape_specs(shapes), retyped, pinned, threads, workspace, golden, _tuning(effort, budget, tuning_db), progress)
    if hasattr(model, "SerializeToString"):
        return Model(_core.compile_bytes(_serialized(model), "", *options))
    if isinstance(model, (bytes, bytearray, memoryview)):
        return Model(_core.compile_bytes(bytes(model), "", *options))
    return Model(_core.compile_file(_path(model, "model"), *options))


def load(engine, *, device=None, threads=0, workspace=0):
    """Opens an engine: the path of a file, which stays mapped, or its bytes. `device` picks one of several, "cuda:1"."""
    if isinstance(engine, (bytes, bytearray, memoryview)):
        return Model(_core.load_bytes(bytes(engine), device or "", threads, workspace))
    return Model(_core.load_file(_path(engine, "engine"), device or "", threads, workspace))


def empty(shape, dtype="float32", *, device):
    """A DeviceArray in the memory of a device ("cuda:0"), its elements undefined; `update` and `numpy` bring arrays there
    and back.
    """
    return _core.device_empty(device, list(shape), str(dtype))


def devices():
    """Names that `device` may have."""
    return _core.device_names()


def _path(value, what):
    try:
        return os.fsdecode(os.fspath(value))
    except TypeError:
        raise InvalidArgumentError(f"{what} is a {type(value).__name__}, expected a path or bytes",
                                   "invalid_argument") from None


def _serialized(proto):
    try:
        return proto.SerializeToString()
    except ValueError as error:  # protobuf's limit of 2 GiB
        raise InvalidArgumentError(f"the model cannot be serialized: {error}", "invalid_argument",
                                   "save it with external data and give the path") from None


def _tuning(effort, budget, tuning_db):
    if effort is not None and effort not in range(6):
        raise InvalidArgumentError(f"effort is {effort!r}, expected 0 to 5", "invalid_argument")
    return (-1 if effort is None else int(effort), float(budget), "" if tuning_db is None else _path(tuning_db, "tuning_db"))


def _shape_specs(shapes):
    specs = []
    for name, dims in (shapes or {}).items():
        profiles = dims if isinstance(dims, list) and dims and isinstance(dims[0], (tuple, list)) else [dims]
        for profile in profiles:
            text = profile if isinstance(profile, str) else "x".join(str(d) for d in profile)
            specs.append(f"{name}:{text}")
    return specs


def __getattr__(name):
    if name in _LAYERS:
        return importlib.import_module(f"tenon.{name}")
    raise AttributeError(f"module 'tenon' has no attribute '{name}'")
