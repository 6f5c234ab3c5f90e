"""Input arrays for any ONNX model, and where test models lie. Tests, benchmarks and the demo share it.

Values are random but sensible: token ids below the table they index, masks of ones, shapes that agree where symbolic
dims agree. A model's stored test data, where it has some, gives the shapes of free dims and the range of values.
"""
import importlib.util
import os
import pathlib

import numpy as np
import onnx
from onnx import numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Free dims that nothing else fixes: sequence lengths, image sides.
FREE_DIM = 16
# Models without stored data whose float inputs are not normalised: the range of their pixels.
PIXEL_RANGE = {"ssdlite320": (0, 1), "fns-candy": (0, 255)}
# How far models may be from ONNX Runtime, in parts of the largest magnitude, where that is not 1e-4: where the answer is
# not float32 arithmetic all the way, rounding decides. fp16 activations have 11 bits (a rounding is 5e-4), and ONNX
# Runtime on a CPU keeps float32 between the layers of such a network while Tenon rounds after each, as the file says; the
# stored answer agrees to 1.2e-3. An int8 network turns a difference in the last bit into a whole step of its grid now and
# then: ONNX Runtime with and without its optimisations differs from itself by 1e-2 on this model, and from the stored
# float64 answer by 3e-2. The file classifier computes variances as E[x^2] - E[x]^2, which cancels: its last layers keep
# three or four digits of float32, and ONNX Runtime itself is 2e-4 from a float64 run.
MODEL_TOLERANCE = {"magika-v3.3": 1e-3, "squeezenet1.1-fp16": 4e-3, "mobilenetv2-qdq-int8": 5e-2}


def shared_folder():
    """Models and data outside the repository: $TENON_SHARED or ../shared; None where absent."""
    folder = pathlib.Path(os.environ.get("TENON_SHARED") or ROOT.parent / "shared")
    return folder if folder.is_dir() else None


def cache_folder():
    base = os.environ.get("TENON_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "tenon")
    return pathlib.Path(base).expanduser()


def materialized(stripped):
    """A graph of the zoo with its weights drawn, kept in the user's cache folder; made anew when its source changes."""
    stripped = pathlib.Path(stripped)
    out = cache_folder() / "zoo" / stripped.name
    if out.exists() and out.stat().st_mtime >= stripped.stat().st_mtime:
        return out
    script = importlib.util.spec_from_file_location("materialize", stripped.parent / "materialize.py")
    module = importlib.util.module_from_spec(script)
    script.loader.exec_module(module)
    out.parent.mkdir(parents=True, exist_ok=True)
    # Another process may want the same file, and a half-written one must not stay.
    part = out.with_suffix(f".{os.getpid()}")
    onnx.save(module.materialize(onnx.load(stripped)), part)
    os.replace(part, out)
    return out


def model_name(path):
    """Files are called model.onnx in folders that carry the name, or by the name."""
    path = pathlib.Path(path)
    return path.parent.name if path.stem == "model" else path.stem


def stored_data(model_path):
    """(inputs, outputs) of test_data_set_0 beside the model, as lists in the graph's order; (None, None) without."""
    folder = pathlib.Path(model_path).parent / "test_data_set_0"
    if not folder.is_dir():
        return None, None

    def read(prefix):
        arrays = []
        while (path := folder / f"{prefix}_{len(arrays)}.pb").exists():
            arrays.append(numpy_helper.to_array(onnx.load_tensor(path)))
        return arrays

    return read("input"), read("output")


def for_onnxruntime(path):
    """The model as ONNX Runtime takes it: a path, or bytes."""
    if model_name(path) != "llama-aidreams260k":
        return path
    # Its scalars have shape [1], so that Slice gets starts of shape [1, 1]; ONNX Runtime insists on a vector.
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name in ("s0", "s1", "s2"):
            del tensor.dims[:]
    return model.SerializeToString()


class Inputs:
    """The inputs of one model: what they are called, their types and dims, and arrays for them."""

    def __init__(self, model_path, free_dim=FREE_DIM):
        self.free_dim = free_dim
        self.model_name = model_name(model_path)
        self.graph = onnx.load(model_path, load_external_data=False).graph
        fixed = {t.name for t in self.graph.initializer}
        self.values = [v for v in self.graph.input if v.name not in fixed]
        self.names = [v.name for v in self.values]
        stored, _ = stored_data(model_path)
        self.stored = dict(zip(self.names, stored)) if stored else {}
        # Dims: an int, or what the free dim is called; nameless ones are told apart by place.
        self.dims = {v.name: [d.dim_value if d.HasField("dim_value") else d.dim_param or f"{v.name}.{i}"
                              for i, d in enumerate(v.type.tensor_type.shape.dim)] for v in self.values}
        self.batch_dim = self._find_batch_dim()

    def _find_batch_dim(self):
        """The name of the first input's first dim, if it is free."""
        dims = self.dims[self.names[0]] if self.names else []
        return dims[0] if len(dims) > 1 and isinstance(dims[0], str) else None

    def batch_is_free(self):
        return self.batch_dim is not None

    def shapes(self, batch=1, **free):
        """Shapes with every free dim bound: by name, else as in the stored data, else a default."""
        bound = {}
        for name, dims in self.dims.items():
            for i, dim in enumerate(dims):
                if isinstance(dim, str) and name in self.stored:
                    bound.setdefault(dim, self.stored[name].shape[i])
        if self.batch_dim:
            size = bound.get(self.batch_dim)
            bound[self.batch_dim] = batch
            for name, dims in self.dims.items():
                for i, dim in enumerate(dims):
                    if not isinstance(dim, str):
                        continue
                    # Exporters name the batch of each input differently, and some leave it nameless (silero's
                    # recurrent state has it second).
                    nameless = dim == f"{name}.{i}" and name in self.stored and bound[dim] == size and i < 2
                    if (i == 0 and name not in self.stored) or nameless:
                        bound[dim] = batch
        bound.update(free)
        return {name: tuple(bound.get(d, self.free_dim) if isinstance(d, str) else d for d in dims)
                for name, dims in self.dims.items()}

    def _rows_indexed(self, name):
        """The least number of rows of the tables that an integer input indexes."""
        rows = {t.name: t.dims[0] for t in self.graph.initializer if len(t.dims) > 1}
        sizes = [rows[n.input[0]] for n in self.graph.node
                 if n.op_type == "Gather" and n.input[1] == name and n.input[0] in rows]
        return min(sizes, default=100)

    def _draw(self, rng, name, dtype, shape):
        if "mask" in name and np.issubdtype(dtype, np.integer):
            mask = np.ones(shape, dtype)
            if len(shape) == 2 and shape[0] > 1 and shape[1] > 3:
                mask[1, -shape[1] // 4:] = 0  # one row is padded
            return mask
        if dtype == np.bool_:
            return rng.integers(0, 2, shape).astype(bool)
        stored = self.stored.get(name)
        if stored is not None and len(shape) > 1 and stored.shape[1:] == shape[1:] and stored.size:
            # Natural data, another place of it in each row: noise drives some networks where any rounding counts.
            rows = [np.roll(stored[i % len(stored)], int(rng.integers(stored.shape[-1])), axis=-1)
                    for i in range(shape[0])]
            return np.stack(rows)
        if np.issubdtype(dtype, np.integer):
            if stored is not None and stored.size:
                return rng.integers(stored.min(), int(stored.max()) + 1, shape).astype(dtype)
            high = 256 if dtype == np.uint8 else self._rows_indexed(name)
            return rng.integers(0, high, shape).astype(dtype)
        if stored is not None and stored.size and stored.max() > stored.min():
            return rng.uniform(stored.min(), stored.max(), shape).astype(dtype)
        if self.model_name in PIXEL_RANGE:
            return rng.uniform(*PIXEL_RANGE[self.model_name], shape).astype(dtype)
        return rng.standard_normal(shape).astype(dtype)

    def draw(self, batch=1, seed=0, **free):
        """{name: array}, the same for the same arguments."""
        rng = np.random.default_rng(seed)
        shapes = self.shapes(batch, **free)
        return {v.name: np.asarray(self._draw(rng, v.name, np.dtype(onnx.helper.tensor_dtype_to_np_dtype(
            v.type.tensor_type.elem_type)), shapes[v.name])) for v in self.values}
