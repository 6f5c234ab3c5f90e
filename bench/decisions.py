"""Real data on which trained classifiers decide: arrays as each network takes them, and the classes on the labels.

`folder` is the shared folder, with models/ and data/ in it. Tests and the GPU's check share this.
"""
import csv
import gzip
import json

import numpy as np


def cifar10(folder, file):
    records = np.fromfile(folder / "data/cifar10" / file, np.uint8).reshape(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32), records[:, 0]


def cifar10_normalised(folder, file):
    images, labels = cifar10(folder, file)
    return (images / 255 - 0.5) / 0.5, labels


def mnist(folder):
    """The first 2,000; the network's batch is 1."""
    data = folder / "data/mnist-t10k"
    images = np.frombuffer(gzip.decompress((data / "t10k-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
    labels = np.frombuffer(gzip.decompress((data / "t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    return images.reshape(-1, 1, 28, 28)[:2000].astype(np.float32), labels[:2000]


def photographs(folder, every):
    """Some of the ImageNet photographs, 224 x 224 from the centre: ([n, 3, 224, 224] RGB 0-255, classes)."""
    from PIL import Image
    data = folder / "data/imagenet1k-sample"
    with open(data / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))[::every]

    def centre(row):
        image = Image.open(data / "images" / row["file"]).convert("RGB")
        left, top = (image.width - 224) // 2, (image.height - 224) // 2
        return np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32).transpose(2, 0, 1)

    return np.stack([centre(row) for row in rows]), np.array([int(row["class_index"]) for row in rows])


def imagenet_mobilenet(folder, every=20):
    images, labels = photographs(folder, every)
    mean = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
    deviation = np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]
    return (images / 255 - mean) / deviation, labels


def imagenet_squeezenet(folder, every=20):
    images, labels = photographs(folder, every)
    return images[:, ::-1] - np.array([104, 117, 123], np.float32)[:, None, None], labels  # BGR


def magika(folder):
    known = json.loads((folder / "models/magika-v3.3/config.min.json").read_text())["target_labels_space"]
    files = np.load(folder / "data/magika/inputs_by_path.npz")
    return files["bytes"].astype(np.int32), np.array([known.index(label) for label in files["ref_label"]])


# Network, its data, how many of them go in at once, and the share that is classified right, give or take: from the shared
# folder's README, found there with another implementation; wider where only some of the images are taken here.
CLASSIFIERS = [
    ("cifar10-tutorial-cnn", lambda f: cifar10_normalised(f, "test_jpeg_2000.bin"), 100, (0.639, 0.001)),
    ("cifar10-tutorial-cnn", lambda f: cifar10_normalised(f, "test_raw_100.bin"), 100, (0.680, 0.001)),
    ("mlperf-tiny-resnet8", lambda f: cifar10(f, "test_jpeg_2000.bin"), 100, (0.764, 0.001)),
    ("mlperf-tiny-resnet8", lambda f: cifar10(f, "test_raw_100.bin"), 100, (0.880, 0.001)),
    ("mnist-8", mnist, 1, (0.984, 0.001)),
    ("mobilenetv2-fp32-dq", imagenet_mobilenet, 5, (0.780, 0.15)),
    ("squeezenet1.1-fp32", imagenet_squeezenet, 1, (0.612, 0.15)),
    ("magika-v3.3", magika, 34, (1.0, 0.0)),
]
