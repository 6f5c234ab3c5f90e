"""One model in Tenon and in ONNX Runtime: what was fused, latency, memory, and the largest difference.

    .venv/bin/python examples/side_by_side.py MODEL.onnx [--threads N] [--batch N]

Inputs are random. `./scripts/demo MODEL.onnx` does the set-up and runs this.
"""
import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import onnx

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bench"))

import inputs  # noqa: E402
import measure  # noqa: E402

PROGRAM = ROOT / "build/release/bin/tenon"


def explain(model):
    """The report that `tenon build` writes of an engine."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        told = subprocess.run([PROGRAM, "build", model, "-o", pathlib.Path(folder) / "model.engine", "--explain", report,
                               "-q"], text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if told.returncode:
            sys.exit(told.stderr.strip() or f"tenon build ended with exit code {told.returncode}")
        return json.loads(report.read_text())


def print_fused(model):
    """Which ONNX nodes became one kernel, the most frequent groups first, and what the device has no kernel for."""
    graph = onnx.load(model, load_external_data=False).graph
    kind = {name: node.op_type for node in graph.node for name in (node.name, *node.output) if name}
    report = explain(model)
    steps = report["nodes"]
    groups = collections.Counter()
    for step in steps:
        origins = list(dict.fromkeys(step["origins"]))
        if len(origins) > 1:
            groups[" + ".join(kind.get(origin, origin) for origin in origins)] += 1
    print(f"  {len(graph.node)} ONNX nodes became {len(steps)} steps; {sum(groups.values())} of them fused:")
    for group, count in groups.most_common(8):
        print(f"    {count:4} x {group if len(group) < 100 else group[:97] + '...'}")
    if len(groups) > 8:
        print(f"         and {len(groups) - 8} other groups")
    # A fused node that has no kernel is run as the nodes inside of it.
    slow = {kind.get(origin, origin if step["op"] == "Fused" else step["op"])
            for step in steps if step.get("fallback") for origin in step["origins"] or [step["op"]]}
    if slow:
        print(f"  without a kernel of the device, run by the reference: {', '.join(sorted(slow))}")


def side_by_side(model, feeds, threads=1, rounds=3):
    """Prints the comparison; returns the largest difference."""
    print_fused(model)
    results, differences = measure.compare(model, feeds, ["tenon", "onnxruntime"], threads, rounds)
    for name, found in results.items():
        if "error" in found:
            print(f"  {name}: {found['error']}")
            continue
        latency = found["latency_ms"]
        print(f"  {name:12} {latency['median']:8.2f} ms (p90 {latency['p90']:.2f}), memory "
              f"{found['memory_mib']:6.1f} MiB, opened in {found['open_s'] * 1e3:.0f} ms")
    gap = differences.get("onnxruntime")
    if gap is not None:
        print(f"  largest difference: {gap:.1e} of the output's largest magnitude")
    return gap


def main():
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("model", type=pathlib.Path)
    cli.add_argument("--threads", type=int, default=1)
    cli.add_argument("--batch", type=int, default=1)
    options = cli.parse_args()
    feeds = inputs.Inputs(options.model).draw(options.batch)
    shapes = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in feeds.items())
    print(f"{options.model}\n  inputs: {shapes}; {options.threads} thread(s) of {os.cpu_count()} cores")
    if side_by_side(options.model, feeds, options.threads) is None:
        sys.exit(1)


if __name__ == "__main__":
    main()
