"""Reads the text of a scanned page with Tenon in the place of ONNX Runtime.

    .venv/bin/python examples/ocr/read_page.py [--image FILE] [--threads N]

The package rapidocr-onnxruntime carries three trained networks (PP-OCRv4: finding text, its direction, reading it)
and the work around them, and calls ONNX Runtime. Here its session classes are exchanged for those of
tenon.onnxruntime, which are spelled alike; nothing else changes. The page is read by both, then each network is
compared on the arrays that it got while reading. `./scripts/demo` does the set-up and runs this.
"""
import argparse
import pathlib
import sys
import time

import cv2
import rapidocr_onnxruntime
import rapidocr_onnxruntime.utils.infer_engine as infer_engine

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from side_by_side import side_by_side  # noqa: E402

NETWORKS = {"det": "finds lines of text", "cls": "tells which way up a line is", "rec": "reads a line"}


def exchange_runtime(runtime):
    """What `import onnxruntime` would have given the package."""
    for name in ("InferenceSession", "SessionOptions", "GraphOptimizationLevel", "get_available_providers", "get_device"):
        setattr(infer_engine, name, getattr(runtime, name))


def remembering(runtime, seen):
    """The runtime's session, which also keeps the first arrays that each model is given: {path: feeds}."""

    class Session(runtime.InferenceSession):
        def __init__(self, path, *arguments, **options):
            super().__init__(path, *arguments, **options)
            self.path = pathlib.Path(path)

        def run(self, names, feeds, *arguments):
            seen.setdefault(self.path, dict(feeds))
            return super().run(names, feeds, *arguments)

    return Session


def read(image, threads):
    """Lines of text, and seconds."""
    reader = rapidocr_onnxruntime.RapidOCR(intra_op_num_threads=threads)
    begin = time.perf_counter()
    found, _ = reader(image)
    return [text for _, text, _ in found or []], time.perf_counter() - begin


def page(path):
    if path:
        image = cv2.imread(str(path))
        if image is None:
            sys.exit(f"{path} is no image")
        return image
    import skimage.data
    return cv2.resize(skimage.data.page(), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)


def main():
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--image", type=pathlib.Path, help="default: the scanned page that scikit-image carries")
    cli.add_argument("--threads", type=int, default=1)
    options = cli.parse_args()
    image = page(options.image)

    import onnxruntime
    import tenon.onnxruntime

    exchange_runtime(onnxruntime)
    expected, their_time = read(image, options.threads)
    seen = {}
    exchange_runtime(tenon.onnxruntime)
    infer_engine.InferenceSession = remembering(tenon.onnxruntime, seen)
    lines, our_time = read(image, options.threads)

    print("\n".join(lines))
    same = "the same text" if lines == expected else "ANOTHER text: " + " / ".join(expected)
    print(f"\nread in {our_time:.2f} s with Tenon, {their_time:.2f} s with ONNX Runtime, {same}")
    for path, feeds in seen.items():
        what = next((text for key, text in NETWORKS.items() if f"_{key}_" in path.name), "")
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in feeds.items())
        print(f"\n{path.name}: {what}; {shapes}")
        side_by_side(path, feeds, options.threads)
    sys.exit(0 if lines == expected else 5)


if __name__ == "__main__":
    main()
