"""Interleaved measurement of one model in several runtimes, and the figures drawn from it."""
import os
import statistics

import numpy as np

import runtimes


def figures(rounds):
    """Latency figures in ms of [[seconds, …] a round, …]."""
    times = np.array([t for one in rounds for t in one]) * 1e3
    medians = [statistics.median(one) * 1e3 for one in rounds]
    low, high = np.percentile(times, [10, 90])
    return {"median": float(np.median(times)), "mean": float(times.mean()), "min": float(times.min()),
            "p90": float(high), "p99": float(np.percentile(times, 99)), "max": float(times.max()),
            "min_of_rounds": min(medians), "spread": float((high - low) / np.median(times)),
            "rounds": medians, "runs": len(times)}


def largest_difference(ours, theirs):
    """Over all outputs, as a part of the output's largest magnitude; None where shapes differ."""
    worst = 0.0
    for a, b in zip(ours, theirs):
        if np.shape(a) != np.shape(b):
            return None
        if np.size(a):
            a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
            worst = max(worst, float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)))
    return worst


def compare(path, feeds, names, threads=1, rounds=7, min_time=0.1, cores=None):
    """{runtime: figures, or {"error": text}} and {runtime: largest difference from the first}.

    Each round asks each runtime in turn for `min_time` seconds of runs; the order alternates.
    """
    results, workers, differences = {}, {}, {}
    cores = cores or set(sorted(os.sched_getaffinity(0))[:threads])
    try:
        for name in names:
            try:
                workers[name] = runtimes.Worker(name, path, threads, feeds, cores)
            except runtimes.Failure as failure:
                results[name] = {"error": str(failure)}
        first = names[0]
        for name, worker in workers.items():
            if name != first and first in workers:
                differences[name] = largest_difference(workers[first].outputs, worker.outputs)
        # The second run still finds cold pages; it tells how many runs fill a round.
        runs = {name: max(1, round(min_time / worker.measure(2)[1])) for name, worker in workers.items()}
        found = {name: [] for name in workers}
        for i in range(rounds):
            for name in (list(workers) if i % 2 == 0 else reversed(list(workers))):
                found[name].append(workers[name].measure(runs[name]))
        for name, worker in workers.items():
            results[name] = {"latency_ms": figures(found[name]), "open_s": worker.open_s,
                             "memory_mib": worker.memory()}
    except runtimes.Failure as failure:
        results[str(failure).split()[0].rstrip(":")] = {"error": str(failure)}
    finally:
        for worker in workers.values():
            worker.close()
    return results, differences
