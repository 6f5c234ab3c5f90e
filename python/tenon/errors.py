"""The exceptions of Tenon: what went wrong, at which node of the model, and what to try next."""
import re


class TenonError(Exception):
    """An error with a `code` ("unsupported", "invalid_model", …), the `node` that it names and a `remedy`.

    `node` and `remedy` are None where there is none.
    """

    def __init__(self, message, code="internal", remedy=None):
        super().__init__(message)
        self.message, self.code, self.remedy = message, code, remedy or None
        named = re.search(r"\b[A-Z]\w*(?:\.\w+)* '([^']*)'", message)
        self.node = named.group(1) if named else None

    def __str__(self):
        return f"{self.message}\n  try: {self.remedy}" if self.remedy else self.message

    def __reduce__(self):
        return from_status, (self.code, self.message, self.remedy)


class InternalError(TenonError, RuntimeError):
    """A fault of Tenon, or of the machine while running."""


class InvalidArgumentError(TenonError, ValueError):
    """A wrong name, shape, type or option."""


class InvalidModelError(TenonError, ValueError):
    """The ONNX file is broken or breaks the standard."""


class UnsupportedError(TenonError, NotImplementedError):
    """Legal, but nothing that Tenon does; every such node is listed in the message."""


class NoKernelError(TenonError, RuntimeError):
    """No kernel could be built for a node."""


class AccuracyError(TenonError, RuntimeError):
    """Results lie outside the tolerance or the budget."""


class DeviceUnavailableError(TenonError, RuntimeError):
    """A device, driver or library is not there."""


class NotFoundError(TenonError, FileNotFoundError):
    """A file or a name does not exist."""


class FileError(TenonError, OSError):
    """Reading or writing a file failed."""


class OutOfMemoryError(TenonError, MemoryError):
    """The memory, or the workspace allowed, is exhausted."""


class DataLossError(TenonError, ValueError):
    """An engine file is damaged or is none."""


class IncompatibleError(TenonError, ValueError):
    """An engine was made for another version of Tenon or another device."""


class CancelledError(TenonError, RuntimeError):
    """The build was interrupted."""


_CLASSES = {
    "internal": InternalError, "invalid_argument": InvalidArgumentError, "invalid_model": InvalidModelError,
    "unsupported": UnsupportedError, "no_kernel": NoKernelError, "accuracy": AccuracyError,
    "unavailable": DeviceUnavailableError, "not_found": NotFoundError, "io": FileError,
    "out_of_memory": OutOfMemoryError, "data_loss": DataLossError, "incompatible": IncompatibleError,
    "cancelled": CancelledError,
}


def from_status(code, message, remedy=None):
    """The exception for a code of the native library."""
    return _CLASSES.get(code, TenonError)(message, code, remedy)
