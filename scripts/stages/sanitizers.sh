# Unit tests under the sanitizers, in clang's unoptimised builds. Address and undefined behaviour: all of them, in the build
# of the fuzz targets. Threads: the thread pool, and contexts that run at once.
stage_asan() {
  local programs=(core_test kernels_test runtime_test compiler_test api_test whole_test mutations_test)
  scripts/build fuzz "${programs[@]}" || return
  ctest --test-dir build/fuzz -j "$(nproc)" --output-on-failure --timeout 900 --no-tests=ignore -LE slow -E NOT_BUILT \
    --output-junit "$results/asan.xml" | sed -n '/Failed\|\*\*\*\|tests passed\|ERROR\|WARNING\|SUMMARY/p'
  return "${PIPESTATUS[0]}"
}

stage_tsan() {
  scripts/build tsan threads_test || return
  build/tsan/bin/threads_test --gtest_brief=1 --gtest_output="xml:$results/tsan.xml"
}
