#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks layers.txt against #includes and against the symbols of the built libraries.

usage: check_layers.py BUILD_DIR

Rules: a folder includes and calls only what layers.txt allows; there are no cycles; an _internal.h is
included from its own folder alone; each third-party header is included by exactly one source file.
"""
import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SYSTEM = re.compile(
    r"^(assert|ctype|dirent|errno|fcntl|float|inttypes|limits|linux/|math|netdb|netinet/|poll|pthread|"
    r"sched|setjmp|signal|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|string|sys/|time|unistd|"
    r"arpa/|termios|malloc|emmintrin|immintrin)")


def read_layers():
    layers = {}
    for line in (ROOT / "layers.txt").read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            folder, _, allowed = line.partition(":")
            layers[folder.strip()] = set(allowed.split())
    return layers


def folder_of(path):
    parts = path.relative_to(ROOT / "src").parts
    return parts[0] if len(parts) > 1 else "main"


def check_cycles(layers, errors):
    done = []
    left = dict(layers)
    while left:
        free = [folder for folder, allowed in left.items() if allowed <= set(done)]
        if not free:
            errors.append("cycle or unknown folder among: " + ", ".join(sorted(left)))
            return
        for folder in free:
            done.append(folder)
            del left[folder]


def check_includes(layers, errors):
    third_party = collections.defaultdict(set)
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        folder = folder_of(path)
        name = path.relative_to(ROOT)
        if folder not in layers:
            errors.append(f"{name}: folder {folder} is not in layers.txt")
            continue
        for kind, target in re.findall(r'^#include ([<"])([^>"]+)[>"]', path.read_text(), re.M):
            if kind == "<":
                if not SYSTEM.match(target):
                    third_party[target].add(str(name))
                continue
            other = target.split("/")[0]
            if other != folder and other not in layers[folder]:
                errors.append(f"{name}: {folder} may not include {target}")
            if target.endswith("_internal.h") and other != folder:
                errors.append(f"{name}: {target} is private to {other}")
    for header, users in sorted(third_party.items()):
        if len(users) > 1:
            errors.append(f"<{header}> is included by {len(users)} files: {', '.join(sorted(users))}")


def symbols(archive):
    defined, wanted = set(), set()
    output = subprocess.run(["nm", "--extern-only", archive], check=True, capture_output=True, text=True)
    for line in output.stdout.splitlines():
        fields = line.split()
        if len(fields) == 2 and fields[0] == "U":
            wanted.add(fields[1])
        elif len(fields) == 3:
            defined.add(fields[2])
    return defined, wanted


def check_symbols(layers, build, errors):
    owner, wants = {}, {}
    for folder in layers:
        archive = build / "src" / folder / f"lib{folder}.a"
        if not archive.exists():
            continue
        defined, wants[folder] = symbols(archive)
        for symbol in defined:
            if symbol in owner:
                errors.append(f"symbol {symbol} is defined in {owner[symbol]} and {folder}")
            owner[symbol] = folder
    for folder, wanted in wants.items():
        for symbol in sorted(wanted):
            other = owner.get(symbol, folder)
            if other != folder and other not in layers[folder]:
                errors.append(f"{folder} may not call {symbol} of {other}")


def main():
    layers, errors = read_layers(), []
    check_cycles(layers, errors)
    check_includes(layers, errors)
    check_symbols(layers, pathlib.Path(sys.argv[1]).resolve(), errors)
    for error in errors:
        print(error)
    print(f"layers: {len(layers)} folders, {len(errors)} errors")
    return 1 if errors else 0


sys.exit(main())
