# Python tests: models and graphs against ONNX Runtime, ONNX's own suite, the package itself, the program's exit codes.
stage_python() {
  local folders=() chosen=() folder
  for folder in tests/python python/tests; do
    [ -d "$folder" ] && folders+=("$folder")
  done
  if [ ${#folders[@]} -eq 0 ]; then
    echo "no Python tests"
    return
  fi
  if [ -n "$regex" ]; then
    mapfile -t chosen < <("$python" -m pytest -q --collect-only "${folders[@]}" 2>/dev/null | grep :: | grep -E -- "$regex")
    if [ ${#chosen[@]} -eq 0 ]; then
      echo "no Python test's name matches $regex"
      return
    fi
    folders=("${chosen[@]}")
  fi
  "$python" -m pytest -q -rs --durations=5 --junitxml="$results/python.xml" "${folders[@]}"
}
