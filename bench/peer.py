"""Another runtime for the `tenon` program: reads FOLDER/request.json, runs the model, writes FOLDER/answer.json.

    python bench/peer.py FOLDER
"""
import importlib
import json
import os
import pathlib
import sys
import time

import numpy as np
import onnx

import runtimes


def in_the_models_types(path, feeds):
    """Engines may be built with other types of inputs (--io); the model keeps its own."""
    types = {value.name: onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
             for value in onnx.load(path, load_external_data=False).graph.input}
    return {name: array.astype(types[name], copy=False) for name, array in feeds.items()}


def main():
    folder = pathlib.Path(sys.argv[1])
    request = json.loads((folder / "request.json").read_text())
    name = request["runtime"]
    if name not in runtimes.OPENERS:
        sys.exit(f"{name} does not open ONNX files")
    os.environ.setdefault("OMP_NUM_THREADS", str(request["threads"]))
    feeds = in_the_models_types(request["model"], {key: np.load(folder / file) for key, file in request["inputs"].items()})
    run = runtimes.OPENERS[name](request["model"], request["threads"], feeds)
    outputs = run(feeds)
    begin = time.perf_counter()
    while time.perf_counter() - begin < request["warmup"]:
        run(feeds)
    seconds, begin = [], time.perf_counter()
    while time.perf_counter() - begin < request["duration"]:
        start = time.perf_counter()
        run(feeds)
        seconds.append(time.perf_counter() - start)
    files = []
    for i, array in enumerate(outputs):
        files.append(f"out_{i}.npy")
        np.save(folder / files[-1], np.ascontiguousarray(array).reshape(np.shape(array)))
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
    version = getattr(importlib.import_module(name), "__version__", "")
    (folder / "answer.json").write_text(json.dumps(
        {"version": version, "outputs": files, "seconds": seconds, "memory_mib": peak}))


if __name__ == "__main__":
    main()
