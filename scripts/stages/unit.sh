# Unit tests of the release build.
stage_unit() {
  ctest --test-dir build/release -j "$(nproc)" --output-on-failure --timeout 600 ${regex:+-R "$regex"} \
    --no-tests=ignore --output-junit "$results/unit.xml" | sed -n '/Failed\|\*\*\*\|tests passed/p'
  return "${PIPESTATUS[0]}"
}
