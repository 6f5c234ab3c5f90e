"""Each trained model of the shared folder: against its stored data and ONNX Runtime, and its decisions on real data."""
import csv
import gzip
import json

import numpy as np
import onnx
import pytest
from PIL import Image

import inputs
from conftest import assert_agree, ort_session, tenon_session

REFUSED = "supres-espcn"
# Where the answer is not float32 arithmetic all the way, rounding decides. fp16 activations have 11 bits (a rounding
# is 5e-4), and ONNX Runtime on a CPU keeps float32 between the layers of such a network while Tenon rounds after each,
# as the file says; the stored answer agrees to 1.2e-3. An int8 network turns a difference in the last bit into a whole step of its grid now and then: ONNX
# Runtime with and without its optimisations differs from itself by 1e-2 on this model, and from the stored float64
# answer by 3e-2.
# The file classifier computes variances as E[x^2] - E[x]^2, which cancels: its last layers keep three or four digits of
# float32, and ONNX Runtime itself is 2e-4 from a float64 run. Its decisions are compared as well, below.
TOLERANCE = {"magika-v3.3": 1e-3, "squeezenet1.1-fp16": 4e-3, "mobilenetv2-qdq-int8": 5e-2}


def model_path(shared, name):
    return shared / "models" / name / "model.onnx"


def for_onnxruntime(path, name):
    """The model as ONNX Runtime takes it."""
    if name != "llama-aidreams260k":
        return path
    # Its scalars have shape [1], so that Slice gets starts of shape [1, 1]; ONNX Runtime insists on a vector.
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name in ("s0", "s1", "s2"):
            del tensor.dims[:]
    return model.SerializeToString()


@pytest.fixture(scope="module")
def model(shared, model_name):
    if model_name == REFUSED:
        pytest.skip("uses custom operators: test_custom_operators_are_refused")
    path = model_path(shared, model_name)
    return model_name, path, inputs.Inputs(path), tenon_session(path)


def test_stored_data(model):
    name, path, given, ours = model
    stored, expected = inputs.stored_data(path)
    if stored is None:
        pytest.skip("no stored data")
    assert_agree([o.name for o in ours.get_outputs()], ours.run(None, dict(zip(given.names, stored))), expected,
                 TOLERANCE.get(name, 1e-4))


@pytest.mark.parametrize("batch", [1, 3])
def test_agrees_with_onnxruntime(model, batch):
    name, path, given, ours = model
    if batch != 1 and not given.batch_is_free():
        pytest.skip("the batch is fixed")
    feeds = given.draw(batch, seed=batch)
    theirs = ort_session(for_onnxruntime(path, name))
    assert_agree([o.name for o in ours.get_outputs()], ours.run(None, feeds), theirs.run(None, feeds),
                 TOLERANCE.get(name, 1e-4))


def test_custom_operators_are_refused(shared):
    path = model_path(shared, REFUSED)
    custom = [n for n in onnx.load(path).graph.node if n.domain not in ("", "ai.onnx")]
    assert custom
    with pytest.raises(Exception) as refusal:
        tenon_session(path)
    for node in custom:
        assert node.op_type in str(refusal.value)
        assert (node.name or node.output[0]) in str(refusal.value)


def test_llama_decodes_step_by_step(shared):
    """Prefill and then one token at a time gives the same tokens as ONNX Runtime."""
    path = model_path(shared, "llama-aidreams260k")

    def tokens(session):
        given = inputs.Inputs(path)
        feeds, found = given.draw(1, seed=5), []
        for _ in range(12):
            logits, *past = session.run(None, feeds)
            found.append(int(logits[0, -1].argmax()))
            feeds = dict(zip(given.names, [np.array([[found[-1]]], np.int64), *past]))
        return found

    assert tokens(tenon_session(path)) == tokens(ort_session(for_onnxruntime(path, "llama-aidreams260k")))


def scores(session, batches):
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: batch})[0].reshape(len(batch), -1) for batch in batches])


def assert_same_decisions(path, batches):
    """Returns the classes chosen."""
    batches = list(batches)
    ours, theirs = scores(tenon_session(path), batches).argmax(1), scores(ort_session(path), batches).argmax(1)
    assert np.array_equal(ours, theirs), f"decisions differ at {np.flatnonzero(ours != theirs)[:20]}"
    return ours


def cifar10(shared, file):
    records = np.fromfile(shared / "data/cifar10" / file, np.uint8).reshape(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32), records[:, 0]


# The accuracies are those of the folder's README, found there with another implementation.
@pytest.mark.parametrize("file, name, right", [
    ("test_jpeg_2000.bin", "cifar10-tutorial-cnn", 0.639), ("test_raw_100.bin", "cifar10-tutorial-cnn", 0.680),
    ("test_jpeg_2000.bin", "mlperf-tiny-resnet8", 0.764), ("test_raw_100.bin", "mlperf-tiny-resnet8", 0.880)])
def test_cifar10(shared, file, name, right):
    images, labels = cifar10(shared, file)
    if name == "cifar10-tutorial-cnn":
        images = (images / 255 - 0.5) / 0.5
    chosen = assert_same_decisions(model_path(shared, name), np.split(images, len(images) // 100))
    assert abs((chosen == labels).mean() - right) < 0.001


def test_mnist(shared):
    folder = shared / "data/mnist-t10k"
    images = np.frombuffer(gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
    labels = np.frombuffer(gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    images = images.reshape(-1, 1, 1, 28, 28)[:2000].astype(np.float32)  # the model's batch is 1
    chosen = assert_same_decisions(model_path(shared, "mnist-8"), images)
    assert abs((chosen == labels[:2000]).mean() - 0.984) < 0.001


def photographs(shared, every):
    """Some of the ImageNet photographs, 224 x 224 from the centre: ([n, 3, 224, 224] RGB 0-255, classes)."""
    folder = shared / "data/imagenet1k-sample"
    with open(folder / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))[::every]

    def centre(row):
        image = Image.open(folder / "images" / row["file"]).convert("RGB")
        left, top = (image.width - 224) // 2, (image.height - 224) // 2
        return np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32).transpose(2, 0, 1)

    return np.stack([centre(row) for row in rows]), np.array([int(row["class_index"]) for row in rows])


def test_imagenet_mobilenet(shared):
    images, labels = photographs(shared, every=20)
    mean = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
    deviation = np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]
    chosen = assert_same_decisions(model_path(shared, "mobilenetv2-fp32-dq"),
                                   np.split((images / 255 - mean) / deviation, 10))
    assert (chosen == labels).mean() > 0.6


def test_imagenet_squeezenet(shared):
    images, labels = photographs(shared, every=20)
    images = images[:, ::-1] - np.array([104, 117, 123], np.float32)[:, None, None]  # BGR
    chosen = assert_same_decisions(model_path(shared, "squeezenet1.1-fp32"), images[:, None])  # batch 1
    assert (chosen == labels).mean() > 0.4


def test_magika(shared):
    known = json.loads((shared / "models/magika-v3.3/config.min.json").read_text())["target_labels_space"]
    files = np.load(shared / "data/magika/inputs_by_path.npz")
    seen = files["bytes"].astype(np.int32)
    chosen = assert_same_decisions(model_path(shared, "magika-v3.3"), np.split(seen, 6))
    assert [known[i] for i in chosen] == list(files["ref_label"])
