"""Measures what a node costs beside its arithmetic: the time of a chain of tiny nodes that cannot be fused.

    .venv/bin/python bench/overhead.py [--nodes 1000] [--max-us 1] [--peers onnxruntime]

The chain multiplies a vector of four by a 4x4 matrix, again and again. A chain of a tenth of the nodes is measured as
well, so that the cost of the call itself drops out: (t(n) - t(n / 10)) / (n - n / 10).
"""
import argparse
import pathlib
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import measure


def chain(nodes):
    rng = np.random.default_rng(0)
    # A rotation keeps the values' size over any number of products.
    turn = np.linalg.qr(rng.standard_normal((4, 4)))[0].astype(np.float32)
    names = ["x", *(f"v{i}" for i in range(nodes - 1)), "y"]
    graph = helper.make_graph(
        [helper.make_node("MatMul", [a, "turn"], [b], name=f"node{i}") for i, (a, b) in
         enumerate(zip(names, names[1:]))], "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])], [numpy_helper.from_array(turn, "turn")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def main():
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--nodes", type=int, default=1000)
    cli.add_argument("--max-us", type=float, help="fail when a node costs Tenon more than this many microseconds")
    cli.add_argument("--peers", default="onnxruntime")
    options = cli.parse_args()
    names = ["tenon", *(peer for peer in options.peers.split(",") if peer)]
    feeds = {"x": np.ones((1, 4), np.float32)}
    medians = []
    for nodes in (options.nodes // 10, options.nodes):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "chain.onnx"
            onnx.save(chain(nodes), path)
            results, _ = measure.compare(path, feeds, names)
        medians.append({name: found.get("latency_ms", {}).get("median") for name, found in results.items()})
        for name, found in results.items():
            if "error" in found:
                print(found["error"], file=sys.stderr)
    costs = {}
    for name in names:
        if medians[0][name] and medians[1][name]:
            costs[name] = (medians[1][name] - medians[0][name]) * 1e3 / (options.nodes - options.nodes // 10)
            print(f"{name:12} {costs[name]:7.3f} us a node; {medians[1][name] * 1e3:9.1f} us for {options.nodes} nodes")
    if "tenon" not in costs:
        sys.exit(1)
    sys.exit(6 if options.max_us and costs["tenon"] > options.max_us else 0)


if __name__ == "__main__":
    main()
