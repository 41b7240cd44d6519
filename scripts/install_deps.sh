#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what building needs, on Debian 12: as root, or through sudo. With neither, says in one line
# which packages to install. Does nothing when all is there.
set -eu
cd "$(dirname "$0")/.."

packages="gcc make meson ninja-build pkg-config python3 nodejs npm
libmicrohttpd-dev libcurl4-openssl-dev libexpat1-dev libssl-dev libsqlite3-dev libjansson-dev libisal-dev
libdeflate-dev libzstd-dev libsnappy-dev libinih-dev libcmocka-dev tzdata"
case "${1:-}" in
lint) packages="$packages clang clang-format clang-tidy cppcheck" ;;
test) packages="$packages openssl" ;;
servers) packages="$packages openssl curl wget awscli rclone s3cmd ceph-mon ceph-osd ceph-common radosgw" ;;
fuzz) packages="$packages clang libclang-rt-14-dev" ;;
esac

missing=""
for package in $packages; do
    # npm and nodejs may have come from elsewhere: what counts is that they run.
    case "$package" in
    nodejs) command -v node >/dev/null 2>&1 && continue ;;
    npm) command -v npm >/dev/null 2>&1 && continue ;;
    python3 | gcc | make | clang | clang-format | clang-tidy | cppcheck)
        command -v "$package" >/dev/null 2>&1 && continue ;;
    esac
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        as_root=""
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root="sudo"
    else
        echo "please install:$missing" >&2
        exit 1
    fi
    echo "installing:$missing"
    $as_root apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

install_npm() { # folder: packages by its lock file, hashes checked, no scripts run
    if ! cmp -s "$1/package-lock.json" "$1/node_modules/.milkrun-lock" 2>/dev/null; then
        (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
        cp "$1/package-lock.json" "$1/node_modules/.milkrun-lock"
    fi
}
[ -n "${DUCKDB_DIR:-}" ] || install_npm deps
case "${1:-}" in
test) install_npm test ;;
servers)
    install_npm test
    install_npm test/servers
    ;;
esac
