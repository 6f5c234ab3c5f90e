"""The Python package: arrays in and out, binding, shapes, threads, errors, engines on disk, ONNX Runtime's spelling."""
import pathlib
import pickle
import threading
import time

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import tenon
import tenon.onnx_backend
import tenon.onnxruntime as ort

DIGITS = pathlib.Path(__file__).resolve().parents[2] / "examples/digits/digits.onnx"


def model_of(nodes, inputs, outputs, weights=(), **metadata):
    """A model of these nodes; inputs and outputs are (name, type, shape)."""
    graph = helper.make_graph(nodes, "test", [helper.make_tensor_value_info(*i) for i in inputs],
                              [helper.make_tensor_value_info(*o) for o in outputs], list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    helper.set_model_props(model, metadata)
    return model


def identity(dtype, shape=("n", 3)):
    return model_of([helper.make_node("Identity", ["x"], ["y"])], [("x", dtype, shape)], [("y", dtype, shape)])


@pytest.fixture(scope="module")
def digits():
    return tenon.compile(DIGITS, threads=1)


@pytest.fixture(scope="module")
def images():
    return np.load(DIGITS.parent / "digits_test.npz")["image"]


# ---- calling -------------------------------------------------------------------------------------------------------

def test_ways_to_call(digits, images):
    x = images[:2]
    expected = digits({"image": x})["probability"]
    assert expected.shape == (2, 10) and expected.dtype == np.float32
    for found in (digits(x), digits(image=x), digits.run(image=x), digits.run({"image": x})):
        assert np.array_equal(found["probability"], expected)


def test_what_a_model_tells(digits):
    assert digits.inputs == [("image", "float32", ("batch", 1, 8, 8))]
    assert digits.outputs[0].name == "probability" and digits.outputs[0].shape == ("batch", 10)
    assert digits.report["nodes"] and digits.report["target"] == digits.target
    assert "digits" in repr(digits) and digits.device
    assert digits.memory["engine"] > 0 and set(digits.memory) == {"engine", "device", "arena", "peak", "lower_bound"}


def test_batches_of_many_sizes(digits, images):
    whole = digits(images)["probability"]
    for batch in (1, 2, 7, 64):
        assert np.allclose(digits(images[:batch])["probability"], whole[:batch], atol=1e-6)


def test_strided_lists_and_scalars(digits, images):
    expected = digits(np.ascontiguousarray(images[::3]))["probability"]
    assert np.array_equal(digits(images[::3])["probability"], expected)
    reversed_ = images[:6][::-1]
    assert np.array_equal(digits(reversed_)["probability"], digits(images[:6])["probability"][::-1])
    assert np.array_equal(digits(np.asfortranarray(images[:4]))["probability"], digits(images[:4])["probability"])
    assert np.array_equal(digits(images[:1].tolist())["probability"], digits(images[:1])["probability"])
    scalar = tenon.compile(identity(TensorProto.FLOAT, ()))
    for value in (2.5, np.float32(2.5), np.array(2.5, np.float32)):
        assert scalar(x=value)["y"] == np.float32(2.5) and scalar(x=value)["y"].shape == ()


def test_outputs_do_not_change_later(digits, images):
    first = digits(images[:1])["probability"]
    kept = first.copy()
    digits(images[1:2])
    assert np.array_equal(first, kept)


def test_an_output_outlives_its_model(images):
    y = tenon.compile(DIGITS)(images[:3])["probability"]
    assert np.isfinite(y).all() and np.allclose(y.sum(1), 1, atol=1e-4)


# ---- memory --------------------------------------------------------------------------------------------------------

def test_bound_inputs_are_read_in_place(digits, images):
    x, out = images[:1].copy(), np.empty((1, 10), np.float32)
    bound = digits.bind(image=x, probability=out)
    assert bound.execute()["probability"] is out
    assert np.array_equal(out, digits(images[:1])["probability"])
    x[:] = images[1:2]  # seen without another bind: nothing was copied
    bound.execute()
    assert np.array_equal(out, digits(images[1:2])["probability"])


def test_inputs_are_not_copied():
    """A large read-only input costs no memory beyond the output."""
    import resource

    model = tenon.compile(model_of([helper.make_node("ReduceMax", ["x"], ["y"], keepdims=0)],
                                   [("x", TensorProto.FLOAT, ["n"])], [("y", TensorProto.FLOAT, [])]), threads=1)
    x = np.zeros(64 << 20, np.float32)
    x.fill(1)
    x.flags.writeable = False
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert model(x)["y"] == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 128 << 10  # KiB; the input has 256 MiB


def test_what_cannot_be_bound(digits, images):
    with pytest.raises(tenon.InvalidArgumentError, match="dense"):
        digits.bind(image=images[:4:2])
    frozen = np.empty((1, 10), np.float32)
    frozen.flags.writeable = False
    with pytest.raises(tenon.InvalidArgumentError):
        digits.bind(image=images[:1], probability=frozen)
    with pytest.raises(tenon.InvalidArgumentError, match="no output 'probabilty'.*did you mean 'probability'"):
        digits.bind(image=images[:1], probabilty=np.empty((1, 10), np.float32))
    with pytest.raises(tenon.InvalidArgumentError, match="probability"):
        digits.bind(image=images[:1], probability=np.empty((2, 10), np.float32)).execute()
    with pytest.raises(tenon.InvalidArgumentError, match="stream"):
        digits.bind(image=images[:1]).execute(stream=1)


class Lender:
    """An array of some library that speaks DLPack only."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def from_dlpack(value):
    """What makes this module a library in the eyes of tenon: outputs come back through it."""
    return Lender(np.from_dlpack(value))


def test_dlpack_in_the_same_kind_out(digits, images):
    y = digits(Lender(images[:2]))["probability"]
    assert isinstance(y, Lender)
    assert np.array_equal(np.from_dlpack(y), digits(images[:2])["probability"])


def test_torch(digits, images):
    torch = pytest.importorskip("torch")
    y = digits(image=torch.from_numpy(images[:2]))["probability"]
    assert isinstance(y, torch.Tensor)
    assert np.array_equal(y.numpy(), digits(images[:2])["probability"])


# ---- types ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16",
                                  "uint32", "uint64", "bool"])
def test_numpy_types(name):
    x = np.array([[0, 1, 2], [3, 100, 1]]).astype(name)
    y = tenon.compile(identity(helper.np_dtype_to_tensor_dtype(x.dtype)))(x)["y"]
    assert y.dtype == x.dtype and np.array_equal(x, y)
    swapped = x.astype(x.dtype.newbyteorder(">"))
    assert np.array_equal(tenon.compile(identity(helper.np_dtype_to_tensor_dtype(x.dtype)))(swapped)["y"], x)


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
                                  "int4", "uint4"])
@pytest.mark.parametrize("rows", [0, 1, 3])  # odd counts of 4-bit elements leave half a byte
def test_types_of_ml_dtypes(name, rows):
    x = (np.arange(rows * 3).reshape(rows, 3) % 6).astype(getattr(ml_dtypes, name))
    y = tenon.compile(identity(helper.np_dtype_to_tensor_dtype(x.dtype)))(x)["y"]
    assert y.dtype == x.dtype and y.shape == x.shape
    assert np.array_equal(x.astype(np.float32), y.astype(np.float32))


def test_a_wrong_type_is_named(digits, images):
    with pytest.raises(tenon.InvalidArgumentError, match="'image' is float64, expected float32") as error:
        digits(images.astype(np.float64))
    assert "astype" in error.value.remedy
    with pytest.raises(tenon.TenonError):
        digits(np.array(["a"]))
    with pytest.raises(tenon.InvalidArgumentError):
        digits(image=None)


# ---- shapes --------------------------------------------------------------------------------------------------------

def test_types_of_inputs_and_outputs(images):
    model = tenon.compile(DIGITS, io_types={"*": "fp16", "image": "fp32"}, golden=False)
    assert [v.dtype for v in model.inputs] == ["float32"] and {v.dtype for v in model.outputs} == {"float16"}
    wide = tenon.compile(DIGITS, golden=False)
    for narrow, exact in zip(model(images).values(), wide(images).values()):
        np.testing.assert_allclose(narrow, exact, rtol=1e-3, atol=1e-3)
    with pytest.raises(tenon.InvalidArgumentError, match="no input or output is called 'picture'"):
        tenon.compile(DIGITS, io_types={"picture": "fp16"})


def test_pins(images):
    assert tenon.compile(DIGITS, pins={"*": "fp32"}, golden=False)(images)
    for pins in ({"nosuch": "fp32"}, {"*": "fp16"}):
        with pytest.raises(tenon.InvalidArgumentError, match="--pin"):
            tenon.compile(DIGITS, pins=pins)


def test_shape_ranges(images):
    model = tenon.compile(DIGITS, shapes={"image": ("1..2..4", 1, 8, 8)})
    assert model(images[:4])["probability"].shape == (4, 10)
    with pytest.raises(tenon.InvalidArgumentError, match="image|batch"):
        model(images[:5])
    fixed = tenon.compile(DIGITS, shapes={"image": (2, 1, 8, 8)})
    assert fixed.inputs[0].shape == (2, 1, 8, 8)
    two = tenon.compile(DIGITS, shapes={"image": [(1, 1, 8, 8), ("16..32..64", 1, 8, 8)]})
    assert two(images[:1])["probability"].shape == (1, 10) and two(images[:20])["probability"].shape == (20, 10)
    with pytest.raises(tenon.InvalidArgumentError):
        two(images[:8])


def test_shapes_that_the_data_decides():
    model = tenon.compile(model_of([helper.make_node("NonZero", ["x"], ["y"])], [("x", TensorProto.FLOAT, ["n"])],
                                   [("y", TensorProto.INT64, [1, "found"])]))
    for count in (0, 3, 8):
        x = np.array([1] * count + [0] * (8 - count), np.float32)
        assert np.array_equal(model(x)["y"], [np.arange(count)])


# ---- threads -------------------------------------------------------------------------------------------------------

def busy_model():
    """Takes a good part of a second on one thread."""
    x = ("x", TensorProto.FLOAT, ["n", 512])
    rng = np.random.default_rng(0)
    weights = [onnx.numpy_helper.from_array(np.linalg.qr(rng.standard_normal((512, 512)))[0].astype(np.float32), "w")]
    names = ["x", *(f"v{i}" for i in range(11)), "y"]
    return model_of([helper.make_node("MatMul", [a, "w"], [b]) for a, b in zip(names, names[1:])], [x],
                    [("y", TensorProto.FLOAT, ["n", 512])], weights)


def test_runs_release_the_interpreter():
    model = tenon.compile(busy_model(), threads=1, golden=False)
    x = np.ones((2048, 512), np.float32)
    model(x)
    done, ticks = threading.Event(), 0

    def work():
        for _ in range(3):
            model(x)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.is_set():  # this thread gets on while the other is inside
        ticks += 1
        time.sleep(0.001)
    thread.join()
    assert ticks > 20


def test_two_threads_at_once(digits, images):
    expected = digits(images)["probability"]
    wrong = []

    def work(begin):
        for k in range(begin, begin + 60):
            batch = images[k:k + 1 + k % 3]
            if not np.allclose(digits(batch)["probability"], expected[k:k + len(batch)], atol=1e-6):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(60 * t,)) for t in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ---- errors --------------------------------------------------------------------------------------------------------

def test_errors_have_code_node_and_remedy():
    with pytest.raises(tenon.UnsupportedError) as error:
        tenon.compile(model_of([helper.make_node("StringSplit", ["x"], ["y", "n"], name="cut", delimiter="-")],
                               [("x", TensorProto.STRING, [1])],
                               [("y", TensorProto.STRING, [1, 1]), ("n", TensorProto.INT64, [1])]))
    assert error.value.code == "unsupported" and error.value.node == "cut" and error.value.remedy
    again = pickle.loads(pickle.dumps(error.value))
    assert type(again) is tenon.UnsupportedError and str(again) == str(error.value) and again.node == "cut"


@pytest.mark.parametrize("call, kind, code", [
    (lambda: tenon.compile(b"not a model"), tenon.InvalidModelError, "invalid_model"),
    (lambda: tenon.compile(b""), tenon.InvalidModelError, "invalid_model"),
    (lambda: tenon.compile("/nowhere.onnx"), FileNotFoundError, "not_found"),
    (lambda: tenon.compile(DIGITS, device="toaster"), tenon.DeviceUnavailableError, "unavailable"),
    (lambda: tenon.compile(DIGITS, precision="fp33"), tenon.TenonError, None),
    (lambda: tenon.compile(DIGITS, shapes={"imag": (1, 1, 8, 8)}), tenon.InvalidArgumentError, "invalid_argument"),
    (lambda: tenon.compile(DIGITS, shapes={"image": ("4..2", 1, 8, 8)}), ValueError, "invalid_argument"),
    (lambda: tenon.compile(DIGITS, threads=-1)(np.zeros((1, 1, 8, 8), np.float32)), ValueError, "invalid_argument"),
    (lambda: tenon.compile(3), tenon.InvalidArgumentError, "invalid_argument"),
    (lambda: tenon.load(b"not an engine"), tenon.DataLossError, "data_loss"),
    (lambda: tenon.load("/nowhere.engine"), tenon.NotFoundError, "not_found")])
def test_each_error_has_its_class(call, kind, code):
    with pytest.raises(kind) as error:
        call()
    assert isinstance(error.value, tenon.TenonError)
    assert code is None or error.value.code == code


def test_names_that_do_not_fit(digits, images):
    for feeds in ({}, {"imag": images}, {"image": images, "more": images}):
        with pytest.raises(tenon.InvalidArgumentError, match="image"):
            digits(feeds)
    with pytest.raises(tenon.InvalidArgumentError, match="image"):
        digits(np.zeros((1, 1, 8, 9), np.float32))


def test_a_build_can_be_stopped():
    seen = []
    tenon.compile(DIGITS, progress=lambda stage, done, total: seen.append(stage))
    assert "parse" in seen and "kernels" in seen
    with pytest.raises(tenon.CancelledError):
        tenon.compile(DIGITS, progress=lambda stage, done, total: stage != "kernels")
    with pytest.raises(ZeroDivisionError):
        tenon.compile(DIGITS, progress=lambda stage, done, total: 1 / 0)


def test_kernels_are_measured_and_remembered(tmp_path):
    options = {"shapes": {"image": (1, 1, 8, 8)}, "effort": 1, "budget": 20, "tuning_db": tmp_path / "tuning.txt"}
    stages = set()
    first = tenon.compile(DIGITS, **options, progress=lambda stage, done, total: stages.add(stage) or True)
    assert "tune" in stages and (tmp_path / "tuning.txt").read_text().startswith("# tenon tuning database 1")
    assert first.serialize() == tenon.compile(DIGITS, **options).serialize()
    assert any("tactics" in node for node in first.report["nodes"])
    for wrong in ({"effort": 6}, {"effort": "much"}, {"budget": -1}, {"tuning_db": 3}):
        with pytest.raises(tenon.InvalidArgumentError):
            tenon.compile(DIGITS, **wrong)


def test_workspace_is_a_limit(images):
    with pytest.raises(MemoryError) as error:
        tenon.compile(DIGITS, workspace=4096)(images)
    assert error.value.code == "out_of_memory"


# ---- engines on disk -----------------------------------------------------------------------------------------------

def test_save_and_load(digits, images, tmp_path):
    path = tmp_path / "digits.engine"
    digits.save(path)
    expected = digits(images[:5])["probability"]
    for loaded in (tenon.load(path), tenon.load(str(path)), tenon.load(digits.serialize())):
        assert loaded.inputs == digits.inputs and loaded.name == "digits"
        assert np.array_equal(loaded(images[:5])["probability"], expected)
    assert path.read_bytes() == digits.serialize() == tenon.compile(DIGITS).serialize()
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    with pytest.raises(tenon.DataLossError, match="damaged"):
        tenon.load(bytes(damaged))
    with pytest.raises(OSError):
        digits.save(tmp_path / "no such folder" / "digits.engine")


def test_metadata_travels_with_the_engine():
    model = tenon.compile(model_of([helper.make_node("Relu", ["x"], ["y"])], [("x", TensorProto.FLOAT, [1])],
                                   [("y", TensorProto.FLOAT, [1])], character="a\n漢\nb", stride="4"))
    assert tenon.load(model.serialize()).metadata == {"character": "a\n漢\nb", "stride": "4"}
    session = ort.InferenceSession(model.serialize())
    assert session.get_modelmeta().custom_metadata_map["character"].splitlines() == ["a", "漢", "b"]


# ---- ONNX Runtime's spelling -----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def session():
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(DIGITS), sess_options=options, providers=[("CPUExecutionProvider", {})])


def test_session(session, digits, images):
    expected = digits(images[:3])["probability"]
    x = {"image": images[:3]}
    assert np.array_equal(session.run(None, x)[0], expected)
    assert np.array_equal(session.run(["probability"], x, ort.RunOptions())[0], expected)
    assert session.get_providers() == ["CPUExecutionProvider"] and ort.get_device() in ("CPU", "GPU")
    assert "CPUExecutionProvider" in ort.get_available_providers()
    assert session.get_inputs()[0].shape == ["batch", 1, 8, 8] and session.get_inputs()[0].type == "tensor(float)"
    with pytest.raises(tenon.InvalidArgumentError, match="no output"):
        session.run(["nothing"], x)
    for model in (DIGITS, DIGITS.read_bytes()):
        assert np.array_equal(ort.InferenceSession(model).run(None, x)[0], expected)
    with pytest.warns(UserWarning, match="DmlExecutionProvider"):
        ort.InferenceSession(DIGITS, providers=["DmlExecutionProvider", "CPUExecutionProvider"])


def test_a_dim_without_a_name_is_none():
    model = identity(TensorProto.FLOAT, ("n", None))
    assert ort.InferenceSession(model.SerializeToString()).get_inputs()[0].shape == ["n", None]


def test_free_dimension_override():
    options = ort.SessionOptions()
    options.add_free_dimension_override_by_name("batch", 4)
    assert ort.InferenceSession(DIGITS, options).get_inputs()[0].shape == [4, 1, 8, 8]


def test_io_binding(session, digits, images):
    x = images[:2].copy()
    expected = digits(x)["probability"]
    binding = session.io_binding()
    binding.bind_cpu_input("image", x)
    binding.bind_output("probability")
    session.run_with_iobinding(binding)
    assert np.array_equal(binding.copy_outputs_to_cpu()[0], expected)
    assert np.array_equal(binding.get_outputs()[0].numpy(), expected)

    out = np.zeros((2, 10), np.float32)
    binding = session.io_binding()
    binding.bind_input("image", "cpu", 0, np.float32, x.shape, x.ctypes.data)
    binding.bind_output("probability", "cpu", 0, np.float32, out.shape, out.ctypes.data)
    session.run_with_iobinding(binding)
    assert np.array_equal(out, expected)
    x[:] = images[2:4]
    session.run_with_iobinding(binding)
    assert np.array_equal(out, digits(images[2:4])["probability"])

    value = ort.OrtValue.ortvalue_from_numpy(images[:2])
    assert value.shape() == [2, 1, 8, 8] and value.data_type() == "tensor(float)" and value.device_name() == "cpu"
    binding = session.io_binding()
    binding.bind_ortvalue_input("image", value)
    binding.bind_ortvalue_output("probability", ort.OrtValue.ortvalue_from_numpy(out))
    session.run_with_iobinding(binding)
    assert np.array_equal(binding.get_outputs()[0].numpy(), expected)
    assert np.array_equal(session.run(None, {"image": value})[0], expected)


# ---- ONNX's protocol -------------------------------------------------------------------------------------------------

def test_onnx_backend(images):
    model = onnx.load(DIGITS)
    outputs = tenon.onnx_backend.run_model(model, [images[:2]])
    assert outputs[0].shape == (2, 10) and np.array_equal(outputs["probability"], outputs[0])
    assert tenon.onnx_backend.supports_device("CPU") and not tenon.onnx_backend.supports_device("TOASTER")
    x = np.array([-1, 2], np.float32)
    assert np.array_equal(tenon.onnx_backend.run_node(helper.make_node("Relu", ["x"], ["y"]), [x])[0], [0, 2])


def test_unnamed_dims_are_independent():
    """Exporters write '?' for every dim that is free."""
    model = tenon.compile(identity(TensorProto.FLOAT, ("?", "?")))
    assert model(np.zeros((2, 5), np.float32))["y"].shape == (2, 5)
