# Unit tests under the sanitizers: address and undefined behaviour for all of them, threads for those that use several.
sanitized() {  # PRESET, the test programs that it takes, ctest's options
  local preset=$1 programs=$2
  shift 2
  # shellcheck disable=SC2086
  scripts/build "$preset" $programs || return
  ctest --test-dir "build/$preset" -j "$(nproc)" --output-on-failure --timeout 900 --no-tests=ignore "$@" \
    --output-junit "$results/$preset.xml" | sed -n '/Failed\|\*\*\*\|tests passed\|ERROR\|WARNING\|SUMMARY/p'
  return "${PIPESTATUS[0]}"
}

stage_asan() { sanitized asan "core_test kernels_test runtime_test compiler_test api_test whole_test" -LE slow; }

stage_tsan() { sanitized tsan "core_test runtime_test" -R 'Thread|Pool|Concurren|Context|Parallel'; }
