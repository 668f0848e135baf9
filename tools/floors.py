#!/usr/bin/env python3
"""Reads the floor table of ARCHITECTURE.md and names each include in src/ that breaks it.

A file may include headers of its own module and public headers of modules on lower floors. Two modules of one floor never
include each other, and nobody includes another module's internal.h. A third-party header may be included by one module
only, the one that wraps it (libc and POSIX headers are free).
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Wrapped libraries: header prefix -> the files that may include it.
WRAPPED = {
    "uv.h": ("io", "http"), "openssl/": ("io", "config"), "snappy-c.h": ("codec",), "zstd.h": ("tsdb",),
    "zlib.h": ("codec",), "yaml.h": ("config",), "jansson.h": ("codec", "tsdb", "ctl"), "re2/": ("shim",), "roaring/": ("tsdb",),
    "xxhash.h": ("base",), "curl/": ("ctl",), "jemalloc/": ("base",), "charconv": ("shim",),
}


def floors():
    table = {}
    with open(os.path.join(ROOT, "ARCHITECTURE.md"), encoding="utf-8") as f:
        for line in f:
            m = re.match(r"\|\s*(\d+)\s*\|(.*)\|\s*$", line)
            if m:
                for name in re.findall(r"`(\w+)`", m.group(2).split("|")[0]):
                    table[name] = int(m.group(1))
    return table


def main():
    floor = floors()
    problems = []
    src = os.path.join(ROOT, "src")
    modules = sorted(d for d in os.listdir(src) if os.path.isdir(os.path.join(src, d)))
    for module in modules:
        if module not in floor:
            problems.append(f"src/{module}: no floor in ARCHITECTURE.md's table")
            continue
        for folder, _, files in os.walk(os.path.join(src, module)):
            for name in sorted(files):
                if not name.endswith((".c", ".h", ".cc", ".def")):
                    continue
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as f:
                    text = f.read()
                rel = os.path.relpath(path, ROOT)
                for inc in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.M):
                    other = inc.split("/")[0]
                    if "/" not in inc or other == module:
                        continue
                    if other not in floor:
                        problems.append(f"{rel}: includes {inc}, which is no module")
                    elif floor[other] >= floor[module]:
                        problems.append(f"{rel}: floor {floor[module]} includes {inc} of floor {floor[other]}")
                    elif inc.endswith("internal.h"):
                        problems.append(f"{rel}: includes another module's {inc}")
                for inc in re.findall(r"^\s*#\s*include\s+<([^>]+)>", text, re.M):
                    for prefix, owners in WRAPPED.items():
                        if inc.startswith(prefix) and module not in owners:
                            problems.append(f"{rel}: <{inc}> is wrapped by {', '.join(owners)}")
    if not floor:
        problems.append("ARCHITECTURE.md: no floor table found")
    for p in problems:
        print(p)
    print(f"floors: {len(modules)} modules, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
