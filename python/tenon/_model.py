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
        kind, library = _arrays.kind_of(feeds.values())
        found = self._core.run(feeds, kind)
        if library is not None:
            found = [_arrays.converted(kind, library, array) for array in found]
        return dict(zip(self._output_names, found))

    run = __call__

    def bind(self, inputs=None, /, **arrays):
        """Fixes arrays, dense and row-major, to inputs (all of them) and outputs (those you like), by name.

        They may lie on the host or on the engine's GPU, and live as long as the binding. An output that has the name of
        an input cannot be bound.
        """
        arrays = {**(inputs or {}), **arrays}
        names = {value.name for value in self.inputs}
        feeds = {name: array for name, array in arrays.items() if name in names}
        results = {name: array for name, array in arrays.items() if name not in names}
        return Binding(self._core.bind(feeds, results), self._output_names, results, *_arrays.kind_of(arrays.values()))

    def save(self, path):
        """Writes the engine; the file appears whole or not at all."""
        self._core.save(os.fsdecode(os.fspath(path)))

    def serialize(self):
        """The engine's bytes."""
        return self._core.serialize()

    @property
    def report(self):
        """The build report: passes, nodes with their kernels, memory, and what runs without one."""
        return json.loads(self._core.report)

    @property
    def memory(self):
        """Bytes: `engine`, the file; `device`, its weights and code on a GPU; of the run that ended last: `arena`, the
        planned `peak` and its `lower_bound`.
        """
        return dict(self._core.memory)

    def memory_for(self, shapes=None, /, **named):
        """{"device": bytes, "host": bytes} that the engine and a run of these input shapes take, known before any run.

        The arrays are not counted, outputs that come to the host are; so is nothing whose size the data decides.
        """
        device, host = self._core.memory_for({name: list(shape) for name, shape in {**(shapes or {}), **named}.items()})
        return {"device": device, "host": host}

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

    def __init__(self, core, names, results, kind, library):
        self._core, self._names, self._results, self._kind, self._library = core, names, results, kind, library
        self._stream = None

    def execute(self, stream=None):
        """Runs; returns {output name: array}, where bound outputs are the arrays that you gave.

        Without `stream` it returns when all is done. `stream` is one of the GPU's, as a number or as torch, cupy or
        CUDA's package have it: the run is put there behind what is there already, and this returns at once, unless an
        output comes to the host. Then the arrays are to be used on that stream, or after synchronize().
        """
        found = self._core.execute(self._kind, None if stream is None else _arrays.stream_handle(stream))
        self._stream = stream  # must live until its work is done
        outputs = {}
        for name, array in zip(self._names, found):
            outputs[name] = (self._results[name] if name in self._results
                             else _arrays.converted(self._kind, self._library, array))
        return outputs

    def synchronize(self):
        """Waits for the runs on streams; raises what went wrong in any of them."""
        self._core.wait()
