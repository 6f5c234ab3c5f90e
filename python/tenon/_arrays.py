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


def numpy_like(values):
    """Whether outputs should be numpy arrays, and if not, the library that takes them through DLPack."""
    for value in values:
        root = type(value).__module__.partition(".")[0]
        if root in ("numpy", "builtins", "ml_dtypes") or not hasattr(value, "__dlpack__"):
            continue
        return sys.modules[root]
    return None


def taken_by(library, array):
    """`array`, which speaks DLPack, in the library's own kind."""
    take = getattr(library, "from_dlpack", None)
    if take is None and library.__name__ == "jax":
        take = library.dlpack.from_dlpack
    if take is None and library.__name__ == "tensorflow":
        return library.experimental.dlpack.from_dlpack(array.__dlpack__())
    return take(array) if take else np.from_dlpack(array)
