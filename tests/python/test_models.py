"""Each trained model of the shared folder: against its stored data and ONNX Runtime, and its decisions on real data."""
import numpy as np
import onnx
import pytest

import decisions
import inputs
from conftest import assert_agree, ort_session, tenon_session

REFUSED = "supres-espcn"


def model_path(shared, name):
    return shared / "models" / name / "model.onnx"


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
                 inputs.MODEL_TOLERANCE.get(name, 1e-4))


@pytest.mark.parametrize("batch", [1, 3])
def test_agrees_with_onnxruntime(model, batch):
    name, path, given, ours = model
    if batch != 1 and not given.batch_is_free():
        pytest.skip("the batch is fixed")
    feeds = given.draw(batch, seed=batch)
    theirs = ort_session(inputs.for_onnxruntime(path))
    assert_agree([o.name for o in ours.get_outputs()], ours.run(None, feeds), theirs.run(None, feeds),
                 inputs.MODEL_TOLERANCE.get(name, 1e-4))


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

    assert tokens(tenon_session(path)) == tokens(ort_session(inputs.for_onnxruntime(path)))


def scores(session, batches):
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: batch})[0].reshape(len(batch), -1) for batch in batches])


@pytest.mark.parametrize("name, data, at_once, right", decisions.CLASSIFIERS)
def test_decisions(shared, name, data, at_once, right):
    path = model_path(shared, name)
    seen, labels = data(shared)
    batches = np.split(seen, len(seen) // at_once)
    ours, theirs = scores(tenon_session(path), batches).argmax(1), scores(ort_session(path), batches).argmax(1)
    assert np.array_equal(ours, theirs), f"decisions differ at {np.flatnonzero(ours != theirs)[:20]}"
    share, give_or_take = right
    assert abs((ours == labels).mean() - share) <= give_or_take
