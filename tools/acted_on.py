#!/usr/bin/env python3
"""Compares src/config/acted_on.def with what the code reads, and names each difference.

An option is read where its struct field stands behind its block in src/ outside src/config (c->server.http_listen_port). The
fields of `limits` are read through a struct limits, so for them the bare field after an arrow or a dot counts, in files that
include tenant/limits.h. What src/config acts on by itself (-config.file, -version ...) is listed below, with its reason.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Acted on without being read outside src/config, and why.
BY_CONFIG = {
    "process.config_file": "config/load.c", "process.config_expand_env": "config/load.c", "process.version": "config/load.c",
    "process.quick_start": "config/load.c",
    **{"ingester.instance_limits." + name: "app/node.c hands them on whole" for name in
       ("max_ingestion_rate", "max_tenants", "max_series", "max_inflight_push_requests")},
    "process.modules": "config/load.c", "process.print_config": "config/load.c",
    "limits.ingestion_rate_strategy": "one distributor: local and global come to the same",
}


def rows():
    """Every option's path, from the generated reference."""
    with open(os.path.join(ROOT, "docs", "config-reference.md"), encoding="utf-8") as f:
        text = f.read()
    # Rows without a YAML key are shown by their flag; the def file names them by path, which only acted_on.def knows.
    return set(re.findall(r"^\| `([a-z0-9_.]+)` \|", text, re.M))


def listed():
    with open(os.path.join(ROOT, "src", "config", "acted_on.def"), encoding="utf-8") as f:
        return re.findall(r'^ACTED_ON\("([^"]+)"\)', f.read(), re.M)


def sources():
    """(text of all code outside src/config, text of what knows struct limits)"""
    every, limits = [], []
    for folder, _, names in sorted(os.walk(os.path.join(ROOT, "src"), followlinks=True)):
        if os.path.relpath(folder, os.path.join(ROOT, "src")).split(os.sep)[0] == "config":
            continue
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
                every.append(text)
                if "limits" in text:
                    limits.append(text)
    return "\n".join(every), "\n".join(limits)


def main():
    every, limits = sources()

    def is_read(path):
        if path in BY_CONFIG:
            return True
        section, _, rest = path.partition(".")
        if section == "limits":
            return re.search(r"(?:\bl|limits|defaults)(?:->|\.)" + re.escape(rest) + r"(?:_ns)?\b", limits) is not None
        if not rest:  # a name of one word: only behind a config
            return re.search(r"\b(?:c|cfg)->" + re.escape(path) + r"(?:_ns)?\b", every) is not None
        return re.search(r"(?:->|\.)" + re.escape(path) + r"(?:_ns)?\b", every) is not None

    problems = []
    patterns = listed()
    for p in patterns:
        if p.endswith(".*"):
            problems.append(f"{p}: name each option by itself")
        elif not is_read(p):
            problems.append(f"{p}: listed, but nothing outside src/config reads it")
    for path in sorted(rows()):
        if path not in patterns and is_read(path):
            problems.append(f"{path}: read, but not listed")
    for p in problems:
        print(f"acted_on.def: {p}")
    print(f"acted_on: {len(patterns)} options listed, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
