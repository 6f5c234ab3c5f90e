"""Measures how long engines take to build and to open, and how large they are.

    .venv/bin/python bench/build_time.py MODEL.onnx…  [--repeat 3] [--max-build 10] [--max-open-ms-per-100mb 50]
    .venv/bin/python bench/build_time.py --zoo ../shared/zoo --json out.json

Building is timed as a user sees it, by `tenon build` in a fresh process; opening by tenon.load, the file in the page
cache. A model that does not build is reported and makes the exit code 1; an exceeded limit makes it 6.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import inputs
import machine

PROGRAM = inputs.ROOT / "build/release/bin/tenon"


def build(model, engine, threads):
    """Seconds; raises CalledProcessError with what the program said."""
    begin = time.perf_counter()
    subprocess.run([PROGRAM, "build", model, "-o", engine, "-q", "--threads", str(threads)], check=True, text=True,
                   capture_output=True)
    return time.perf_counter() - begin


def open_engine(engine):
    """Seconds that tenon.load takes."""
    import tenon

    begin = time.perf_counter()
    loaded = tenon.load(str(engine))
    taken = time.perf_counter() - begin
    del loaded
    return taken


def measure(model, options):
    with tempfile.TemporaryDirectory() as folder:
        engine = pathlib.Path(folder) / "model.engine"
        try:
            built = [build(model, engine, options.threads) for _ in range(options.repeat)]
        except subprocess.CalledProcessError as error:
            return {"error": error.stderr.strip()[-500:] or f"exit code {error.returncode}"}
        opened = [open_engine(engine) for _ in range(options.repeat)]
        return {"build_s": statistics.median(built), "open_ms": statistics.median(opened) * 1e3,
                "model_mb": pathlib.Path(model).stat().st_size / 1e6, "engine_mb": engine.stat().st_size / 1e6}


def limits_exceeded(name, found, options):
    if options.max_build and found["build_s"] > options.max_build:
        yield f"{name}: built in {found['build_s']:.1f} s, allowed {options.max_build}"
    per_100mb = found["open_ms"] / max(found["engine_mb"] / 100, 1)
    if options.max_open_ms_per_100mb and per_100mb > options.max_open_ms_per_100mb:
        yield f"{name}: opened in {per_100mb:.0f} ms a 100 MB, allowed {options.max_open_ms_per_100mb}"


def main():
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("model", nargs="*", type=pathlib.Path)
    cli.add_argument("--zoo", type=pathlib.Path, help="folder of weight-stripped graphs with materialize.py")
    cli.add_argument("--repeat", type=int, default=3)
    cli.add_argument("--threads", type=int, default=1)
    cli.add_argument("--max-build", type=float, help="seconds a model may take")
    cli.add_argument("--max-open-ms-per-100mb", type=float)
    cli.add_argument("--json", type=pathlib.Path)
    options = cli.parse_args()
    if not PROGRAM.exists():
        cli.error(f"{PROGRAM} is missing; run ./scripts/build")
    models = list(options.model)
    if options.zoo:
        models += [inputs.materialized(path) for path in sorted(options.zoo.glob("*.onnx"))]
    if not models:
        cli.error("no models: name some, or give --zoo")

    report = {"schema": "tenon.bench.build/1", "machine": machine.describe(), "threads": options.threads, "models": {}}
    exceeded = []
    print(f"{'':24} {'build s':>9} {'open ms':>9} {'model MB':>9} {'engine MB':>9}")
    for path in models:
        name = inputs.model_name(path)
        found = report["models"][name] = measure(path, options)
        if "error" in found:
            print(f"{name:24} {found['error'].splitlines()[-1][:120]}", flush=True)
            continue
        print(f"{name:24} {found['build_s']:9.2f} {found['open_ms']:9.2f} {found['model_mb']:9.1f} "
              f"{found['engine_mb']:9.1f}", flush=True)
        exceeded += limits_exceeded(name, found, options)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    print("\n".join(exceeded), end="\n" if exceeded else "", file=sys.stderr)
    sys.exit(6 if exceeded else 1 if any("error" in m for m in report["models"].values()) else 0)


if __name__ == "__main__":
    main()
