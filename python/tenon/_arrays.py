"""Arrays that the native code cannot read by itself: additional types of ml_dtypes, lists, numbers."""
import sys

import numpy as np

from tenon.errors import from_status


def dtype_of(name):
    """The numpy dtype of that name; those that numpy lacks come from ml_dtypes."""
    try:
        return np.dtype(name)
    except TypeError:
        pass
    try:
        import ml_dtypes
    except ImportError:
        raise from_status("unavailable", f"arrays of {name} need the package ml_dtypes",
                          "pip install ml_dtypes") from None
    return np.dtype(getattr(ml_dtypes, name))


def plain(value, wanted, what):
    """(array of a type that has a buffer, name of the type that its bytes stand for)."""
    if hasattr(value, "detach") and getattr(value, "requires_grad", False):
        value = value.detach().numpy()  # torch lends no memory of tensors that are being differentiated
    if not isinstance(value, (np.ndarray, np.generic)):
        if value is None:
            raise from_status("invalid_argument", f"{what} is None, expected an array of {wanted}")
        try:
            value = np.asarray(value, None if wanted == "none" else dtype_of(wanted))
        except (TypeError, ValueError) as error:
            raise from_status("invalid_argument", f"{what} is no array of {wanted}: {error}") from None
    value = np.asarray(value)
    name = value.dtype.name
    if value.dtype.kind in "OSUTMm":
        raise from_status("invalid_argument" if value.dtype.kind != "U" else "unsupported",
                          f"{what} holds {name}, expected {wanted}")
    if not value.dtype.isnative:
        value = value.astype(value.dtype.newbyteorder("="))
    if value.dtype.isbuiltin == 2:  # registered by another package
        value = value.view(np.uint16 if value.dtype.itemsize == 2 else np.uint8)
    return value, name


def typed(array, name):
    """The bits of an unsigned array under another type."""
    return array.view(dtype_of(name))


def kind_of(values):
    """What outputs should be, where these are the inputs: ("numpy", None), or the library that takes them as well:
    ("dlpack", library) on the host, ("device", library) on a GPU; there without a library for arrays of our own.
    """
    found = "numpy", None
    for value in values:
        root = type(value).__module__.partition(".")[0]
        if root in ("numpy", "builtins", "ml_dtypes"):
            continue
        if on_device(value):
            library = sys.modules.get(root)
            return "device", library if root != "tenon" and takes(library) else None
        if found[1] is None and root != "tenon" and hasattr(value, "__dlpack__"):
            found = "dlpack", sys.modules[root]
    return found


def on_device(value):
    """Whether it lies in the memory of a GPU, as DLPack numbers devices: 1 is the host's memory, 3 the host's as well."""
    if hasattr(value, "__dlpack_device__"):
        return int(value.__dlpack_device__()[0]) not in (1, 3)
    return hasattr(value, "__cuda_array_interface__")


def takes(library):
    """What a library has to take an array that speaks DLPack; None where it has nothing."""
    take = getattr(library, "from_dlpack", None)
    if take is None and getattr(library, "__name__", "") == "jax":
        take = library.dlpack.from_dlpack
    if take is None and getattr(library, "__name__", "") == "tensorflow":
        return lambda array: library.experimental.dlpack.from_dlpack(array.__dlpack__())
    return take


def converted(kind, library, array):
    """An output as the caller's own kind of array."""
    if library is None or isinstance(array, np.ndarray):
        return array
    take = takes(library)
    return take(array) if take else np.from_dlpack(array)


def stream_handle(stream):
    """The number of a stream given as a number or as torch, cupy and CUDA's own package have it; 0 is CUDA's default
    stream, which its driver calls 1.
    """
    for name in ("cuda_stream", "ptr"):
        if hasattr(stream, name):
            return int(getattr(stream, name)) or 1
    if hasattr(stream, "__cuda_stream__"):
        protocol = stream.__cuda_stream__
        version, handle = protocol() if callable(protocol) else protocol
        return int(handle) or 1
    if isinstance(stream, int) and not isinstance(stream, bool) and stream >= 0:
        return stream or 1
    raise from_status("invalid_argument", f"{stream!r} is no stream",
                      "a number, or an object with cuda_stream, ptr or __cuda_stream__")
