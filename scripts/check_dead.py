#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Finds external functions that nobody outside their file calls: in the program, or in the tests.

usage: check_dead.py BUILD_DIR
"""
import pathlib
import subprocess
import sys


def symbols(path):
    defined, wanted = set(), set()
    output = subprocess.run(["nm", "--extern-only", path], check=True, capture_output=True, text=True)
    for line in output.stdout.splitlines():
        fields = line.split()
        if len(fields) == 2 and fields[0] == "U":
            wanted.add(fields[1])
        elif len(fields) == 3 and fields[1] in "TDRB":
            defined.add(fields[2])
    return defined, wanted


def main():
    build = pathlib.Path(sys.argv[1])
    owner, users = {}, set()
    for path in build.rglob("*.o"):
        defined, wanted = symbols(path)
        users |= wanted
        if "src" in path.parts:
            for symbol in defined:
                owner[symbol] = path.name
    # __wrap_x is what the linker puts in the place of x, which may be wanted by a foreign library.
    dead = sorted(symbol for symbol in owner
                  if symbol not in users and symbol != "main" and not symbol.startswith("__wrap_"))
    for symbol in dead:
        print(f"{owner[symbol]}: {symbol} is never used")
    return 1 if dead else 0


sys.exit(main())
