"""Networks on a GPU against ONNX Runtime's fp32 answers on the CPU, for bench/gpu.py: the zoo's graphs, trained models with
their stored data, decisions on real images, and engines whose batch and sequence are free. All of it are cases in ONNX's
layout, run by tenon_node_runner.
"""
import concurrent.futures
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
    half = folder.with_suffix(".part")
    half.mkdir(parents=True, exist_ok=True)
    session = onnxruntime.InferenceSession(inputs.for_onnxruntime(model), providers=["CPUExecutionProvider"])
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


def zoo_case(stripped, work, batch=1):
    path = inputs.materialized(stripped)
    return case(work / f"{stripped.stem}-{batch}", path, [inputs.Inputs(path, free_dim=128).draw(batch)])


def free_case(stripped, work):
    """One engine for batches of 1, 3 and 8 and, where sequences are free, three lengths."""
    path = inputs.materialized(stripped)
    feeds = [inputs.Inputs(path, free_dim=length).draw(batch, seed=batch) for batch, length in ((1, 128), (3, 17), (8, 64))]
    return case(work / f"{stripped.stem}-free", path, feeds)


def model_cases(model, work):
    """A trained model: its stored data, and drawn data at batch 1 and, where it is free, 3."""
    known, name = inputs.Inputs(model), model.parent.name
    stored = model.parent / "test_data_set_0"
    found = [case(work / f"{name}-{b}", model, [known.draw(b, seed=b)]) for b in ([1, 3] if known.batch_is_free() else [1])]
    if stored.is_dir():
        folder = work / f"{name}-stored"
        folder.mkdir(parents=True, exist_ok=True)
        for link, target in (("model.onnx", model), ("test_data_set_0", stored)):
            if not (folder / link).exists():
                (folder / link).symlink_to(target.resolve())
        found.append(folder)
    return found


def decision_case(shared, work, k):
    name, data, at_once, _ = decisions.CLASSIFIERS[k]
    model = shared / "models" / name / "model.onnx"
    seen, _ = data(shared)
    [given] = inputs.Inputs(model).names
    return case(work / f"{name}-decides-{k}", model, [{given: batch} for batch in np.split(seen, len(seen) // at_once)])


def tolerance_of(folder, precision):
    name = re.sub(r"(-\d+|-free|-stored|-decides-\d+)$", "", folder.name)
    return max(TOLERANCE[precision], inputs.MODEL_TOLERANCE.get(name, 0))


def prepare(options, work, stage):
    """[(folder, whether only its decisions count)] of a stage: "zoo", "free" or "models"."""
    wanted = [p for p in sorted(options.shared.glob("models/*/model.onnx")) if p.parent.name != REFUSED and options.wanted(p.parent.name)]
    jobs = {
        "zoo": [(zoo_case, (p, work), False) for p in options.graphs()],
        "free": [(free_case, (p, work), False) for p in options.graphs()],
        "models": [(model_cases, (p, work), False) for p in wanted]
        + [(decision_case, (options.shared, work, k), True) for k, c in enumerate(decisions.CLASSIFIERS) if options.wanted(c[0])],
    }[stage]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        made = [(pool.submit(job, *arguments), decides) for job, arguments, decides in jobs]
    folders = [(future.result(), decides) for future, decides in made]
    return [(f, decides) for found, decides in folders for f in (found if isinstance(found, list) else [found])]


def check(options, work, stage, run_cases):
    """{precision: {case: "ok" or what was wrong}}; `run_cases(arguments, folder)` gives such a dict for one folder."""
    cases, found = prepare(options, work, stage), {p: {} for p in options.precisions}

    def one(task):
        precision, (folder, decides) = task
        how = ["--decisions"] if decides else []
        return precision, run_cases(["--precision", precision, "--largest", tolerance_of(folder, precision), *how], folder)

    with concurrent.futures.ThreadPoolExecutor(max(1, os.cpu_count() // 2)) as pool:
        for precision, answers in pool.map(one, [(p, c) for p in options.precisions for c in cases]):
            found[precision].update(answers)
    return found
