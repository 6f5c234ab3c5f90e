"""Networks on a GPU against ONNX Runtime's fp32 answers on the CPU, for bench/gpu.py: the zoo's graphs, trained models with
their stored data, decisions on real images, and engines whose batch and sequence are free. All of it are cases in ONNX's
layout, run by tenon_node_runner.
"""
import concurrent.futures
import multiprocessing
import os
import pathlib
import re

import numpy as np
import onnxruntime
from onnx import numpy_helper

import decisions
import inputs

# Of the output's largest magnitude.
TOLERANCE = {"fp32": 1e-4, "tf32": 5e-3, "fp16": 2e-2, "bf16": 6e-2}
REFUSED = "supres-espcn"  # custom operators


def write_arrays(folder, kind, arrays):
    folder.mkdir(parents=True, exist_ok=True)
    for i, array in enumerate(arrays):
        (folder / f"{kind}_{i}.pb").write_bytes(numpy_helper.from_array(np.asarray(array)).SerializeToString())


def case(folder, model, feeds):
    """A folder for a model and several sets of inputs, with ONNX Runtime's answers."""
    if folder.is_dir():
        return folder
    half = folder.with_name(folder.name + ".part")
    half.mkdir(parents=True, exist_ok=True)
    how = onnxruntime.SessionOptions()
    how.intra_op_num_threads = 2  # several cases are made at once
    how.log_severity_level = 3
    session = onnxruntime.InferenceSession(inputs.for_onnxruntime(model), how, providers=["CPUExecutionProvider"])
    k = 0
    for feed in feeds:
        try:
            answers = session.run(None, feed)
        except Exception as refusal:  # two graphs of the zoo were exported with a fixed batch inside
            print(f"{folder.name}: onnxruntime refuses {[a.shape for a in feed.values()]}: {str(refusal)[:100]}")
            continue
        write_arrays(half / f"test_data_set_{k}", "input", feed.values())
        write_arrays(half / f"test_data_set_{k}", "output", answers)
        k += 1
    (half / "model.onnx").symlink_to(pathlib.Path(model).resolve())
    half.rename(folder)
    return folder


def zoo_case(stripped, work):
    """One engine for batches of 1, 3 and 8 and, where sequences are free, three lengths."""
    path = inputs.materialized(stripped)
    feeds = [inputs.Inputs(path, free_dim=length).draw(batch, seed=batch) for batch, length in ((1, 128), (3, 17), (8, 64))]
    return [case(work / stripped.stem, path, feeds)]


def model_cases(model, work):
    """A trained model: one engine for drawn data at batch 1 and, where it is free, 3, and for its stored data."""
    known, name = inputs.Inputs(model), model.parent.name
    folder = case(work / name, model, [known.draw(b, seed=b) for b in ([1, 3] if known.batch_is_free() else [1])])
    stored = model.parent / "test_data_set_0"
    sets = sorted(folder.glob("test_data_set_*"))
    if stored.is_dir() and not any(s.is_symlink() for s in sets):
        (folder / f"test_data_set_{len(sets)}").symlink_to(stored.resolve())
    return [folder]


def decision_case(shared, work, k):
    name, data, at_once, _ = decisions.CLASSIFIERS[k]
    model = shared / "models" / name / "model.onnx"
    seen, _ = data(shared)
    [given] = inputs.Inputs(model).names
    return [case(work / f"{name}-decides-{k}", model, [{given: batch} for batch in np.split(seen, len(seen) // at_once)])]


def tolerance_of(folder, precision):
    name = re.sub(r"-decides-\d+$", "", folder.name)
    return max(TOLERANCE[precision], inputs.MODEL_TOLERANCE.get(name, 0))


class Cases:
    """The cases of the stages "zoo" and "models", made by processes in the background from the start on: ONNX Runtime's answers
    are the host's work, while the GPU has its own."""

    def __init__(self, options, work, stages):
        self.pool = concurrent.futures.ProcessPoolExecutor(max(1, (os.cpu_count() or 2) // 2), multiprocessing.get_context("fork"))
        self.made = {stage: [] for stage in stages}
        for stage, folders in self.made.items():
            wanted = [p for p in sorted(options.shared.glob("models/*/model.onnx")) if p.parent.name != REFUSED and options.wanted(p.parent.name)]
            jobs = [(zoo_case, (p, work / stage), False, p.stat().st_size) for p in options.graphs()] if stage == "zoo" else [
                *((model_cases, (p, work / stage), False, p.stat().st_size) for p in wanted),
                *((decision_case, (options.shared, work / stage, k), True, 1e9) for k, c in enumerate(decisions.CLASSIFIERS) if options.wanted(c[0]))]
            # The longest first: large graphs, and many images.
            for job, arguments, decides, _ in sorted(jobs, key=lambda j: -j[3]):
                folders.append((self.pool.submit(job, *arguments), decides))

    def __contains__(self, stage):
        return stage in self.made

    def __getitem__(self, stage):
        """[(folder, whether only its decisions count)], as they are ready."""
        for made, decides in self.made[stage]:
            yield from ((folder, decides) for folder in made.result())


def check(options, cases, run_cases):
    """{precision: {case: "ok" or what was wrong}}; `run_cases(arguments, folder)` gives such a dict for one folder."""
    found = {p: {} for p in options.precisions}

    def one(precision, folder, decides):
        how = ["--decisions"] if decides else []
        return precision, run_cases(["--precision", precision, "--largest", tolerance_of(folder, precision), *how], folder)

    with concurrent.futures.ThreadPoolExecutor(max(1, (os.cpu_count() or 2) * 3 // 4)) as pool:
        asked = [pool.submit(one, precision, *c) for c in cases for precision in options.precisions]
        for answer in asked:
            precision, answers = answer.result()
            found[precision].update(answers)
    return found
