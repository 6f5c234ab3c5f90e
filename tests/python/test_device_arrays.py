"""Arrays in the memory of a GPU, streams and several GPUs (device_arrays.py), on the emulated machine, and on the real one
where there is a GPU.
"""
import json
import os
import pathlib
import subprocess
import sys

import pytest

import tenon

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(tenon._core.__file__).resolve().parents[2]
EMULATED = BUILD / "emulated_machine/libcuda.so.1"


# Kernels that are compiled for the emulator are no use to others: the cache is its own.
MACHINE = {"LD_LIBRARY_PATH": str(EMULATED.parent), "TENON_NVRTC": str(EMULATED), "TENON_EMULATED_GPUS": "2",
           "TENON_CACHE": str(EMULATED.parent / "cache")}
TESTS = ["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", HERE / "device_arrays.py"]
on_the_emulated_machine = pytest.mark.skipif(not EMULATED.exists(), reason=f"{EMULATED} is not built")
on_this_machine = pytest.mark.skipif(not tenon._core.has_device("cuda"), reason="no GPU")


def run(command, environment=None, code=0):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600, check=False,
                          env={**os.environ, **(environment or {})})
    print(done.stdout[-6000:], done.stderr[-6000:])
    assert done.returncode == code
    return done


@on_the_emulated_machine
def test_on_the_emulated_machine():
    run([sys.executable, "-P", *TESTS], MACHINE)


@on_this_machine
def test_on_this_machine():
    run([sys.executable, "-P", *TESTS])


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda:1", marks=on_the_emulated_machine)])
def test_examples(device):
    """What they print is checked by them."""
    machine = MACHINE if device != "cpu" else {}
    run([sys.executable, "-P", ROOT / "examples/device_arrays.py", device], machine)
    program = BUILD / "bin/example_device_memory"
    if program.exists():
        run([program, ROOT / "examples/digits/digits.onnx", device], machine)


@on_the_emulated_machine
def test_the_program_on_several_gpus(tmp_path):
    program, model, engine = BUILD / "bin/tenon", ROOT / "examples/digits/digits.onnx", tmp_path / "m.engine"
    if not program.exists():
        pytest.skip(f"{program} is not built")
    run([program, "build", model, "-o", engine, "--device", "cuda:1"], MACHINE)
    found = json.loads(run([program, "bench", engine, "--device", "cuda:1", "--duration", "0.05s", "--warmup", "0s", "--json"], MACHINE).stdout)
    planned = json.loads(run([program, "inspect", engine, "--json"], MACHINE).stdout)["memory"]["profiles"][0]["opt"]["memory_mib"]
    assert found["memory_mib"]["device"] >= planned["device"] > planned["host"] >= 0
    assert "ON THE DEVICE" in run([program, "inspect", engine, "--memory"], MACHINE).stdout
    for command in (["build", model, "-o", tmp_path / "n.engine"], ["run", engine, "--random"], ["run", model, "--random"]):
        told = run([program, *command, "--device", "cuda:2"], MACHINE, code=7).stderr
        assert "there is no GPU 2; this machine has 2" in told
    assert "workspace" in run([program, "run", engine, "--random", "--workspace", "100"], MACHINE, code=1).stderr
