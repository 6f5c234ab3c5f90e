"""The project's own small model, examples/digits: what its session says of itself, its answers, its decisions."""
import pathlib

import numpy as np
import pytest

from conftest import assert_agree, ort_session, tenon_session

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "examples/digits"


@pytest.fixture(scope="module")
def session():
    return tenon_session(FOLDER / "digits.onnx")


def test_inputs_and_outputs_are_named_as_in_onnxruntime(session):
    theirs = ort_session(FOLDER / "digits.onnx")
    for values, expected in ((session.get_inputs(), theirs.get_inputs()),
                             (session.get_outputs(), theirs.get_outputs())):
        assert [(v.name, v.type, v.shape) for v in values] == [(v.name, v.type, v.shape) for v in expected]


@pytest.mark.parametrize("batch", [1, 3, 360])
def test_agrees_with_onnxruntime(session, batch):
    images = np.load(FOLDER / "digits_test.npz")["image"][:batch]
    assert_agree(["probability"], session.run(None, {"image": images}),
                 ort_session(FOLDER / "digits.onnx").run(None, {"image": images}))


def test_reads_digits(session):
    data = np.load(FOLDER / "digits_test.npz")
    chosen = session.run(["probability"], {"image": data["image"]})[0].argmax(1)
    assert (chosen == data["label"]).mean() > 0.99
