#!/usr/bin/env bash
# Checks and times Tenon on a GPU: ONNX's node tests, the zoo's graphs against ONNX Runtime's fp32 answers, speed beside
# PyTorch. Needs the driver, NVRTC, a python3 with numpy, onnx, onnxruntime and torch, and what scripts/build made
# (build/release/bin); ends by itself within --minutes.
#
#   bench/gpu.sh --zoo FOLDER --out FOLDER [--only REGEX] [--minutes 9] [--stages doctor,nodes,zoo,speed]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec python3 bench/gpu.py "$@"
