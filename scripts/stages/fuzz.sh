# A smoke run of every fuzz target: its stored inputs, then some seconds of new ones. Longer runs: docs/testing.md.
fuzz_seconds=${TENON_FUZZ_SECONDS:-10}

stage_fuzz() {
  scripts/build fuzz fuzz_targets || return
  local target name seeds failed=0 cases=""
  for target in build/fuzz/bin/*_fuzz; do
    [ -x "$target" ] || continue
    name=$(basename "$target")
    seeds=tests/fuzz/$name
    mkdir -p "build/fuzz/corpus/$name"
    if "$target" -max_total_time="$fuzz_seconds" -rss_limit_mb=2048 -timeout=10 -verbosity=0 -print_final_stats=1 \
      -artifact_prefix="build/fuzz/$name-" "build/fuzz/corpus/$name" $([ -d "$seeds" ] && echo "$seeds") \
      >"$results/$name.log" 2>&1; then
      cases+="<testcase classname=\"fuzz\" name=\"$name\"/>"
      echo "$name: $(sed -n 's/stat::number_of_executed_units: *//p' "$results/$name.log") inputs, no finding"
    else
      cases+="<testcase classname=\"fuzz\" name=\"$name\"><failure/></testcase>"
      failed=1
      tail -40 "$results/$name.log"
    fi
  done
  [ -n "$cases" ] || echo "no fuzz targets"
  echo "<testsuite>$cases</testsuite>" > "$results/fuzz.xml"
  return $failed
}
