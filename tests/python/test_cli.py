"""The program `tenon`: each subcommand, each exit code, what goes to stdout and what to stderr."""
import ctypes
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("TENON_PROGRAM", ROOT / "build/release/bin/tenon"))
DIGITS = ROOT / "examples/digits/digits.onnx"
COMMANDS = ["build", "run", "bench", "inspect", "compare", "check", "ops", "opt", "doctor", "profile"]

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason=f"{PROGRAM} is not built")


def tenon(*arguments, code=0, text=None, env=None, **more):
    """Runs the program; the exit code must be `code`."""
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, input=text, check=False,
                          timeout=300, env={**os.environ, **(env or {})}, **more)
    assert done.returncode == code, f"exit code {done.returncode}, expected {code}\n{done.stdout}\n{done.stderr}"
    return done


def tenon_json(*arguments, code=0, schema):
    """The object that --json prints, and nothing else."""
    found = json.loads(tenon(*arguments, "--json", code=code).stdout)
    assert found["schema"] == schema
    return found


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    path = tmp_path_factory.mktemp("engine") / "digits.engine"
    tenon("build", DIGITS, "-o", path)
    return path


def save_model(path, nodes, inputs, outputs, opset=17, initializers=()):
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(n, t, s) for n, t, s in inputs],
                              [helper.make_tensor_value_info(n, t, s) for n, t, s in outputs], list(initializers))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("acme", 1)],
                                ir_version=9), path)
    return path


@pytest.fixture
def unsupported(tmp_path):
    nodes = [helper.make_node("Frobnicate", ["x"], ["a"], name="first", domain="acme"), helper.make_node("Relu", ["a"], ["b"]),
             helper.make_node("Defenestrate", ["b"], ["y"], name="second", domain="acme")]
    return save_model(tmp_path / "custom.onnx", nodes, [("x", TensorProto.FLOAT, [2])], [("y", TensorProto.FLOAT, [2])])


# ---- help and spelling ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_one_screen_with_examples_first(command):
    page = tenon(command, "-h").stdout
    lines = page.splitlines()
    assert len(lines) <= 30 and max(map(len, lines)) <= 110
    assert lines[2].startswith(f"  tenon {command}")
    assert len(tenon(command, "--help-all").stdout.splitlines()) >= len(lines)


def test_help_prints_defaults():
    assert "[3s]" in tenon("bench", "-h").stdout and "[cpu]" in tenon("build", "-h").stdout


def test_program_help_lists_the_commands():
    page = tenon("-h").stdout
    assert all(re.search(rf"^  {c} ", page, re.M) for c in COMMANDS)


@pytest.mark.parametrize("arguments, hint", [
    (["biuld", "m.onnx"], "build"), (["build", DIGITS, "-o", "x", "--devise", "cpu"], "--device"),
    (["run", DIGITS, "--random", "--sed", "1"], "--seed"), (["build", DIGITS, "-o", "x", "--precision", "fp166"], "fp16"),
    (["bench", DIGITS, "--fail-if", "p98>2ms"], "p9"), (["opt", "g", "--pass", "fold_constant"], "fold_constants"),
    (["bench", DIGITS, "--compare", "onnxruntim"], "onnxruntime"), (["run", DIGITS, "--input", "imagge=x.npy"], "image"),
    (["inspect", DIGITS.with_name("digit.onnx")], "digits.onnx"), (["compare", DIGITS, "--ref", "referense"], "reference")])
def test_misspellings_get_the_nearest_spelling(arguments, hint):
    said = tenon(*arguments, code=2).stderr
    assert said.startswith("error: ") and f"{hint}" in said.split("did you mean")[1]


@pytest.mark.parametrize("arguments", [
    [], ["build"], ["build", DIGITS], ["build", DIGITS, "-o"], ["build", DIGITS, "extra", "-o", "x"], ["build", DIGITS, "-o", "x", "--threads", "many"],
    ["build", DIGITS, "-o", "x", "--threads", "-1"], ["build", DIGITS, "-o", "x", "--workspace", "1XB"], ["run", DIGITS],
    ["bench", DIGITS, "--duration", "soon"], ["bench", DIGITS, "--fail-if", "p99"], ["build", DIGITS, "-o", "x", "--json=1"],
    ["build", DIGITS, "-o", "x", "--shape", "image:ax8"], ["build", DIGITS, "-o", "x", "--shape", "picture:1x1x8x8"],
    ["build", DIGITS, "-o", "x", "--shape", "image:1x1x9x9"], ["build", DIGITS, "-o", "x", "--shape", "image:4..2x1x8x8"],
    ["build", DIGITS, "-o", "x", "--skip-pass", "nosuch"], ["build", DIGITS, "-o", "x", "--pin", "Conv"],
    ["build", DIGITS, "-o", "x", "--pin", "Conv=int8"], ["build", DIGITS, "-o", "x", "--pin", "nosuch=fp32"], ["build", DIGITS, "-o", "x", "--device", "cpu", "--target", "cpu:z80"],
    ["build", DIGITS, "-o", "x", "--io", "image"], ["build", DIGITS, "-o", "x", "--io", "nosuch=fp16"], ["build", DIGITS, "-o", "x", "--io", "image=int32"],
    ["serve"], ["opt", "--pass", "fold_constants"]])
def test_usage_errors_end_with_2(arguments, tmp_path):
    done = tenon(*arguments, code=2, cwd=tmp_path)
    assert "error: " in done.stderr and not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--calib x", "--eval x", "--precision int8", "--precision auto"])
def test_what_is_not_there_yet_says_so(option, tmp_path):
    said = tenon("build", DIGITS, "-o", tmp_path / "x", *option.split(), code=2).stderr
    assert re.search("not there yet|not built yet", said)


# ---- build ----------------------------------------------------------------------------------------------------------


def test_build_writes_the_same_bytes_twice_and_nothing_to_stdout(engine, tmp_path):
    done = tenon("build", DIGITS, "-o", tmp_path / "again.engine")
    assert done.stdout == "" and "kernels" in done.stderr and "workspace" in done.stderr
    assert (tmp_path / "again.engine").read_bytes() == engine.read_bytes()


def test_inputs_and_outputs_of_other_types(tmp_path):
    tenon("build", DIGITS, "-o", tmp_path / "x.engine", "--io", "*=fp16", "--io", "image=bf16")
    ends = json.loads(tenon("inspect", tmp_path / "x.engine", "--json").stdout)
    assert {v["dtype"] for v in ends["inputs"]} == {"bf16"} and {v["dtype"] for v in ends["outputs"]} == {"f16"}
    tenon("compare", tmp_path / "x.engine")
    tenon("compare", DIGITS, "--io", "*=fp16", "--per-layer")
    for given in (["--io", "*=fp16"], ["--io", "*=bf16"], ["--io", "image=fp16"]):
        rows = json.loads(tenon("compare", DIGITS, *given, "--ref", "onnxruntime", "--tolerance", "1e-2", "--json").stdout)["outputs"]
        assert all(row["in_tolerance"] for row in rows)
    assert "built already" in tenon("run", tmp_path / "x.engine", "--random", "--io", "*=fp32", code=2).stderr


def test_tuning_is_told_and_remembered(tmp_path):
    database = tmp_path / "tuning.txt"
    options = ["--shape", "image:1x1x8x8", "--effort", "1", "--budget", "20s", "--tuning-db", database]
    first = json.loads(tenon("build", DIGITS, "-o", tmp_path / "a", *options, "--explain", tmp_path / "a.json", "--json").stdout)["tuning"]
    second = json.loads(tenon("build", DIGITS, "-o", tmp_path / "b", *options, "--json").stdout)["tuning"]
    assert first["choices"] > 0 and first["measured"] == first["choices"] and first["database"] == str(database)
    assert second["known"] == first["choices"] and second["measured"] == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert database.read_text().startswith("# tenon tuning database 1\n")
    explained = [n["tactics"] for n in json.loads((tmp_path / "a.json").read_text())["nodes"] if "tactics" in n]
    assert explained and all(sum("chosen" in t for t in tactics) == 1 and all(t["seconds"] > 0 for t in tactics) for tactics in explained)
    shown = tenon("inspect", tmp_path / "a", "--tactics").stdout
    assert "chosen" in shown and all(t["variant"] in shown for tactics in explained for t in tactics)
    untuned = tenon("build", DIGITS, "-o", tmp_path / "c", "--effort", "0", "--json")
    assert json.loads(untuned.stdout)["tuning"]["database"] == ""


@pytest.mark.parametrize("options", ["--effort 6", "--effort much", "--budget never", "--effort 0 --budget 3s", "--effort 0 --tuning-db t"])
def test_tuning_options_are_checked(options, tmp_path):
    assert "error: " in tenon("build", DIGITS, "-o", tmp_path / "x", *options.split(), code=2).stderr


def test_a_foreign_file_is_no_tuning_database(tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("to do: buy milk\n")
    said = tenon("build", DIGITS, "-o", tmp_path / "x", "--effort", "1", "--tuning-db", notes, code=2).stderr
    assert "is no tuning database" in said and notes.read_text() == "to do: buy milk\n"


def test_build_quietly(tmp_path):
    done = tenon("build", DIGITS, "-o", tmp_path / "e", "-q")
    assert done.stdout == done.stderr == ""
    assert "pass fold_scales" in tenon("build", DIGITS, "-o", tmp_path / "e", "-v").stderr


def test_explain_names_each_node(tmp_path):
    tenon("build", DIGITS, "-o", tmp_path / "e", "--explain", tmp_path / "why.json", "--shape", "image:1..4..16x1x8x8")
    why = json.loads((tmp_path / "why.json").read_text())
    assert {"op", "origins", "kernel", "backend", "fallback", "reason"} <= set(why["nodes"][0])
    named = {name for node in why["nodes"] for name in node["origins"]}
    model = onnx.load(DIGITS)
    kept = [n.name or n.output[0] for n in model.graph.node if n.op_type in ("Conv", "Gemm", "Softmax", "MaxPool")]
    assert set(kept) <= named
    assert why["profiles"][0]["dims"]["batch"] == {"min": 1, "opt": 4, "max": 16}
    memory = why["memory"]["profiles"][0]
    assert 0 < memory["opt"]["lower_bound"] <= memory["opt"]["peak"] <= memory["max"]["peak"]
    assert why["passes"] and why["golden_difference"] <= 1e-4


def test_skipped_passes_are_left_out(tmp_path):
    tenon("build", DIGITS, "-o", tmp_path / "e", "--explain", tmp_path / "why.json", "--skip-pass", "fold_scales")
    assert "BatchNormalization" in str(json.loads((tmp_path / "why.json").read_text())["nodes"])


def test_a_workspace_that_is_too_small_ends_with_4(tmp_path):
    said = tenon("build", DIGITS, "-o", tmp_path / "e", "--shape", "image:64x1x8x8", "--workspace", "1KiB", code=4).stderr
    assert "workspace" in said and "try: " in said and not (tmp_path / "e").exists()


def test_unknown_devices_end_with_7(tmp_path):
    for command in (["build", DIGITS, "-o", tmp_path / "e"], ["run", DIGITS, "--random"], ["bench", DIGITS], ["check", DIGITS]):
        said = tenon(*command, "--device", "abacus", code=7).stderr
        assert "there are: cpu" in said and "try: tenon doctor" in said


def test_a_full_disk_leaves_no_file(tmp_path):
    def little_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
    said = tenon("build", DIGITS, "-o", tmp_path / "e", code=1, preexec_fn=little_room).stderr
    assert "cannot write" in said and not list(tmp_path.iterdir())
    with open("/dev/full", "w") as full:
        done = subprocess.run([PROGRAM, "ops"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1 and "standard output" in done.stderr
    assert tenon("build", DIGITS, "-o", tmp_path / "no/such/folder/e", code=1).stderr.startswith("error: ")


# ---- broken models --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["build", "run", "inspect", "check", "compare", "bench"])
def test_unsupported_nodes_are_all_listed(command, unsupported, tmp_path):
    extra = {"build": ["-o", tmp_path / "e"], "run": ["--random"]}.get(command, [])
    said = tenon(command, unsupported, *extra, code=3).stderr
    assert "acme.Frobnicate 'first'" in said and "acme.Defenestrate 'second'" in said and "try: " in said


@pytest.mark.parametrize("content", [b"", b"garbage that is no model", b"\xff" * 100, DIGITS.read_bytes()[:3000], DIGITS.read_bytes()[:-7]])
def test_broken_models_end_with_3(content, tmp_path):
    (tmp_path / "bad.onnx").write_bytes(content)
    said = tenon("build", tmp_path / "bad.onnx", "-o", tmp_path / "e", code=3).stderr
    assert "bad.onnx" in said and not (tmp_path / "e").exists()


def test_errors_name_the_node(tmp_path):
    weights = numpy_helper.from_array(np.zeros((4, 5, 3, 3), np.float32), "w")
    path = save_model(tmp_path / "m.onnx", [helper.make_node("Conv", ["x", "w"], ["y"], name="layer3.conv")],
                      [("x", TensorProto.FLOAT, [1, 3, 8, 8])], [("y", TensorProto.FLOAT, None)], initializers=[weights])
    assert "Conv 'layer3.conv'" in tenon("build", path, "-o", tmp_path / "e", code=3).stderr


def test_damaged_engines_end_with_3(engine, tmp_path):
    good = engine.read_bytes()
    bad = tmp_path / "bad.engine"
    for content in (b"", good[:100], good[:-1], good[:200] + b"\x55" + good[201:], good[:-4096] + bytes(4095) + b"\x01", b"something else"):
        bad.write_bytes(content)
        for command in (["run", bad, "--random"], ["inspect", bad], ["bench", bad], ["profile", bad]):
            assert "try: " in tenon(*command, code=3).stderr
    newer = bytearray(good)
    newer[8] = 99
    bad.write_bytes(newer)
    assert "format 99" in tenon("run", bad, "--random", code=3).stderr


def test_names_that_are_not_utf8_do_no_harm(tmp_path):
    data = bytearray(DIGITS.read_bytes().replace(b"image", b"im\xff\xfee"))
    (tmp_path / "m.onnx").write_bytes(data)
    done = subprocess.run([PROGRAM, "build", tmp_path / "m.onnx", "-o", tmp_path / "e"], capture_output=True, check=False)
    assert done.returncode in (0, 3)


# ---- run ------------------------------------------------------------------------------------------------------------


def test_run_writes_outputs(engine, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    images = np.load(DIGITS.with_name("digits_test.npz"))["image"][:5]
    np.save(tmp_path / "in.npy", images)
    want = onnxruntime.InferenceSession(DIGITS, providers=["CPUExecutionProvider"]).run(None, {"image": images})[0]
    for model in (engine, DIGITS):
        tenon("run", model, "--input", f"image={tmp_path / 'in.npy'}", "--output-dir", tmp_path / "out")
        files = json.loads((tmp_path / "out/outputs.json").read_text())
        got = np.load(tmp_path / "out" / files["probability"])
        assert got.dtype == np.float32 and np.abs(got - want).max() <= 1e-4


def test_run_random_is_reproducible(engine):
    values = [tenon_json("run", engine, "--random", "--seed", seed, "--shape", "image:3x1x8x8", schema="tenon.run/1")["outputs"]["probability"]
              for seed in (1, 1, 2)]
    assert values[0] == values[1] != values[2] and values[0]["shape"] == [3, 10]


@pytest.mark.parametrize("array, word", [
    (np.zeros((2, 1, 8, 9), np.float32), "expected"), (np.zeros((8, 8), np.float32), "expected"), (np.zeros((2, 1, 8, 8)), "f64"),
    (np.asfortranarray(np.zeros((2, 1, 8, 8), np.float32) + np.arange(8, dtype=np.float32)), "Fortran"),
    (np.zeros((2, 1, 8, 8), ">f4"), "big-endian"), (np.array(["text"]), "numpy type")])
def test_wrong_input_names_it(engine, tmp_path, array, word):
    np.save(tmp_path / "in.npy", array)
    said = tenon("run", engine, "--input", f"image={tmp_path / 'in.npy'}", code=2).stderr
    assert word in said and ("image" in said or "in.npy" in said)


def test_missing_input_is_named(engine):
    said = tenon("run", engine, code=2).stderr
    assert "'image'" in said and "--random" in said


TYPES = [TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BOOL, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16,
         TensorProto.UINT16, TensorProto.INT32, TensorProto.UINT32, TensorProto.INT64, TensorProto.UINT64]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("shape", [[], [3], [2, 0, 3], [2, 3]])
def test_npy_carries_every_type(kind, shape, tmp_path):
    path = save_model(tmp_path / "m.onnx", [helper.make_node("Identity", ["x"], ["y"])], [("x", kind, shape)], [("y", kind, shape)])
    array = (np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2).astype(helper.tensor_dtype_to_np_dtype(kind))
    np.save(tmp_path / "x.npy", array)
    tenon("run", path, "--input", f"x={tmp_path / 'x.npy'}", "--output-dir", tmp_path / "out")
    got = np.load(tmp_path / "out/y.npy")
    assert got.dtype == array.dtype and got.shape == array.shape and np.array_equal(got, array)


def test_bfloat16_is_refused_in_and_widened_out(tmp_path):
    path = save_model(tmp_path / "m.onnx", [helper.make_node("Identity", ["x"], ["y"])], [("x", TensorProto.BFLOAT16, [3])], [("y", TensorProto.BFLOAT16, [3])])
    np.save(tmp_path / "x.npy", np.ones(3, np.float32))
    assert "bf16" in tenon("run", path, "--input", f"x={tmp_path / 'x.npy'}", code=2).stderr
    tenon("run", path, "--random", "--output-dir", tmp_path / "out")
    assert np.load(tmp_path / "out/y.npy").dtype == np.float32


# ---- the other commands ---------------------------------------------------------------------------------------------


def test_bench_schema(engine):
    found = tenon_json("bench", engine, "--duration", "200ms", "--warmup", "20ms", "--threads", 1, schema="tenon.bench/1")
    assert {"model", "device", "precision", "batch", "threads", "iterations", "throughput_per_s", "latency_ms", "memory_mib", "peers"} <= set(found)
    latency = found["latency_ms"]
    assert 0 < latency["min"] <= latency["p50"] <= latency["p90"] <= latency["p95"] <= latency["p99"] <= latency["max"]
    assert set(latency) == {"mean", "ci95", "min", "p50", "p90", "p95", "p99", "max"} and latency["ci95"] >= 0
    assert found["memory_mib"]["host"] > 0 and found["iterations"] > 1 and found["precision"] == "fp32"


def test_bench_streams_and_batch():
    found = tenon_json("bench", DIGITS, "--shape", "image:4x1x8x8", "--streams", 3, "--threads", 1, "--duration", "0.1s", "--warmup", "0s", schema="tenon.bench/1")
    assert found["streams"] == 3 and found["batch"] == 4


def test_fail_if_ends_with_6(engine):
    quick = ["--duration", "50ms", "--warmup", "0s"]
    done = tenon("bench", engine, *quick, "--fail-if", "p99<1us", "--fail-if", "mean>0ms", code=6)
    assert "mean>0ms" in done.stderr and "P99" in done.stdout and "p99<1us" not in done.stderr
    tenon("bench", engine, *quick, "--fail-if", "p50>1h", "--fail-if", "throughput<0.001", "--fail-if", "memory>64GiB")


def test_bench_peers():
    pytest.importorskip("onnxruntime")
    import sys
    done = tenon("bench", DIGITS, "--duration", "100ms", "--warmup", "0s", "--compare", "onnxruntime,torch", "--json", env={"TENON_PYTHON": sys.executable})
    peers = json.loads(done.stdout)["peers"]
    assert peers["onnxruntime"]["latency_ms"]["p50"] > 0 and "error" in peers["torch"] and "torch" in done.stderr


def test_bench_engine_has_no_peers(engine):
    assert "ONNX model" in tenon("bench", engine, "--compare", "onnxruntime", code=2).stderr


def test_compare_with_references(tmp_path):
    import sys
    assert tenon_json("compare", DIGITS, "--shape", "image:3x1x8x8", schema="tenon.compare/1")["worst_rel"] <= 1e-4
    layers = tenon_json("compare", DIGITS, "--per-layer", schema="tenon.compare/1")["values"]
    assert len(layers) > 3 and all(layer["origins"] for layer in layers)
    onnxruntime = pytest.importorskip("onnxruntime")
    tenon("compare", DIGITS, "--ref", "onnxruntime", env={"TENON_PYTHON": sys.executable})
    images = np.load(DIGITS.with_name("digits_test.npz"))["image"][:5]
    want = onnxruntime.InferenceSession(DIGITS, providers=["CPUExecutionProvider"]).run(None, {"image": images})[0]
    np.savez(tmp_path / "golden.npz", image=images, probability=want)
    tenon("compare", DIGITS, "--ref", tmp_path / "golden.npz")
    np.savez(tmp_path / "wrong.npz", image=images, probability=want + 0.01)
    said = tenon("compare", DIGITS, "--ref", tmp_path / "wrong.npz", code=5)
    assert "probability" in said.stderr and "--per-layer" in said.stderr and "FAR" in said.stdout
    np.savez_compressed(tmp_path / "small.npz", image=images, probability=want)
    assert "np.savez" in tenon("compare", DIGITS, "--ref", tmp_path / "small.npz", code=2).stderr


def test_compare_an_engine_with_its_golden_outputs(engine):
    tenon("compare", engine)


def test_inspect(engine):
    page = tenon("inspect", engine, "--layers", "--memory", "--tactics").stdout
    assert "image" in page and "LOWER BOUND" in page and "KERNEL" in page and "Conv+Relu" in page
    found = tenon_json("inspect", engine, schema="tenon.inspect/1")
    assert found["inputs"] == [{"name": "image", "dtype": "f32", "shape": ["batch", 1, 8, 8]}]
    assert found["manifest"]["schema"] == "tenon.engine/1" and found["layers"]
    page = tenon("inspect", DIGITS, "--layers", "--memory").stdout
    assert "Conv" in page and "opset" in page
    assert tenon_json("inspect", DIGITS, schema="tenon.inspect/1")["operators"]["Conv"] == 2
    tenon("inspect", DIGITS, "--tactics", code=2)


def test_inspect_needs_no_device(engine, tmp_path):
    """An engine for a device that no Tenon has ever had."""
    digest = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
    digest.restype, digest.argtypes = ctypes.c_uint64, [ctypes.c_char_p, ctypes.c_size_t]
    data = engine.read_bytes()
    target = json.loads(tenon("inspect", engine, "--json").stdout)["target"]
    other = "npu:" + "x" * (len(target) - 4)
    start = data.index(b"{")
    manifest = data[start:data.index(b"\0", start)]
    changed = manifest.replace(target.encode(), other.encode())
    old, new = (digest(m, len(m)).to_bytes(8, "little") for m in (manifest, changed))
    (tmp_path / "npu.engine").write_bytes(data[:start].replace(old, new) + changed + data[start + len(manifest):])
    assert other in tenon("inspect", tmp_path / "npu.engine").stdout
    tenon("run", tmp_path / "npu.engine", "--random", code=7)


def test_check():
    found = tenon_json("check", DIGITS, schema="tenon.check/1")
    assert set(found["devices"]) >= {"cpu", "reference"} and len(found["nodes"]) == len(onnx.load(DIGITS).graph.node)
    assert found["devices"]["reference"]["without_kernel"] == 0
    assert "cpu: 12 of 12 nodes" in tenon("check", DIGITS).stdout


def test_ops():
    found = tenon_json("ops", schema="tenon.ops/1")
    ops = {(o["domain"], o["name"]): o for o in found["operators"]}
    assert len(ops) == found["count"] >= 175
    conv = ops["ai.onnx", "Conv"]
    assert set(conv["devices"]) == {"cpu", "cuda", "reference"} and conv["since"] <= 7 <= conv["version"] and "f32" in conv["inputs"][0]["types"]
    assert "ReduceSum" in tenon("ops", "Reduce*").stdout
    one, none = tenon("ops", "Softmax"), tenon("ops", "Nothing*")
    assert "1 operator." in one.stdout + one.stderr and "0 operators." in none.stdout + none.stderr


def test_opt():
    graph = 'graph "g" (%x: f32[n, 4]) -> (%y) {\n  %a = Identity(%x)\n  %y = Relu(%a)\n}\n'
    page = tenon("opt", "-", "--pass", "remove_noops", "--pass", "remove_dead", text=graph).stdout
    assert "Relu(%x)" in page and "Identity" not in page
    assert tenon("opt", "-", "--pass", "remove_dead", text=page).stdout == page
    assert "fuse_pointwise" in tenon("opt", "--list").stdout
    said = tenon("opt", "-", "--pass", "remove_dead", text="graph nonsense", code=2).stderr
    assert "line" in said or ":" in said
    assert "graph" in tenon("opt", DIGITS, "--all").stdout


def test_doctor():
    found = tenon_json("doctor", schema="tenon.doctor/1")
    assert found["cpu"]["cores"] >= 1 and {d["name"] for d in found["devices"]} >= {"cpu", "reference"} and found["driver"] and found["nvrtc"]
    assert "cpu:" in tenon("doctor").stdout
    assert found["kernel_cache"]["limit"] > 0 and "TENON_CACHE_MIB" in tenon("doctor").stdout


def test_profile(engine, tmp_path):
    found = tenon_json("profile", engine, "--iterations", 5, "--trace", tmp_path / "t.json", schema="tenon.profile/1")
    assert sum(s["share"] for s in found["steps"] if s["depth"] == 0) == pytest.approx(1)
    assert any("Conv" in s["op"] or "Conv" in s["kernel"] or "conv" in s["kernel"] for s in found["steps"])
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    steps = [e for e in events if e["ph"] == "X"]
    assert len(steps) == len(found["steps"]) and all(e["dur"] >= 0 and e["args"]["origins"] for e in steps)
    assert {e["args"]["name"] for e in events if e["ph"] == "M"} >= {"host"}
    # What the steps compute is held against what the processor was measured to do.
    assert found["peaks"]["source"].startswith("measured") and found["peaks"]["f32"] > 1e9 and found["peaks"]["bytes"] > 1e8
    products = [s for s in found["steps"] if s["products_flop"] > 0]
    assert products and all(s["bytes"] > 0 and s["of_peak"] > 0 and s["bound_by"] for s in products)
    assert found["gap_ms"] == pytest.approx(found["run_ms"] - found["steps_ms"])
    for by in ("kernel", "op"):
        groups = tenon_json("profile", engine, "--by", by, schema="tenon.profile/1")["steps"]
        assert sum(g["products_flop"] for g in groups) == pytest.approx(sum(s["products_flop"] for s in found["steps"]))
        assert len({g["name"] for g in groups}) == len(groups)
    page = tenon("profile", engine, "--top", 2).stdout
    table = page[page.index("OF PEAK"):].splitlines()
    assert len(table) == 3 and "gap" in page and "peaks" in page


# ---- the terminal ---------------------------------------------------------------------------------------------------


def slow_model(path, nodes=30000):
    """Many nodes: building takes a while."""
    chain = [helper.make_node("Sin" if i % 2 else "Cos", [f"v{i}"], [f"v{i + 1}"]) for i in range(nodes)]
    return save_model(path, chain, [("v0", TensorProto.FLOAT, [4])], [(f"v{nodes}", TensorProto.FLOAT, [4])])


@pytest.mark.parametrize("delay", [0.05, 0.3])
def test_ctrl_c_ends_with_130_and_leaves_nothing(tmp_path, delay):
    model = slow_model(tmp_path / "m.onnx")
    process = subprocess.Popen([PROGRAM, "build", model, "-o", tmp_path / "e"], stderr=subprocess.PIPE, text=True)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "interrupted" in said
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_no_colour_where_there_is_no_terminal(engine):
    for env in ({}, {"NO_COLOR": "1"}):
        assert "\033" not in tenon("run", engine, code=2, env=env).stderr


def test_colour_on_a_terminal_unless_refused():
    for env, coloured in (({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)):
        leader, follower = os.openpty()
        subprocess.run([PROGRAM, "biuld"], stderr=follower, check=False, env={**{k: v for k, v in os.environ.items() if k != "NO_COLOR"}, **env})
        os.close(follower)
        assert (b"\033[" in os.read(leader, 4096)) == coloured
        os.close(leader)
