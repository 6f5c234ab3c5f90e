# Unit tests under the sanitizers. Address and undefined behaviour: all of them, in clang's build that the fuzz targets use
# too. Threads: those whose name speaks of several.
sanitized() {  # STAGE, PRESET, the test programs that it takes, ctest's options
  local stage=$1 preset=$2 programs=$3
  shift 3
  # shellcheck disable=SC2086
  scripts/build "$preset" $programs || return
  ctest --test-dir "build/$preset" -j "$(nproc)" --output-on-failure --timeout 900 --no-tests=ignore "$@" \
    --output-junit "$results/$stage.xml" | sed -n '/Failed\|\*\*\*\|tests passed\|ERROR\|WARNING\|SUMMARY/p'
  return "${PIPESTATUS[0]}"
}

stage_asan() { sanitized asan fuzz "core_test kernels_test runtime_test compiler_test api_test whole_test mutations_test" -LE slow -E NOT_BUILT; }

stage_tsan() { sanitized tsan tsan "core_test runtime_test" -R 'Thread|Pool|Concurren|Context|Parallel' -E NOT_BUILT; }
