#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Tests against programs that are not ours: the download clients that people use, Ceph's S3 gateway and a mail server, all on loopback.
# The servers of the wider tiers (PostgreSQL, ClickHouse) join here with their drivers. Closes with "N passed, N failed".
set -eu
cd "$(dirname "$0")/.."
scripts/install_deps.sh servers
[ -f build/build.ninja ] || meson setup build ${DUCKDB_DIR:+-Dduckdb=$DUCKDB_DIR} >/dev/null
scripts/quietly.sh ninja -C build
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
# What hangs is ended; the servers that it started die with it.
MILKRUN_BIN=$PWD/build/milkrun timeout --kill-after=10 "${SERVERS_SECONDS:-540}" \
    node --test --test-reporter=tap test/servers/*.test.mjs >"$log" 2>&1 || status=$?
passed=$(sed -n 's/^# pass \([0-9]*\).*/\1/p' "$log" | tail -n 1)
failed=$(sed -n 's/^# fail \([0-9]*\).*/\1/p' "$log" | tail -n 1)
[ "$status" = 0 ] || grep -vE '^ *(ok|duration_ms|---|\.\.\.|type:)' "$log" | tail -n 300
[ "$status" = 0 ] || [ "${failed:-0}" -gt 0 ] || failed=1
echo "${passed:-0} passed, ${failed:-0} failed"
exit $status
