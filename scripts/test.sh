#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every test that needs no other server: unit tests under AddressSanitizer and UBSan, those with threads
# under ThreadSanitizer, golden files read by independent readers, end-to-end tests of the real binary.
# Closes with "N passed, N failed".
set -eu
cd "$(dirname "$0")/.."
scripts/install_deps.sh test
MESON_FLAGS="${DUCKDB_DIR:+-Dduckdb=$DUCKDB_DIR}"

configure() { # directory, options...
    directory=$1
    shift
    [ -f "$directory/build.ninja" ] || meson setup "$directory" $MESON_FLAGS "$@" >/dev/null
}
configure build
# Warnings are errors in the plain builds; sanitizers confuse some of them.
configure build-asan -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debug -Dwerror=false
configure build-tsan -Db_sanitize=thread -Db_lundef=false -Dbuildtype=debug -Dwerror=false -Doptimization=1
scripts/quietly.sh ninja -C build
scripts/quietly.sh ninja -C build-asan
# Tests whose code has threads; engines are not instrumented, so what runs queries stays out.
thread_tests="base/thread_test db/db_test db/turnstile_test store/store_conform_test
net/http_server_test net/http_stream_test compress/compress_conform_test
lake/ingest_log_test lake/ingest_commit_test lake/ingest_full_test worker/heartbeat_test api/api_executor_test api/api_wait_test api/api_branch_test api/api_ingest_test notify/notifier_test"
scripts/quietly.sh ninja -C build-tsan $(printf 'test/unit/%s ' $thread_tests)

log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0
failed=0
count() { # label, passed, failed
    echo "$1: $2 passed, $3 failed"
    passed=$((passed + $2))
    failed=$((failed + $3))
}

# Findings end a test at once.
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1

run_meson() { # label, directory, further arguments
    label=$1
    directory=$2
    shift 2
    status=0
    meson test -C "$directory" --no-rebuild --print-errorlogs "$@" >"$log" 2>&1 || status=$?
    ok=$(sed -n 's/^Ok: *\([0-9]*\).*/\1/p' "$log")
    bad=$(($(sed -n 's/^Fail: *\([0-9]*\).*/\1/p' "$log") + $(sed -n 's/^Timeout: *\([0-9]*\).*/\1/p' "$log")))
    [ "$status" = 0 ] || cat "$log"
    [ "$status" = 0 ] || [ "$bad" -gt 0 ] || bad=1
    count "$label" "${ok:-0}" "$bad"
}
run_meson "unit (asan+ubsan)" build-asan
run_meson "threads (tsan)" build-tsan $(for name in $thread_tests; do basename "$name"; done)

run_node() { # label, files...
    label=$1
    shift
    status=0
    node --test --test-reporter=tap "$@" >"$log" 2>&1 || status=$?
    ok=$(sed -n 's/^# pass \([0-9]*\).*/\1/p' "$log" | tail -n 1)
    bad=$(sed -n 's/^# fail \([0-9]*\).*/\1/p' "$log" | tail -n 1)
    [ "$status" = 0 ] || grep -vE '^ *(ok|duration_ms|---|\.\.\.|type:)' "$log" | tail -n 200
    [ "$status" = 0 ] || [ "${bad:-0}" -gt 0 ] || bad=1
    count "$label" "${ok:-0}" "${bad:-0}"
}
export MILKRUN_BIN=$PWD/build/milkrun
run_node "end to end" test/e2e/*.test.mjs

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
