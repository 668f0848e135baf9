#!/bin/sh
# Configures (once) and builds a folder: tools/build.sh [DIR] [meson options...]
set -eu
dir=${1:-build}
[ $# -gt 0 ] && shift
if command -v ccache >/dev/null 2>&1; then
    : "${CC:=ccache gcc}" "${CXX:=ccache g++}"
    export CC CXX
fi
if [ ! -f "$dir/build.ninja" ]; then
    echo "Building (about a minute on two cores) ..."
    meson setup "$dir" . "$@" >"$dir.setup.log" 2>&1 || { tail -n 30 "$dir.setup.log"; exit 1; }
    rm -f "$dir.setup.log"
fi
ninja -C "$dir" --quiet
