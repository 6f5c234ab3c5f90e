# Unit tests under the sanitizers: address and undefined behaviour for all of them, threads for those that use several.
sanitized() {  # PRESET, ctest's options
  local preset=$1
  shift
  scripts/build "$preset" || return
  ctest --test-dir "build/$preset" -j "$(nproc)" --output-on-failure --timeout 900 --no-tests=ignore "$@" \
    --output-junit "$results/$preset.xml" | sed -n '/Failed\|\*\*\*\|tests passed\|ERROR\|WARNING\|SUMMARY/p'
  return "${PIPESTATUS[0]}"
}

stage_asan() { sanitized asan -LE slow; }

stage_tsan() { sanitized tsan -R 'Thread|Pool|Concurren|Context|Parallel'; }
