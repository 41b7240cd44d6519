#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs each libFuzzer target for FUZZ_SECONDS (default 30) from its corpus in test/fuzz/corpus.
# Findings stay in build-fuzz/findings.
set -eu
cd "$(dirname "$0")/.."
scripts/install_deps.sh fuzz
seconds=${FUZZ_SECONDS:-30}
if [ ! -f build-fuzz/build.ninja ]; then
    CC=clang meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args=-fsanitize=fuzzer-no-link ${DUCKDB_DIR:+-Dduckdb=$DUCKDB_DIR} >/dev/null
fi
mkdir -p build-fuzz/findings
passed=0
failed=0
for target in $(sed -n "s/^  '\(fuzz_[a-z0-9_]*\)':.*/\1/p" test/fuzz/meson.build); do
    scripts/quietly.sh ninja -C build-fuzz "test/fuzz/$target"
    corpus=build-fuzz/corpus/$target
    mkdir -p "$corpus"
    if "build-fuzz/test/fuzz/$target" -max_total_time="$seconds" -max_len=4096 -timeout=10 \
        -artifact_prefix=build-fuzz/findings/ "$corpus" "test/fuzz/corpus/$target" \
        >"build-fuzz/$target.log" 2>&1; then
        passed=$((passed + 1))
        echo "$target: $(sed -n 's/^Done \([0-9]*\) runs.*/\1 runs/p' "build-fuzz/$target.log")"
    else
        failed=$((failed + 1))
        tail -n 30 "build-fuzz/$target.log"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
