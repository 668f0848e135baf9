#!/bin/sh
# make check: format, floors, options, unit tests. usage: tools/check.sh BUILD
set -eu
dir=${1:-build}
files=$(git ls-files 'src/*.c' 'src/*.h' 'test/*.c' 'test/*.h' 'bench/*.c')
# shellcheck disable=SC2086
clang-format-14 --dry-run --Werror $files
python3 tools/floors.py
python3 tools/acted_on.py
meson test -C "$dir" --quiet --print-errorlogs --no-suite slow
