"""Runs ONNX's own backend tests through a backend module and tells for each case how it went.

    python tests/python/onnx_suite.py [--device CPU] [--backend tenon.onnx_backend] [-k REGEX] [--json FILE]

Cases, tolerances and the comparison are ONNX's (onnx.backend.test); light topologies run from the files in the wheel.
Cases run in a child process: one that crashes or hangs takes only itself down, and the next child goes on after it.
A case is passed, failed, refused (the backend said `unsupported`), crashed or hung.
"""
import argparse
import collections
import importlib
import json
import os
import re
import select
import signal
import sys
import tempfile
import unittest
import warnings

# Seconds without a sign of life after which a case counts as hung.
PATIENCE = 120


class Proxy:
    """Stands for the backend while the cases are collected, so that only children load it and start its threads."""

    def __init__(self, module, device):
        self.module, self.device = module, device

    def supports_device(self, device):
        return device.split(":")[0] == self.device.split(":")[0]

    def prepare(self, model, device, **kwargs):
        return importlib.import_module(self.module).prepare(model, self.device, **kwargs)


def collect(proxy, pattern):
    """{name: (category, bound test)} of the cases for the proxy's device. Names are ONNX's, without the device."""
    from onnx.backend.test.runner import Runner

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the makers of the node cases divide by zero on purpose
        suite = Runner(proxy, __name__).test_cases
    suffix = "_" + proxy.device.split(":")[0].lower()
    found = {}
    for group, case in sorted(suite.items()):
        category = group.removeprefix("OnnxBackend").removesuffix("Test").removesuffix("Model")
        for method in sorted(unittest.defaultTestLoader.getTestCaseNames(case)):
            name = method.removesuffix(suffix)
            if method.endswith(suffix) and (not pattern or re.search(pattern, name)):
                found[name] = (category, case(method))
    return found


def attempt(test):
    """(outcome, reason) of one case, run in this process."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            test.debug()
    except unittest.SkipTest as skipped:
        return "refused", str(skipped)
    except Exception as error:
        refused = "unsupported" in str(getattr(error, "code", "")).lower()
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return ("refused" if refused else "failed"), text[:300]
    return "passed", ""


def child(tests, names, pipe):
    """Runs cases until done; writes one JSON line before each and one after it."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # ONNX's runner and some backends chatter
    with os.fdopen(pipe, "w") as out:
        for name in names:
            print(json.dumps([name]), file=out, flush=True)
            print(json.dumps([name, *attempt(tests[name][1])]), file=out, flush=True)
    os._exit(0)


def lines(pipe):
    """Lines from a child; ends when it ends, or says None when it is silent for too long."""
    rest = b""
    while True:
        if not select.select([pipe], [], [], PATIENCE)[0]:
            yield None
            return
        data = os.read(pipe, 65536)
        if not data:
            return
        *full, rest = (rest + data).split(b"\n")
        yield from full


def run(tests, report=lambda name, outcome, reason: None):
    """{name: (category, outcome, reason)} for all cases."""
    results, left = {}, list(tests)
    while left:
        read_end, write_end = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os.close(read_end)
            child(tests, left, write_end)
        os.close(write_end)
        running, hung = None, False
        for line in lines(read_end):
            if line is None:
                hung = True
                os.kill(pid, signal.SIGKILL)
                break
            name, *result = json.loads(line)
            running = None if result else name
            if result:
                results[name] = (tests[name][0], *result)
                report(name, *result)
        os.close(read_end)
        status = os.waitpid(pid, 0)[1]
        if running:
            how = ("hung", f"no end within {PATIENCE} s") if hung else ("crashed", f"wait status {status}")
            results[running] = (tests[running][0], *how)
            report(running, *how)
        elif status:
            raise RuntimeError(f"the child process died outside any case, wait status {status}")
        left = [name for name in left if name not in results]
    return results


def totals(results):
    """Lines `category: N passed, N failed, …`."""
    by_category = collections.defaultdict(collections.Counter)
    for category, outcome, _ in results.values():
        by_category[category][outcome] += 1
    kinds = ("passed", "failed", "refused", "crashed", "hung")
    return [f"{category}: " + ", ".join(f"{count[kind]} {kind}" for kind in kinds if count[kind] or kind in kinds[:3])
            for category, count in sorted(by_category.items())]


def main():
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--device", default="CPU")
    cli.add_argument("--backend", default="tenon.onnx_backend", help="module with prepare() (default: %(default)s)")
    cli.add_argument("-k", dest="pattern", help="only cases whose name matches this regular expression")
    cli.add_argument("--json", help="write {name: [category, outcome, reason]} to this file")
    cli.add_argument("-q", action="store_true", help="no line for each case that does not pass")
    options = cli.parse_args()

    def report(name, outcome, reason):
        if outcome != "passed" and not options.q:
            print(f"{outcome:8} {name}  {reason}", flush=True)

    with tempfile.TemporaryDirectory() as home:
        os.environ["ONNX_HOME"] = home  # where ONNX's runner puts what it derives from the light models
        results = run(collect(Proxy(options.backend, options.device), options.pattern), report)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=0)
    for line in totals(results):
        print(f"{options.device} {line}")


if __name__ == "__main__":
    main()
