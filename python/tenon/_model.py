"""Model: an engine that is open, called like a function. Binding: one with its arrays fixed."""
import json
import os
from typing import NamedTuple, Optional, Tuple, Union

from tenon import _arrays
from tenon.errors import InvalidArgumentError


class TensorInfo(NamedTuple):
    """An input or output. A dim that is free has its name or formula as text; shape is None where even the rank is free."""
    name: str
    dtype: str
    shape: Optional[Tuple[Union[int, str], ...]]


class Model:
    """Runs an engine. May be called from several threads at once; each call that overlaps another takes memory of its own."""

    def __init__(self, core):
        self._core = core
        self.inputs = [TensorInfo(*value) for value in core.inputs]
        self.outputs = [TensorInfo(*value) for value in core.outputs]
        self._output_names = [value.name for value in self.outputs]

    def __call__(self, inputs=None, /, **named):
        """{output name: array} of {input name: array}; the arrays are of the kind that is given (numpy, torch, …)."""
        if inputs is None:
            feeds = named
        elif isinstance(inputs, dict):
            feeds = {**inputs, **named} if named else inputs
        elif len(self.inputs) == 1 and not named:
            feeds = {self.inputs[0].name: inputs}
        else:
            raise InvalidArgumentError(f"the model has {len(self.inputs)} inputs: give a dict or name them",
                                       "invalid_argument")
        library = _arrays.numpy_like(feeds.values())
        found = self._core.run(feeds, library is None)
        if library is not None:
            found = [_arrays.taken_by(library, array) for array in found]
        return dict(zip(self._output_names, found))

    run = __call__

    def bind(self, inputs=None, /, **arrays):
        """Fixes arrays, dense and row-major, to inputs (all of them) and outputs (those you like), by name.

        An output that has the name of an input cannot be bound.
        """
        arrays = {**(inputs or {}), **arrays}
        names = {value.name for value in self.inputs}
        feeds = {name: array for name, array in arrays.items() if name in names}
        results = {name: array for name, array in arrays.items() if name not in names}
        library = _arrays.numpy_like(arrays.values())
        return Binding(self._core.bind(feeds, results), self._output_names, results, library)

    def save(self, path):
        """Writes the engine; the file appears whole or not at all."""
        self._core.save(os.fsdecode(os.fspath(path)))

    def serialize(self):
        """The engine's bytes."""
        return self._core.serialize()

    @property
    def report(self):
        """The build report: passes, layers with their kernels, and what runs without one."""
        return json.loads(self._core.report)

    @property
    def memory(self):
        """Bytes: `engine`, the file; of the run that ended last: `arena`, the planned `peak` and its `lower_bound`."""
        return dict(self._core.memory)

    @property
    def device(self):
        """What it runs on, in words."""
        return self._core.device

    @property
    def target(self):
        """What it was built for: "cpu:avx512"."""
        return self._core.target

    @property
    def precision(self):
        return self._core.precision

    @property
    def name(self):
        return self._core.name

    @property
    def metadata(self):
        """The model's metadata_props, {key: text}."""
        return dict(self._core.metadata)

    def __repr__(self):
        def told(values):
            return ", ".join(f"{v.name}: {v.dtype}{list(v.shape) if v.shape is not None else '[…]'}" for v in values)

        return f"<tenon.Model {self.name or 'model'} on {self.target}: ({told(self.inputs)}) -> ({told(self.outputs)})>"


class Binding:
    """A model with fixed arrays. Used by one thread at a time."""

    def __init__(self, core, names, results, library):
        self._core, self._names, self._results, self._library = core, names, results, library

    def execute(self, stream=None):
        """Runs; returns {output name: array}, where bound outputs are the arrays that you gave.

        `stream` is a stream of a GPU; engines of the CPU have none and return when all is done.
        """
        if stream is not None:
            raise InvalidArgumentError("this device has no streams", "invalid_argument", "execute() without a stream")
        found = self._core.execute(self._library is None)
        outputs = {}
        for name, array in zip(self._names, found):
            if name in self._results:
                outputs[name] = self._results[name]
            else:
                outputs[name] = _arrays.taken_by(self._library, array) if self._library is not None else array
        return outputs
