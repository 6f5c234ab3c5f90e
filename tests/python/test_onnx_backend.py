"""ONNX's own backend tests through tenon.onnx_backend, on each device.

The cases that do not pass are listed with their reasons in tests/onnx_backend_exceptions.txt, one `case_name  reason`
a line; a line that ends in `[cpu]` or `[cuda]` holds for that device only. Nothing may crash, nothing may be missing
from the list, and nothing listed may pass.
"""
import importlib
import json
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
EXCEPTIONS = HERE.parent / "onnx_backend_exceptions.txt"
# Of 1,884 cases in onnx 1.23; about 1,710 need no strings, sequences, training or four-bit floats.
LEAST_NODE_CASES = 1680


def exceptions(device):
    """{case: reason} for the device."""
    listed = {}
    for line in EXCEPTIONS.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, reason = line.strip().partition("  ")
        marks = [d for d in ("cpu", "cuda") if reason.endswith(f"[{d}]")]
        if not marks or device.lower() in marks:
            listed[name] = reason.strip()
    return listed


@pytest.fixture(scope="module", params=["CPU", "CUDA"])
def suite(request, tmp_path_factory):
    device = request.param
    backend = importlib.import_module("tenon.onnx_backend")
    if not backend.supports_device(device):
        pytest.skip(f"no {device} device here")
    out = tmp_path_factory.mktemp("onnx") / "results.json"
    told = subprocess.run([sys.executable, HERE / "onnx_suite.py", "--device", device, "-q", "--json", out],
                          text=True, capture_output=True, check=False)
    assert told.returncode == 0, told.stderr[-3000:]
    # Past pytest's capture: these figures are wanted on every run.
    os.write(2, ("\n" + told.stdout).encode())
    return device, json.loads(out.read_text())


def of(results, *outcomes):
    return {name: (outcome, reason) for name, (_, outcome, reason) in results.items() if outcome in outcomes}


def table(cases):
    return "\n".join(f"{name}  {outcome}: {reason}" for name, (outcome, reason) in sorted(cases.items()))


def test_nothing_crashes(suite):
    crashed = of(suite[1], "crashed", "hung")
    assert not crashed, table(crashed)


def test_enough_node_cases_pass(suite):
    passed = sum(category == "Node" and outcome == "passed" for category, outcome, _ in suite[1].values())
    assert passed >= LEAST_NODE_CASES, f"{passed} node cases pass"


def test_every_other_case_is_listed(suite):
    device, results = suite
    known = exceptions(device)
    unlisted = {name: why for name, why in of(results, "failed", "refused").items() if name not in known}
    assert not unlisted, f"{len(unlisted)} cases neither pass nor stand in {EXCEPTIONS.name}:\n{table(unlisted)}"


def test_no_listed_case_passes(suite):
    device, results = suite
    passing = sorted(name for name in exceptions(device) if name in results and results[name][1] == "passed")
    assert not passing, f"these pass; take them off {EXCEPTIONS.name}: {', '.join(passing)}"


def test_every_listed_case_exists_and_has_a_reason(suite):
    device, results = suite
    wrong = [name for name, reason in exceptions(device).items() if name not in results or not reason]
    assert not wrong, f"unknown case or no reason: {', '.join(wrong)}"
