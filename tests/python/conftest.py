"""Fixtures and helpers of the Python tests: where test material lies, sessions of both runtimes, how arrays agree."""
import pathlib
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

import inputs  # noqa: E402

SHARED = inputs.shared_folder()


@pytest.fixture(scope="session")
def shared():
    """The folder of models and data outside the repository; tests that need it are skipped where it is absent."""
    if SHARED is None:
        pytest.skip("no ../shared and no TENON_SHARED: models and data are absent")
    return SHARED


def pytest_generate_tests(metafunc):
    """`model_name` and `graph_name` stand for each model and each graph of the shared folder."""
    for fixture, pattern in (("model_name", "models/*/model.onnx"), ("graph_name", "zoo/*.onnx")):
        if fixture not in metafunc.fixturenames:
            continue
        found = sorted(SHARED.glob(pattern)) if SHARED else []
        names = [p.parent.name if p.name == "model.onnx" else p.stem for p in found]
        absent = pytest.param("absent", marks=pytest.mark.skip(reason=f"no shared/{pattern}: the folder is absent"))
        metafunc.parametrize(fixture, names or [absent], scope="module")


def pytest_terminal_summary(terminalreporter):
    if SHARED is None:
        terminalreporter.write_line("SKIPPED: tests on real models and data; set TENON_SHARED or provide ../shared")


def ort_session(model, optimized=True):
    """ONNX Runtime on the CPU; `model` is a path or bytes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model if isinstance(model, bytes) else str(model), options,
                                        providers=["CPUExecutionProvider"])


def tenon_session(model):
    import tenon.onnxruntime

    return tenon.onnxruntime.InferenceSession(str(model))


def difference(ours, theirs):
    """The largest difference, as a part of the largest magnitude; infinite where shapes, types or NaNs differ."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return float("inf")
    if ours.size == 0 or np.array_equal(ours, theirs, equal_nan=theirs.dtype.kind == "f"):
        return 0.0
    if theirs.dtype.kind != "f":
        return float("inf")  # integers and truth values are right or wrong
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    finite = np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.isfinite(a[finite]).all():
        return float("inf")
    return float(np.abs(a[finite] - b[finite]).max() / max(np.abs(b[finite]).max(), np.finfo(np.float32).tiny))


def assert_agree(names, ours, theirs, tolerance=1e-4):
    assert len(ours) == len(theirs)
    for name, a, b in zip(names, ours, theirs):
        gap = difference(a, b)
        assert gap <= tolerance, (f"output '{name}' differs by {gap:.2g} of its largest magnitude; "
                                  f"ours {a.dtype}{list(a.shape)}, theirs {b.dtype}{list(b.shape)}")
