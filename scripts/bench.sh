#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the peers (as root or through sudo), builds what is measured, and runs test/bench/bench.mjs.
# See there for the variables; BENCH_ROWS=100000 BENCH_ROUNDS=1 is a quick try.
set -eu
cd "$(dirname "$0")/.."

packages="postgresql pigz nginx-light wrk curl"
missing=""
for package in $packages; do
    case "$package" in
    nginx-light) [ -x /usr/sbin/nginx ] && continue ;;
    postgresql) command -v pg_config >/dev/null 2>&1 && [ -x "$(pg_config --bindir)/initdb" ] && continue ;;
    *) command -v "$package" >/dev/null 2>&1 && continue ;;
    esac
    missing="$missing $package"
done
if [ -n "$missing" ]; then
    as_root=""
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || { echo "please install:$missing" >&2; exit 1; }
        as_root="sudo"
    fi
    echo "installing:$missing" >&2
    $as_root apt-get update -qq >/dev/null
    # Nothing is to be started by the packages: the benchmark runs servers of its own.
    policy=/usr/sbin/policy-rc.d
    [ ! -e "$policy" ] || policy=""
    [ -z "$policy" ] || printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    [ -z "$policy" ] || $as_root chmod 755 "$policy"
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
    [ -z "$policy" ] || $as_root rm "$policy"
fi
if ! cmp -s test/bench/package-lock.json test/bench/node_modules/.milkrun-lock 2>/dev/null; then
    (cd test/bench && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
    cp test/bench/package-lock.json test/bench/node_modules/.milkrun-lock
fi
build=${BENCH_BUILD:-build}
ninja -C "$build" --quiet test/bench/bench_events test/bench/bench_export test/bench/bench_seal
PATH=$PATH:/usr/sbin exec node test/bench/bench.mjs "$build"
