#!/bin/sh
# Bundles the web page into one C file: embed_ui.sh UI_SOURCES WORK_DIR OUT.c
# Works on a copy in the build directory, so that the source tree stays clean. Libraries come by npm from the lock file, once per
# change of that file; afterwards no network is needed.
set -eu
src=$1 work=$2 out=$3

command -v npm >/dev/null && command -v node >/dev/null || {
    echo "the web page needs nodejs and npm to be built: apt-get install nodejs npm (or run: make build)" >&2
    exit 1
}
mkdir -p "$work"
rm -rf "$work/src"
cp -R "$src/src" "$src/index.html" "$src/build.mjs" "$src/package.json" "$work/"
if ! cmp -s "$src/package-lock.json" "$work/installed.json"; then
    rm -rf "$work/node_modules"
    cp "$src/package-lock.json" "$work/package-lock.json"
    (cd "$work" && npm ci --no-audit --no-fund --prefer-offline --loglevel=error)
    cp "$src/package-lock.json" "$work/installed.json"
fi
node "$work/build.mjs" "$out"
