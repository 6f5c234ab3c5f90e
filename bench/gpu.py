"""What bench/gpu.sh runs; see there. Writes gpu.json and the logs of its stages into --out."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import numpy as np
import onnx
from onnx import numpy_helper

import gpu_models
import gpu_speed

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = ROOT / "build/release/bin"


class Clock:
    def __init__(self, minutes):
        self.end = time.monotonic() + minutes * 60

    def left(self):
        return max(0.0, self.end - time.monotonic())


def run(command, clock, log, limit=1e9):
    """(exit status or None where time ran out, stdout); stderr goes to the log."""
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=max(1, min(limit, clock.left())))
        log.write(f"$ {' '.join(map(str, command[:8]))}\n{done.stdout[-200000:]}{done.stderr[-20000:]}\n")
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        out = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        log.write(f"$ {' '.join(map(str, command[:8]))}\n{out}\ntime ran out\n")
        return None, out


def outcomes(text):
    """{case: "ok…" or what was wrong} of tenon_node_runner's lines. "ok, 3 of 100 rows otherwise": nearly equal candidates."""
    found = {}
    for line in text.splitlines():
        path, colon, said = line.partition(": ")
        if colon and "/" in path:
            undecided = re.search(r"\d+ of \d+ otherwise", said)
            good = "ok" + (f", {undecided.group()}" if undecided else "")
            said = said.strip().replace(f"{path}/", "")
            found[path.rsplit("/", 1)[1]] = good if said.endswith("ok") else said
    return found


def write_case(folder, model, data_sets):
    """One test case in ONNX's layout. False where a value is no tensor."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    for k, (given, wanted) in enumerate(data_sets):
        data = folder / f"test_data_set_{k}"
        data.mkdir(exist_ok=True)
        for kind, values in (("input", given), ("output", wanted)):
            for i, value in enumerate(values):
                if isinstance(value, (list, dict)) or value is None:
                    return False
                tensor = value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(np.asarray(value))
                (data / f"{kind}_{i}.pb").write_bytes(tensor.SerializeToString())
    return True


def node_tests(options, clock, log, work):
    import warnings
    from onnx.backend.test.loader import load_model_tests
    warnings.simplefilter("ignore")  # the makers of the cases divide by zero on purpose
    folders, left_out = [], []
    for case in load_model_tests(kind="node"):
        if options.nodes and not re.search(options.nodes, case.name):
            continue
        try:
            written = write_case(work / case.name, case.model, case.data_sets)
        except Exception as e:  # types that numpy cannot hold
            written, _ = False, log.write(f"{case.name}: {e}\n")
        (folders if written else left_out).append(work / case.name)
    # Few cases a process, since a fault spoils those behind it. All cores compile; then a few processes run what is in the
    # cache: more of them only wait for the driver.
    parts = [folders[i::48] for i in range(48)]
    end = Clock(options.node_seconds / 60)
    runner = [BIN / "tenon_node_runner", "--device", options.device]

    def on_all(processes, *extra):
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(processes) as pool:
            answers = list(pool.map(lambda part: run([*runner, *extra, *part], clock, log, end.left()), parts))
        return {k: v for _, out in answers for k, v in outcomes(out).items()}, time.monotonic() - begin

    _, build_s = on_all(os.cpu_count(), "--build-only")
    found, run_s = on_all(4)
    wrong = {k: v for k, v in found.items() if not v.startswith("ok")}
    listed = (ROOT / "tests/onnx_backend_exceptions.txt").read_text()
    unlisted = {k: v for k, v in wrong.items() if f"\n{k}  " not in listed}
    return {"asked": len(folders), "left_out": len(left_out), "ran": len(found), "passed": len(found) - len(wrong),
            "unlisted": unlisted, "build_s": round(build_s, 1), "run_s": round(run_s, 1), "wrong": wrong}


def check_networks(options, clock, log, cases):
    runner = [BIN / "tenon_node_runner", "--device", options.device]
    return gpu_models.check(options, cases, lambda how, folder: outcomes(run([*runner, *how, folder], clock, log)[1]))


def sanitizer(options, clock, log, work):
    """compute-sanitizer over the node tests that --sanitize names, with the programs' kernels: memcheck, then racecheck."""
    tool = options.compute_sanitizer
    cases = [p for p in sorted((work / "nodes").glob("*")) if re.search(options.sanitize, p.name)]
    found = {"cases": len(cases)}
    for what in ("memcheck", "racecheck"):
        code, out = run([tool, "--tool", what, "--error-exitcode", "9", "--print-limit", "5",
                         BIN / "tenon_node_runner", "--device", options.device, *cases], clock, log, options.sanitizer_seconds)
        found[what] = {"exit": code, "said": out.strip().splitlines()[-1:], "ran": len(outcomes(out))}
    return found


def main():
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--shared", type=pathlib.Path, required=True, help="a folder with zoo/, models/ and data/, as far as the stages need them")
    cli.add_argument("--out", type=pathlib.Path, required=True)
    cli.add_argument("--device", default="cuda")
    cli.add_argument("--only", help="graphs and models whose name matches")
    cli.add_argument("--nodes", help="node tests whose name matches")
    cli.add_argument("--node-seconds", type=float, default=200)
    cli.add_argument("--minutes", type=float, default=9)
    cli.add_argument("--stages", default="doctor,nodes,zoo,models,speed")
    cli.add_argument("--compute-sanitizer", default="compute-sanitizer", help="the program, for the stage `sanitizer`")
    cli.add_argument("--sanitize", default="matmul|conv|softmax|norm|reduce|attention|gather|scatter|topk|pool|resize|lstm|gru|cumsum|transpose|concat|split|pad|where|add",
                     help="node tests of that stage")
    cli.add_argument("--sanitizer-seconds", type=float, default=150, help="for each of its tools")
    cli.add_argument("--precisions", default="fp32,tf32,fp16,bf16")
    cli.add_argument("--batches", default="1,32")
    cli.add_argument("--effort", type=int, help="of tenon build, in the stage `speed`; by default its own")
    cli.add_argument("--no-peers", action="store_true")
    options = cli.parse_args()
    options.precisions = options.precisions.split(",")
    options.batches = [int(b) for b in options.batches.split(",")]
    options.wanted = lambda name: not options.only or re.search(options.only, name)
    options.graphs = lambda: [p for p in sorted(options.shared.glob("zoo/*.onnx")) if options.wanted(p.stem)]
    options.out.mkdir(parents=True, exist_ok=True)
    work = ROOT / "build/gpu-cases"
    clock, report = Clock(options.minutes), {"schema": "tenon.gpu/1"}
    if shutil.which("nvidia-smi"):
        smi = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        report["gpu"] = subprocess.run(smi, capture_output=True, text=True).stdout.strip()
    stages = options.stages.split(",")
    cases = gpu_models.Cases(options, work, [s for s in stages if s in ("zoo", "models")])
    for stage in stages:
        begin = time.monotonic()
        with open(options.out / f"{stage}.log", "w") as log:
            if stage == "doctor":
                report[stage] = run([BIN / "tenon", "doctor"], clock, log)[1]
                print(report[stage], flush=True)
            elif stage == "nodes":
                report[stage] = node_tests(options, clock, log, work / "nodes")
                print({k: v for k, v in report[stage].items() if k != "wrong"}, flush=True)
            elif stage in cases:
                report[stage] = check_networks(options, clock, log, cases[stage])
                for precision, found in report[stage].items():
                    good = sum(v.startswith("ok") for v in found.values())
                    print(f"{stage} {precision}: {good} of {len(found)}", flush=True)
                    for name, why in found.items():
                        if why != "ok":
                            print("   ", name, why[:160], flush=True)
            elif stage == "sanitizer":
                report[stage] = sanitizer(options, clock, log, work)
                print(report[stage], flush=True)
            elif stage == "speed":
                report[stage] = gpu_speed.measure(BIN / "tenon", options, lambda command: run(command, clock, log), clock.left, work / "engines")
                print({k: v for k, v in report[stage].items() if k != "models"}, flush=True)
        report.setdefault("seconds", {})[stage] = round(time.monotonic() - begin, 1)
        (options.out / "gpu.json").write_text(json.dumps(report, indent=1))
    cases.pool.shutdown(wait=False, cancel_futures=True)


if __name__ == "__main__":
    main()
