"""The module protocol of onnx.backend.base: what ONNX's own tests, and other tools of ONNX, run a model through.

Device "CPU" is Tenon's device `cpu`; the environment variable TENON_ONNX_BACKEND_DEVICE names another one.
"""
import os

import onnx
from onnx import helper
from onnx.backend.base import Backend, BackendRep, namedtupledict

import tenon
from tenon import _core


def _device(name):
    """Tenon's device for a name of the protocol: "CPU", "CUDA", "CUDA:1", or one of ours."""
    kind, _, number = name.partition(":")
    kind = os.environ.get("TENON_ONNX_BACKEND_DEVICE", "cpu") if kind == "CPU" else kind.lower()
    return f"{kind}:{number}" if number else kind


class TenonRep(BackendRep):
    """A model that is ready to run."""

    def __init__(self, model):
        self.model = model

    def run(self, inputs, **kwargs):
        """Outputs, by position and by name, of inputs by position or by name."""
        names = [value.name for value in self.model.inputs]
        if not isinstance(inputs, dict):
            if not isinstance(inputs, (list, tuple)):
                inputs = [inputs]
            if len(inputs) != len(names):
                raise tenon.InvalidArgumentError(f"{len(inputs)} inputs are given, the model has {len(names)}",
                                                 "invalid_argument")
            inputs = dict(zip(names, inputs))
        outputs = self.model(inputs)
        return namedtupledict("Outputs", list(outputs))(*outputs.values())


class TenonBackend(Backend):
    """onnx.backend.base.Backend."""

    @classmethod
    def is_compatible(cls, model, device="CPU", **kwargs):
        try:
            cls.prepare(model, device, **kwargs)
        except tenon.TenonError:
            return False
        return True

    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        return TenonRep(tenon.compile(model, device=_device(device), golden=False, **{"effort": 0, **kwargs}))

    @classmethod
    def run_model(cls, model, inputs, device="CPU", **kwargs):
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node, inputs, device="CPU", outputs_info=None, *, opset_version=None, **kwargs):
        """Outputs of one node. Without `opset_version` it means what it does in onnx's newest opset."""
        import numpy as np

        arrays = [np.asarray(value) for value in inputs]
        given = [name for name in node.input if name]
        values = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                  for name, array in zip(given, arrays)]
        if outputs_info is None:
            results = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        else:
            results = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
                       for name, (dtype, shape) in zip([name for name in node.output if name], outputs_info)]
        graph = helper.make_graph([node], "node", values, results)
        opset = helper.make_opsetid(node.domain, opset_version or onnx.defs.onnx_opset_version())
        return cls.run_model(helper.make_model(graph, opset_imports=[opset]), arrays, device, **kwargs)

    @classmethod
    def supports_device(cls, device):
        return _core.has_device(_device(device).partition(":")[0])


is_compatible = TenonBackend.is_compatible
prepare = TenonBackend.prepare
run_model = TenonBackend.run_model
run_node = TenonBackend.run_node
supports_device = TenonBackend.supports_device
