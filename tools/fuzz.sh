#!/bin/sh
# Runs every fuzz target for a while on its saved corpus: tools/fuzz.sh [SECONDS each] [TARGET...]
# Findings stay in build-fuzz/findings; new inputs are not added to the saved corpus by themselves.
set -eu
seconds=${1:-300}
[ $# -gt 0 ] && shift
CC=clang-14 CXX=clang++-14 tools/build.sh build-fuzz -Dfuzz=true -Db_sanitize=address,undefined "-Dc_args=-fsanitize=fuzzer-no-link -Wno-double-promotion -Wno-string-concatenation" -Db_lundef=false \
    -Djemalloc=false
mkdir -p build-fuzz/findings
targets=${*:-$(cd build-fuzz/test && ls | sed -n 's/^fuzz_\([a-z0-9_]*\)$/\1/p')}
status=0
for t in $targets; do
    mkdir -p "build-fuzz/corpus/$t"
    if build-fuzz/test/"fuzz_$t" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
        -artifact_prefix=build-fuzz/findings/"$t"- "build-fuzz/corpus/$t" "test/fuzz/corpus/$t" >"build-fuzz/$t.log" 2>&1; then
        echo "$t: $(sed -n 's/^stat::number_of_executed_units: *//p' "build-fuzz/$t.log") runs, no finding"
    else
        echo "$t: FINDING, see build-fuzz/$t.log and build-fuzz/findings"
        status=1
    fi
done
exit $status
