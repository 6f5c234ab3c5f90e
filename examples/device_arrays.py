#!/usr/bin/env python3
"""Runs a network on arrays in the memory of any device, without copies through the host.

    examples/device_arrays.py [DEVICE]      cpu, cuda, cuda:1; default: a GPU where there is one
"""
import pathlib
import sys

import numpy as np

import tenon

DIGITS = pathlib.Path(__file__).resolve().parent / "digits"


def with_torch(torch, model, images, device):
    """torch's tensors in and out, on torch's stream: nobody waits until the answer is looked at."""
    image = torch.from_numpy(images).to(device)
    probability = torch.empty(len(images), 10, device=device)
    bound = model.bind(image=image, probability=probability)
    stream = torch.cuda.current_stream(device) if image.is_cuda else None
    for _ in range(3):
        bound.execute(stream)
    return probability.argmax(1).tolist()


def without(model, images, device):
    """The same with arrays of our own."""
    image = tenon.empty(images.shape, device=device)
    image.update(images)
    probability = tenon.empty((len(images), 10), device=device)
    bound = model.bind(image=image, probability=probability)
    for _ in range(3):
        bound.execute()
    return probability.numpy().argmax(1).tolist()


def main():
    has_gpu = tenon.onnxruntime.get_device() == "GPU"
    device = sys.argv[1] if len(sys.argv) > 1 else "cuda" if has_gpu else "cpu"
    test = np.load(DIGITS / "digits_test.npz")
    images, labels = test["image"][:8], test["label"][:8].tolist()
    model = tenon.compile(DIGITS / "digits.onnx", device=device)
    print(model.device)
    print("bytes for this batch:", model.memory_for(image=images.shape))
    try:
        import torch
    except ImportError:
        torch = None
    usable = torch is not None and (device == "cpu" or torch.cuda.is_available())
    found = with_torch(torch, model, images, device) if usable else without(model, images, device)
    print("found", found, "with torch" if usable else "with arrays of our own")
    print("right", labels)
    return 0 if sum(a == b for a, b in zip(found, labels)) >= 7 else 1


if __name__ == "__main__":
    sys.exit(main())
