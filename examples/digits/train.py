"""Trains a small convolutional network on scikit-learn's handwritten digits and writes it as ONNX.

    python examples/digits/train.py [--out FOLDER]

Writes digits.onnx and digits_test.npz (the images and labels that training never saw). Numpy only: the layers with
their gradients are below, plain stochastic gradient descent with momentum trains them. The seed is fixed, so the same
package versions on the same kind of machine give the same file. Needs scikit-learn: scripts/setup --demo.
"""
import argparse
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

EPSILON = 1e-5


def windows(x):
    """The 3x3 neighbourhoods of a zero-padded image: [N, C, H, W] -> [N, H, W, C * 9]."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return seen.transpose(0, 2, 3, 1, 4, 5).reshape(x.shape[0], *x.shape[2:], -1)


class Conv:
    """A 3x3 convolution of stride 1 that keeps the image's size; no bias, the normalisation after it has one."""

    def __init__(self, rng, inputs, outputs):
        self.params = {"w": rng.normal(0, np.sqrt(2 / (inputs * 9)), (outputs, inputs, 3, 3))}

    def forward(self, x, training):
        self.shape, self.columns = x.shape, windows(x)
        w = self.params["w"]
        return (self.columns @ w.reshape(len(w), -1).T).transpose(0, 3, 1, 2)

    def backward(self, dy):
        w = self.params["w"]
        rows = dy.transpose(0, 2, 3, 1)
        self.grads = {"w": np.einsum("nhwo,nhwk->ok", rows, self.columns, optimize=True).reshape(w.shape)}
        # The gradient of a same-size convolution is the convolution with the kernel turned by 180 degrees.
        turned = w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
        return (windows(dy) @ turned.reshape(len(turned), -1).T).transpose(0, 3, 1, 2)


class BatchNorm:
    """Per channel: scale * (x - mean) / sqrt(variance + epsilon) + bias; running statistics serve inference."""

    def __init__(self, channels):
        self.params = {"scale": np.ones(channels), "bias": np.zeros(channels)}
        self.mean, self.var = np.zeros(channels), np.ones(channels)

    def forward(self, x, training):
        if training:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
            self.mean += 0.1 * (mean - self.mean)
            self.var += 0.1 * (var - self.var)
        else:
            mean, var = self.mean, self.var
        self.inverse = 1 / np.sqrt(var + EPSILON)
        self.normal = (x - mean[:, None, None]) * self.inverse[:, None, None]
        return self.normal * self.params["scale"][:, None, None] + self.params["bias"][:, None, None]

    def backward(self, dy):
        self.grads = {"scale": (dy * self.normal).sum((0, 2, 3)), "bias": dy.sum((0, 2, 3))}
        d = dy * self.params["scale"][:, None, None]
        along = self.normal * (d * self.normal).mean((0, 2, 3), keepdims=True)
        return (d - d.mean((0, 2, 3), keepdims=True) - along) * self.inverse[:, None, None]


class Relu:
    params = {}

    def forward(self, x, training):
        self.positive = x > 0
        return x * self.positive

    def backward(self, dy):
        return dy * self.positive


class MaxPool:
    """The largest of each 2x2 block."""

    params = {}

    def forward(self, x, training):
        n, c, h, w = x.shape
        blocks = x.reshape(n, c, h // 2, 2, w // 2, 2)
        y = blocks.max((3, 5))
        self.largest = blocks == y[:, :, :, None, :, None]
        return y

    def backward(self, dy):
        n, c, h, w = dy.shape
        return (self.largest * dy[:, :, :, None, :, None]).reshape(n, c, 2 * h, 2 * w)


class Dense:
    """Flattens and multiplies: x @ w.T + b."""

    def __init__(self, rng, inputs, outputs):
        self.params = {"w": rng.normal(0, np.sqrt(1 / inputs), (outputs, inputs)), "b": np.zeros(outputs)}

    def forward(self, x, training):
        self.shape, self.flat = x.shape, x.reshape(len(x), -1)
        return self.flat @ self.params["w"].T + self.params["b"]

    def backward(self, dy):
        self.grads = {"w": dy.T @ self.flat, "b": dy.sum(0)}
        return (dy @ self.params["w"]).reshape(self.shape)


def softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def forward(layers, x, training=False):
    for layer in layers:
        x = layer.forward(x, training)
    return x


def train(layers, images, labels, rng, epochs=30, batch=32, momentum=0.9):
    speed = [{name: np.zeros_like(value) for name, value in layer.params.items()} for layer in layers]
    for epoch in range(epochs):
        rate = 0.05 * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
        order = rng.permutation(len(images))
        for begin in range(0, len(order), batch):
            chosen = order[begin : begin + batch]
            d = softmax(forward(layers, images[chosen], training=True))
            d[np.arange(len(chosen)), labels[chosen]] -= 1
            d /= len(chosen)
            for layer in reversed(layers):
                d = layer.backward(d)
            for layer, v in zip(layers, speed):
                for name in layer.params:
                    v[name] = momentum * v[name] - rate * (layer.grads[name] + 1e-4 * layer.params[name])
                    layer.params[name] += v[name]


def to_onnx(layers):
    nodes, weights = [], []

    def weight(name, value):
        weights.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def node(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    x = node("Mul", ["image", weight("grey_level", 1 / 16)], "scaled")
    block = 0
    for layer in layers:
        if isinstance(layer, Conv):
            block += 1
            w = weight(f"conv{block}.weight", layer.params["w"])
            x = node("Conv", [x, w], f"conv{block}", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        elif isinstance(layer, BatchNorm):
            values = {**layer.params, "mean": layer.mean, "var": layer.var}
            names = [weight(f"norm{block}.{name}", value) for name, value in values.items()]
            x = node("BatchNormalization", [x, *names], f"norm{block}", epsilon=EPSILON)
        elif isinstance(layer, Relu):
            x = node("Relu", [x], f"relu{block}")
        elif isinstance(layer, MaxPool):
            x = node("MaxPool", [x], f"pool{block}", kernel_shape=[2, 2], strides=[2, 2])
        else:
            x = node("Flatten", [x], "flat")
            names = [weight("dense.weight", layer.params["w"]), weight("dense.bias", layer.params["b"])]
            x = node("Gemm", [x, *names], "logits", transB=1)
    node("Softmax", [x], "probability", axis=-1)

    graph = helper.make_graph(
        nodes, "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["batch", 10])],
        weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9,
                              producer_name="examples/digits/train.py")
    onnx.checker.check_model(model, full_check=True)
    return model


def main():
    here = pathlib.Path(__file__).resolve().parent
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--out", type=pathlib.Path, default=here, help="folder (default: beside this script)")
    out = cli.parse_args().out

    from sklearn.datasets import load_digits
    digits = load_digits()
    images = digits.images[:, None]  # [N, 1, 8, 8], grey levels 0 to 16
    labels = digits.target
    rng = np.random.default_rng(7)
    order = rng.permutation(len(images))
    test, rest = order[:360], order[360:]

    layers = [Conv(rng, 1, 16), BatchNorm(16), Relu(), MaxPool(),
              Conv(rng, 16, 32), BatchNorm(32), Relu(), MaxPool(),
              Dense(rng, 32 * 2 * 2, 10)]
    train(layers, images[rest] / 16, labels[rest], rng)
    right = forward(layers, images[test] / 16).argmax(1) == labels[test]

    out.mkdir(parents=True, exist_ok=True)
    onnx.save(to_onnx(layers), out / "digits.onnx")
    np.savez_compressed(out / "digits_test.npz", image=images[test].astype(np.float32), label=labels[test])
    print(f"{right.sum()} of {len(test)} test images right ({right.mean():.1%}); "
          f"digits.onnx {(out / 'digits.onnx').stat().st_size} bytes, "
          f"digits_test.npz {(out / 'digits_test.npz').stat().st_size} bytes")


if __name__ == "__main__":
    main()
