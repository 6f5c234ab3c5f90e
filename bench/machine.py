"""What a benchmark's result depends on besides the code: the machine, its load, the versions."""
import importlib.metadata
import os
import pathlib
import platform
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLAGS = ("avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_tile",
         "amx_int8", "amx_bf16")
PACKAGES = ("numpy", "onnx", "onnxruntime", "openvino")


def _read(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def _cpu():
    fields = {}
    for line in _read("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = set(fields.get("flags", "").split())
    return {"model": fields.get("model name", platform.processor()),
            "cores": len(os.sched_getaffinity(0)),
            "flags": [flag for flag in FLAGS if flag in flags],
            "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip() or None}


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit():
    told = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], text=True, capture_output=True)
    return told.stdout.strip() or None


def describe():
    memory = [line.split()[1] for line in _read("/proc/meminfo").splitlines() if line.startswith("MemTotal")]
    return {"cpu": _cpu(),
            "memory_gib": round(int(memory[0]) / 2**20, 1) if memory else None,
            "system": platform.freedesktop_os_release().get("PRETTY_NAME"),
            "kernel": platform.release(),
            "load_average": round(os.getloadavg()[0], 2),
            "python": platform.python_version(),
            "packages": {name: v for name in PACKAGES if (v := _version(name))},
            "tenon_commit": _commit()}
