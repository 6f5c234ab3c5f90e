#!/usr/bin/env bash
# Checks and times Tenon on a GPU: ONNX's node tests, networks against ONNX Runtime's fp32 answers (the zoo's graphs, one
# engine of each for several shapes, trained models and their decisions on images), speed and memory beside PyTorch; compute-sanitizer, where
# asked for, takes the cases of `nodes`. Needs the driver, NVRTC, a python3 with numpy, onnx, onnxruntime and torch, and
# what scripts/build made (build/release/bin); ends by itself within --minutes.
#
#   bench/gpu.sh --shared ../shared --out FOLDER [--only REGEX] [--minutes 9]
#                [--stages doctor,nodes,zoo,models,speed,sanitizer]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec python3 bench/gpu.py "$@"
