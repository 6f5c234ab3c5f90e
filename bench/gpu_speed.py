"""Tenon's time and memory on a GPU beside PyTorch's, for bench/gpu.py: engines of fixed shapes in fp16, built several at once
(measuring takes turns), then checked against ONNX Runtime's answers and timed one after the other, with nothing else going on.
"""
import concurrent.futures
import json
import pathlib
import statistics
import sys
import time

import numpy as np
import onnx
from onnx import numpy_helper

import gpu_models
import inputs

AT_ONCE = 6  # builds; each of them compiles on several cores


def arguments(path, batch):
    known = inputs.Inputs(path, free_dim=128)
    return [f"--shape={n}:{'x'.join(map(str, s))}" for n, s in known.shapes(batch).items()]


def build(tenon, stripped, batch, options, run, work, more=()):
    """(engine, seconds), or (None, what went wrong)."""
    path, engine = inputs.materialized(stripped), work / f"{stripped.stem}-{batch}{'-twin' if more else ''}.engine"
    effort = [] if options.effort is None else ["--effort", options.effort]
    begin = time.monotonic()
    code, _ = run([tenon, "build", path, "-o", engine, "--device", options.device, "--precision", "fp16", *effort, *more, *arguments(path, batch)])
    return (engine, time.monotonic() - begin) if code == 0 else (None, f"build: exit {code}")


def agreement(tenon, engine, case, run):
    """The largest difference of the engine's results from the case's, in parts of each result's largest magnitude."""
    data = case / "test_data_set_0"
    read = lambda kind, i: numpy_helper.to_array(onnx.load_tensor(data / f"{kind}_{i}.pb"))
    folder = engine.with_suffix(".run")
    folder.mkdir(parents=True, exist_ok=True)
    given = []
    for i, name in enumerate(inputs.Inputs(case / "model.onnx").names):
        np.save(folder / f"input_{i}.npy", read("input", i))
        given += ["--input", f"{name}={folder / f'input_{i}.npy'}"]
    code, _ = run([tenon, "run", engine, *given, "--output-dir", folder])
    if code != 0:
        return f"run: exit {code}"
    worst = 0.0
    for i, file in enumerate(json.loads((folder / "outputs.json").read_text()).values()):
        got, wanted = np.load(folder / file), read("output", i)
        if got.shape != wanted.shape:
            return f"output {i} has shape {got.shape}, expected {wanted.shape}"
        if np.issubdtype(wanted.dtype, np.floating) and wanted.size:
            worst = max(worst, float(np.abs(got.astype(np.float64) - wanted).max() / max(np.abs(wanted).max(), 1e-30)))
    return worst


def time_engine(tenon, engine, run):
    code, out = run([tenon, "bench", engine, "--warmup", "0.2s", "--duration", "0.4s", "--json"])
    if code != 0:
        return {"error": f"bench: exit {code}"}
    report = json.loads(out)
    return {"ms": report.get("queued_ms"), "latency_p50_ms": report["latency_ms"]["p50"], "memory_mib": report["memory_mib"]}


def time_peers(tasks, run):
    _, out = run([sys.executable, pathlib.Path(__file__).with_name("gpu_peer.py"), *tasks])
    return {(d.get("model", "gemm"), d.get("batch", d.get("gemm"))): d for d in map(json.loads, out.splitlines())}


def like_the_twin(tenon, path, batch, options, run, work, twins_mib):
    """What an engine takes whose inputs and results are fp16, as PyTorch's are; where that is more than the twin's, one with all
    of its arithmetic in fp16 too, whatever that does to the answers."""
    for more in (["--io", "*=fp16"], ["--io", "*=fp16", "--pin", "*=fp16"]):
        engine, built = build(tenon, path, batch, options, run, work, more)
        found = {"options": more, **(time_engine(tenon, engine, run) if engine else {"error": built})}
        if (found.get("memory_mib") or {}).get("device", twins_mib) < twins_mib:
            break
    return found


def measure(tenon, options, run, left, work):
    """The report of the stage. `run(command)` gives an exit status and what was printed; `left()` the seconds that are left."""
    work.mkdir(parents=True, exist_ok=True)
    tasks = [(p, b) for p in options.graphs() for b in options.batches]
    found, ratios, agreed = {}, [], {}
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        engines = dict(zip(tasks, pool.map(lambda t: build(tenon, *t, options, run, work), tasks)))
        cases = {p: work.parent / "zoo" / p.stem for p, _ in tasks}
        ready = [p for p in cases if cases[p].is_dir() and engines.get((p, 1), (None, ""))[0]]
        agreed = dict(zip(ready, pool.map(lambda p: agreement(tenon, engines[p, 1][0], cases[p], run), ready)))
    # What the exported graph does not take is not asked of PyTorch either.
    wanted = [f"{p.stem}:{b}" for (p, b), (engine, _) in engines.items() if engine]
    peers = time_peers(wanted, run) if not options.no_peers else {}
    for (path, batch), (engine, built) in engines.items():
        entry = {"torch": peers.get((path.stem, batch), {})}
        if left() < 5:
            entry["tenon"] = {"error": "time ran out"}
        elif engine:
            entry["tenon"] = {"build_s": round(built, 2), **time_engine(tenon, engine, run)}
            if batch == 1 and path in agreed:
                entry["tenon"]["difference"] = agreed[path]
        else:
            entry["tenon"] = {"error": built}
        mine, theirs = entry["tenon"], entry["torch"]
        if mine.get("ms") and theirs.get("best_ms"):
            entry["speedup"] = theirs["best_ms"] / mine["ms"]
            ratios.append(entry["speedup"])
        found[f"{path.stem}:{batch}"] = entry
        memory, twins = (mine.get("memory_mib") or {}).get("device"), theirs.get("memory_mib", {}).get("eager")
        if memory and twins and memory > twins and left() > 60:
            entry["as_twin"] = like_the_twin(tenon, path, batch, options, run, work, twins)
        print(f"{path.stem:24} {batch:4}  {mine.get('ms') or mine.get('error')}  torch {theirs.get('best_ms')}  {entry.get('speedup', 0):.2f}x  "
              f"MiB {memory and round(memory, 1)} beside {twins}, with the graph's types {theirs.get('same_types_mib')}, "
              f"in float32 {theirs.get('float32_mib')}; like the twin {entry.get('as_twin')}  "
              f"off by {mine.get('difference')}", flush=True)
    wrong = [p.stem for p, d in agreed.items() if not isinstance(d, float) or d > gpu_models.TOLERANCE["fp16"]]
    return {"models": found, "geometric_mean": statistics.geometric_mean(ratios) if ratios else None,
            "agreed": len(agreed) - len(wrong), "disagreed": wrong}
