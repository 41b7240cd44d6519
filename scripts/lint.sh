#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a reader would object to: warnings of a second compiler, layout, layers, dead functions,
# documentation that no longer is what the tables say, banned calls, sizes of files.
set -eu
cd "$(dirname "$0")/.."
scripts/install_deps.sh lint
MESON_FLAGS="${DUCKDB_DIR:+-Dduckdb=$DUCKDB_DIR}"
[ -f build/build.ninja ] || meson setup build $MESON_FLAGS >/dev/null
[ -f build-clang/build.ninja ] || CC=clang meson setup build-clang $MESON_FLAGS >/dev/null
scripts/quietly.sh ninja -C build
scripts/quietly.sh ninja -C build-clang
failed=0
check() { # label, command...
    label=$1
    shift
    if "$@"; then echo "lint: $label: ok"; else echo "lint: $label: FAILED"; failed=1; fi
}
check layout sh -c 'clang-format --dry-run -Werror $(git ls-files "src/*.[ch]" "test/*.[ch]")'
check layers python3 scripts/check_layers.py build
check rules python3 scripts/check_rules.py
check "dead functions" python3 scripts/check_dead.py build
check configuration sh -c 'build/milkrun help --markdown | cmp - docs/config.md'
check cppcheck cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
    --inline-suppr --suppress=missingIncludeSystem --suppress=varFuncNullUB --suppress=normalCheckLevelMaxBranches -I src -j 2 src
exit $failed
