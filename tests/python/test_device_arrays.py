"""Arrays in the memory of a GPU, streams and several GPUs (device_arrays.py), on the emulated machine, and on the real one
where there is a GPU.
"""
import os
import pathlib
import subprocess
import sys

import pytest

import tenon

HERE = pathlib.Path(__file__).resolve().parent
EMULATED = pathlib.Path(tenon._core.__file__).resolve().parents[2] / "emulated_machine/libcuda.so.1"


def run(environment):
    done = subprocess.run([sys.executable, "-P", "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", HERE / "device_arrays.py"],
                          capture_output=True, text=True, timeout=600, env={**os.environ, **environment})
    print(done.stdout[-6000:], done.stderr[-6000:])
    assert done.returncode == 0


@pytest.mark.skipif(not EMULATED.exists(), reason=f"{EMULATED} is not built")
def test_on_the_emulated_machine(tmp_path):
    # Kernels that are compiled for the emulator are no use to others: the cache is its own.
    run({"LD_LIBRARY_PATH": str(EMULATED.parent), "TENON_NVRTC": str(EMULATED), "TENON_EMULATED_GPUS": "2",
         "TENON_CACHE": str(tmp_path)})


@pytest.mark.skipif(not tenon._core.has_device("cuda"), reason="no GPU")
def test_on_this_machine():
    run({})
