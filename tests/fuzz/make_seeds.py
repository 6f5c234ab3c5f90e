#!/usr/bin/env python3
"""Writes the fuzzers' first inputs: small models, graphs and engines. Needs the onnx package; run from anywhere."""
import json
import pathlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def info(name, kind=F, shape=("n", 4)):
    return helper.make_tensor_value_info(name, kind, shape)


def const(name, values, dtype=np.int64):
    return numpy_helper.from_array(np.array(values, dtype), name)


def model(name, nodes, inputs, outputs, weights=(), opset=21, functions=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(weights))
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("local", 1)]
    m = helper.make_model(graph, opset_imports=opsets, functions=list(functions))
    (HERE / "onnx_fuzz" / f"{name}.onnx").write_bytes(m.SerializeToString())


def node(op, inputs, outputs, **attrs):
    return helper.make_node(op, inputs.split(), outputs.split(), **attrs)


def models():
    model("mlp", [node("Gemm", "x w b", "h", transB=1), node("Relu", "h", "r"), node("Softmax", "r", "y", axis=-1)],
          [info("x")], [info("y", shape=("n", 3))], [const("w", np.ones((3, 4)), np.float32), const("b", [0, 1, 2], np.float32)])
    model("conv", [node("Conv", "x w", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
                   node("BatchNormalization", "c s s s s", "b"), node("MaxPool", "b", "p", kernel_shape=[2, 2]),
                   node("GlobalAveragePool", "p", "g"), node("Flatten", "g", "y")],
          [info("x", shape=("n", 2, 8, 8))], [info("y", shape=None)],
          [const("w", np.ones((2, 2, 3, 3)), np.float32), const("s", [1, 2], np.float32)])
    model("shapes", [node("Shape", "x", "s"), node("Gather", "s zero", "n", axis=0), node("Unsqueeze", "n zero1", "u"),
                     node("Concat", "u minus", "t", axis=0), node("Reshape", "x t", "r"), node("Slice", "r zero1 two one", "sl"),
                     node("Transpose", "sl", "tr", perm=[1, 0]), node("Expand", "tr big", "e"), node("ReduceSum", "e one", "y", keepdims=0)],
          [info("x")], [info("y", shape=None)],
          [const("zero", 0), const("zero1", [0]), const("minus", [-1]), const("two", [2]), const("one", [1]), const("big", [2, 1, 1])])
    model("old", [node("Upsample", "x scales", "u", mode="nearest"), node("Squeeze", "u", "q", axes=[0]), node("Clip", "q", "y", min=0.0, max=6.0)],
          [info("x", shape=(1, 1, 2, 2))], [info("y", shape=None)], [const("scales", [1, 1, 2, 2], np.float32)], opset=9)
    model("data", [node("NonZero", "x", "z"), node("Cast", "z", "f", to=F), node("TopK", "f k", "v i", axis=1), node("Where", "c v v", "y")],
          [info("x", shape=(4,)), info("c", B, (1,))], [info("y", shape=None)], [const("k", [1])])
    model("quant", [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d"), node("DynamicQuantizeLinear", "d", "a b c"),
                    node("Erf", "d", "y")],
          [info("x")], [info("y")], [const("s", 0.5, np.float32), const("z", 3, np.uint8)])
    then = helper.make_graph([node("Add", "x x", "t")], "then", [], [info("t", shape=None)])
    other = helper.make_graph([node("Split", "x sizes", "a b", axis=1), node("Mul", "a b", "m")], "else", [], [info("m", shape=None)], [const("sizes", [2, 2])])
    model("branch", [node("If", "c", "y", then_branch=then, else_branch=other)], [info("x"), info("c", B, ())], [info("y", shape=None)])
    body = helper.make_graph([node("Concat", "v x", "w", axis=0), node("Identity", "go", "on"), node("Cast", "i", "s", to=F)], "body",
                             [info("i", I, ()), info("go", B, ()), info("v", F, None)], [info("on", B, ()), info("w", F, None), info("s", F, ())])
    model("loop", [helper.make_node("Loop", ["three", "", "x"], ["y", "s"], body=body)], [info("x")], [info("y", shape=None), info("s", shape=None)], [const("three", 3)])
    scan = helper.make_graph([node("Add", "a b", "c"), node("Identity", "c", "d")], "scan", [info("a", shape=(4,)), info("b", shape=(4,))],
                             [info("c", shape=(4,)), info("d", shape=(4,))])
    model("scan", [node("Scan", "h x", "y z", body=scan, num_scan_inputs=1)], [info("h", shape=(4,)), info("x")], [info("y", shape=None), info("z", shape=None)])
    f = helper.make_function("local", "twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["t"]), node("Elu", "t", "b")], [helper.make_opsetid("", 21)], ["alpha"])
    f.node[1].attribute.append(helper.make_attribute("alpha", 1.0))
    f.node[1].attribute[0].ref_attr_name = "alpha"
    model("function", [helper.make_node("twice", ["x"], ["y"], domain="local", alpha=0.5)], [info("x")], [info("y")], functions=[f])
    model("attention", [node("MatMul", "x xt", "s"), node("Div", "s d", "sd"), node("Softmax", "sd", "p"), node("MatMul", "p x", "m"),
                        node("LayerNormalization", "m g", "l"), helper.make_node("Gelu", ["l"], ["e"], domain="com.microsoft"),
                        node("Einsum", "e xt", "y", equation="ij,jk->ki")],
          [info("x", shape=(3, 4)), info("xt", shape=(4, 3))], [info("y", shape=None)], [const("d", 2, np.float32), const("g", [1, 1, 1, 1], np.float32)])
    model("rnn", [node("LSTM", "x w r", "y h c", hidden_size=2)], [info("x", shape=(2, 1, 3))], [info("y", shape=None)],
          [const("w", np.ones((1, 8, 3)), np.float32), const("r", np.ones((1, 8, 2)), np.float32)])
    typed = helper.make_tensor("t", F, [2, 2], [1.0, 2.0, 3.0, 4.0])
    sparse = helper.make_sparse_tensor(const("sp", [1.0], np.float32), const("", [2]), [4])
    m = helper.make_graph([node("Constant", "", "c", value=typed), node("MatMul", "x c", "y"), node("Add", "sp sp", "z")], "typed",
                          [info("x", shape=(2, 2))], [info("y", shape=None), info("z", shape=None)], sparse_initializer=[sparse])
    (HERE / "onnx_fuzz" / "typed.onnx").write_bytes(helper.make_model(m, opset_imports=[helper.make_opsetid("", 21)]).SerializeToString())


GRAPHS = {
    "mlp": '''graph "g" (%x: f32[n, 4]) -> (%y) {
  const %w: f32[4, 3] = random 1
  const %b: f32[3] = [0.0, 1.0, -1.0]
  %h: f32[n, 3] = MatMul(%x, %w)
  %a: f32[n, 3] = Add(%h, %b)
  %y: f32[n, 3] = Relu(%a) "relu" from ["a", "b"]
}
''',
    "views": '''graph "g" (%x: f32[n, 4]) -> (%y "out", %x, %z) {
  const %s: i64[2] = [2, -1]
  %y: f32[2, div(4*n, 2)] = Reshape(%x, %s)
  %t: f32[4, n] = Transpose(%x) {perm=[1, 0]}
  %d: i64[2] = tenon.Dims() {dims=["n", "2*n+1"]}
  %u: i64[1] = Shape(%x) {start=1}
  %z: f32[*] = Expand(%x, %u)
}
''',
    "data": '''graph "g" (%x: f32[8], %k: i64[1]) -> (%z, %s) {
  %z: i64[1, _nonzero_1] = NonZero(%x)
  %f: f32[1, _nonzero_1] = Cast(%z) {to=1}
  %s: f32[_slice_2] = Slice(%x, %k, %k)
}
''',
    "if": '''graph "g" (%x: f32[n], %c: bool[]) -> (%y) {
  %y: f32[*] = If(%c, %x) {then_branch=graph "t" (%x: f32[n]) -> (%a) { %a: f32[n] = Abs(%x) },
    else_branch=graph "e" (%x: f32[n]) -> (%a) { %a: f32[2*n] = Concat(%x, %x) {axis=0} }, captures=1}
}
''',
    "types": '''graph "g" (%a: u8[3], %b: i4[3], %c: f16[1, 1]) -> (%d, %e, %f) {
  const %k: u8[] = 7
  const %l: bf16[2] = [0.5, nan]
  %d: f32[3] = Cast(%a) {to=1}
  %e: i8[3] = Cast(%b) {to=3}
  %f: f16[1, 1] = Clip(%c)
}
''',
    "fused": '''graph "g" (%x: f32[n, 3]) -> (%y) {
  %y: f32[n, 3] = tenon.Fused(%x) {body=graph "b" (%p: f32[n, 3]) -> (%q) { %o: f32[n, 3] = Exp(%p) %q: f32[n, 3] = Tanh(%o) }, kind="pointwise"}
}
''',
    "conv": '''graph "g" (%x: f32[1, 2, 6, 6]) -> (%y) {
  const %w: f32[3, 2, 3, 3] = random 3
  %c: f32[1, 3, 4, 4] = Conv(%x, %w)
  %y: f32[1, 3, 2, 2] = MaxPool(%c) {kernel_shape=[2, 2], strides=[2, 2]}
}
''',
}


def graphs():
    for name, text in GRAPHS.items():
        (HERE / "text_fuzz" / name).write_text(text)
        step = {"backend": "reference", "kernel": "reference"}
        steps = [dict(step) for line in text.splitlines() if line.startswith("  ") and "=" in line and "const" not in line and "%" in line.split("=")[0] and not line.startswith("    ")]
        if name == "views":
            steps[0] = {}
            steps[2] = {}
        if name == "if":
            steps[0]["bodies"] = {"then_branch": [step], "else_branch": [step]}
        plan = {"blobs": [{"dtype": "f32", "shape": [2], "offset": 0, "bytes": 8}], "graph_blobs": [0], "steps": steps,
                "golden": {"source": "none", "inputs": [], "outputs": []}}
        (HERE / "engine_fuzz" / name).write_text(text + "\n====\n" + json.dumps(plan) + "\n====\n" + "12345678")


if __name__ == "__main__":
    for name in ("onnx_fuzz", "text_fuzz", "engine_fuzz"):
        (HERE / name).mkdir(exist_ok=True)
    models()
    graphs()
