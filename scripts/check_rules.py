#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what the compilers do not: SPDX lines, banned calls, file sizes, unique names, headers that
compile alone, conditional compilation inside functions."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BANNED = re.compile(
    r"(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|gets|gmtime|localtime|system|alloca|"
    r"popen|tmpnam|mktemp|goto)\b\s*(\(|\w+;)")
FILE_LINES_MAX = 800
HEADER_LINES_MAX = 200


def strip(text):
    """Without comments and strings, so that words in them do not count."""
    text = re.sub(r'"(\\.|[^"\\\n])*"', '""', text)
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def main():
    errors, names = [], {}
    files = sorted(path for path in [*ROOT.glob("src/**/*.[ch]"), *ROOT.glob("test/**/*.[ch]")]
                   if "node_modules" not in path.parts)
    for path in files:
        name = path.relative_to(ROOT)
        text = path.read_text()
        if not text.startswith("// SPDX-License-Identifier: Apache-2.0\n"):
            errors.append(f"{name}: no SPDX line")
        lines = text.count("\n")
        limit = HEADER_LINES_MAX if path.suffix == ".h" else FILE_LINES_MAX
        if "src" in name.parts and lines > limit and "_table" not in path.name:
            errors.append(f"{name}: {lines} lines, more than {limit}")
        for match in BANNED.finditer(strip(text) if "src" in name.parts else ""):
            errors.append(f"{name}: {match.group(1)} is banned")
        if path.name in names:
            errors.append(f"{name}: same file name as {names[path.name]}")
        names[path.name] = name
    for path in sorted(ROOT.glob("src/**/*.h")):
        result = subprocess.run(
            ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Werror", "-Wno-pragma-once-outside-header",
             "-I", str(ROOT / "src"), "-x", "c", str(path)], capture_output=True, text=True)
        lines = [line for line in result.stderr.splitlines() if "error:" in line and "pragma once" not in line]
        if lines:
            errors.append(f"{path.relative_to(ROOT)}: does not compile alone: {lines[0]}")
    for error in errors:
        print(error)
    return 1 if errors else 0


sys.exit(main())
