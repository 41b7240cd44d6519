#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Tests against programs that are not ours. On the embedded tier these are the download clients that people
# use; the servers of the wider tiers (PostgreSQL, ClickHouse, S3, SMTP) join here with their drivers.
set -eu
cd "$(dirname "$0")/.."
scripts/install_deps.sh servers
[ -f build/build.ninja ] || meson setup build ${DUCKDB_DIR:+-Dduckdb=$DUCKDB_DIR} >/dev/null
scripts/quietly.sh ninja -C build
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
MILKRUN_BIN=$PWD/build/milkrun node --test --test-reporter=tap test/servers/*.test.mjs >"$log" 2>&1 || status=$?
[ "$status" = 0 ] || cat "$log"
echo "$(sed -n 's/^# pass \([0-9]*\).*/\1/p' "$log" | tail -n 1) passed, $(sed -n 's/^# fail \([0-9]*\).*/\1/p' "$log" | tail -n 1) failed"
exit $status
