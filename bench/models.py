"""Measures Tenon against its peers on ONNX models, at batch 1 and one thread unless told otherwise.

    .venv/bin/python bench/models.py MODEL.onnx…
    .venv/bin/python bench/models.py --zoo ../shared/zoo --json out.json --max-ratio 3 --max-geomean 1.6
    .venv/bin/python bench/models.py --models ../shared/models --only 'mobilenet|yolox' --peers onnxruntime,openvino

Every runtime has a process of its own, pinned to as many cores as threads; they are asked in turn, round after round.
The ratio is Tenon's median over the peer's. Exit code 6 when a limit is exceeded, 1 when Tenon could not run a model.
The JSON's schema is described in docs/benchmarks.md.
"""
import argparse
import json
import math
import pathlib
import re
import sys

import inputs
import machine
import measure


def find_models(options):
    """[(name, path)], with the zoo's weights drawn into the cache folder."""
    found = [(inputs.model_name(path), path) for path in options.model]
    if options.zoo:
        found += [(path.stem, path) for path in sorted(options.zoo.glob("*.onnx"))]
    if options.models:
        found += [(path.parent.name, path) for path in sorted(options.models.glob("*/model.onnx"))]
    found = [(name, path) for name, path in found if not options.only or re.search(options.only, name)]
    return [(name, inputs.materialized(path) if options.zoo and path.parent == options.zoo else path)
            for name, path in found]


def geometric_mean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None


def row(name, entry, subject, peers):
    """One line of the table."""
    mine = entry["runtimes"][subject]
    if "error" in mine:
        return f"{name:24} {mine['error'][:120]}"
    cells = [f"{name:24} {mine['latency_ms']['median']:9.2f} ±{mine['latency_ms']['spread']:4.0%}"]
    for peer in peers:
        theirs = entry["runtimes"][peer]
        cells.append(f"{'not run':>16}" if "error" in theirs else
                     f"{theirs['latency_ms']['median']:9.2f} {entry['ratio'][peer]:5.2f}x")
    return "  ".join(cells)


def judge(report, options, subject, peers):
    """Lines for each limit that is exceeded."""
    wrong = []
    limited = peers[0] if peers else None
    for name, entry in report["models"].items():
        ratio = entry["ratio"].get(limited)
        if options.max_ratio and ratio and ratio > options.max_ratio:
            wrong.append(f"{name}: {ratio:.2f} x {limited}, allowed {options.max_ratio}")
    mean = report["geometric_mean"].get(limited)
    if options.max_geomean and mean and mean > options.max_geomean:
        wrong.append(f"geometric mean {mean:.2f} x {limited}, allowed {options.max_geomean}")
    return wrong


def main():
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("model", nargs="*", type=pathlib.Path)
    cli.add_argument("--zoo", type=pathlib.Path, help="folder of weight-stripped graphs with materialize.py")
    cli.add_argument("--models", type=pathlib.Path, help="folder of NAME/model.onnx")
    cli.add_argument("--only", help="only models whose name matches this regular expression")
    cli.add_argument("--subject", default="tenon", help="runtime that is judged (default: %(default)s)")
    cli.add_argument("--peers", default="onnxruntime", help="comma-separated; the limits hold for the first "
                     "(default: %(default)s)")
    cli.add_argument("--threads", type=int, default=1)
    cli.add_argument("--batch", type=int, default=1)
    cli.add_argument("--sequence", type=int, default=128, help="free dims that are no batch (default: %(default)s)")
    cli.add_argument("--rounds", type=int, default=7)
    cli.add_argument("--min-time", type=float, default=0.2, help="seconds a round and runtime (default: %(default)s)")
    cli.add_argument("--json", type=pathlib.Path, help="write the report to this file")
    cli.add_argument("--max-ratio", type=float, help="fail when one model is slower than this many times the peer")
    cli.add_argument("--max-geomean", type=float, help="fail when the geometric mean of the ratios is above this")
    options = cli.parse_args()
    subject, peers = options.subject, [peer for peer in options.peers.split(",") if peer]
    chosen = find_models(options)
    if not chosen:
        cli.error("no models: name some, or give --zoo or --models")

    report = {"schema": "tenon.bench.models/1", "machine": machine.describe(), "subject": subject, "peers": peers,
              "threads": options.threads, "batch": options.batch, "sequence": options.sequence,
              "rounds": options.rounds, "min_time_s": options.min_time, "models": {}, "geometric_mean": {}}
    print(f"{'median ms, spread':24} {subject:>15}  " + "  ".join(f"{peer:>16}" for peer in peers), flush=True)
    for name, path in chosen:
        feeds = inputs.Inputs(path, options.sequence).draw(options.batch)
        results, differences = measure.compare(path, feeds, [subject, *peers], options.threads, options.rounds,
                                               options.min_time)
        entry = {"inputs": {key: {"dtype": str(v.dtype), "shape": list(v.shape)} for key, v in feeds.items()},
                 "runtimes": results, "largest_difference": differences, "ratio": {}}
        for peer in peers:
            if "error" not in results[subject] and "error" not in results[peer]:
                entry["ratio"][peer] = (results[subject]["latency_ms"]["median"]
                                        / results[peer]["latency_ms"]["median"])
        report["models"][name] = entry
        print(row(name, entry, subject, peers), flush=True)
    for peer in peers:
        ratios = [entry["ratio"][peer] for entry in report["models"].values() if peer in entry["ratio"]]
        report["geometric_mean"][peer] = geometric_mean(ratios)
        if ratios:
            print(f"geometric mean over {len(ratios)} models: {geometric_mean(ratios):.2f} x {peer}, "
                  f"worst {max(ratios):.2f} x")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")

    noisy = [name for name, entry in report["models"].items()
             if entry["runtimes"][subject].get("latency_ms", {}).get("spread", 0) > 0.25]
    if noisy:
        print(f"noisy (spread above 25 %), don't trust: {', '.join(noisy)}", file=sys.stderr)
    failed = [name for name, entry in report["models"].items() if "error" in entry["runtimes"][subject]]
    wrong = judge(report, options, subject, peers)
    for line in wrong + [f"{name}: {subject} could not run it" for name in failed]:
        print(line, file=sys.stderr)
    sys.exit(6 if wrong else 1 if failed else 0)


if __name__ == "__main__":
    main()
