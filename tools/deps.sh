#!/bin/sh
# Installs the Debian packages that a step needs, and says which and why. Nothing happens when all are there.
# usage: tools/deps.sh build|test|check|bench
set -eu

build="gcc g++ meson ninja-build pkg-config ccache libuv1-dev libssl-dev libsnappy-dev libzstd-dev zlib1g-dev
libxxhash-dev libyaml-dev libjansson-dev libre2-dev libroaring-dev libjemalloc-dev libcurl4-openssl-dev libcmocka-dev python3"
check="$build clang-format-14"
test="$check clang-14 libclang-rt-14-dev prometheus prometheus-node-exporter chromium openssl"
bench="$build prometheus victoria-metrics"

case "${1:-}" in
build) want=$build why="to build Pallium" ;;
check) want=$check why="to build and check Pallium" ;;
test) want=$test why="to build and test Pallium beside real peers" ;;
bench) want=$bench why="to measure Pallium beside its peers" ;;
*) echo "usage: tools/deps.sh build|test|check|bench" >&2; exit 2 ;;
esac

# The screen is bundled by npm; a machine that has its own Node.js keeps it.
command -v npm >/dev/null 2>&1 || want="$want nodejs npm"
missing=
for p in $want; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

echo "Installing Debian packages $why:$missing"
run=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || { echo "Not root and no sudo: install these yourself, then run this again." >&2; exit 1; }
    run=sudo
fi
# A list of packages that is too old names versions that are gone: refresh it first.
$run env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# shellcheck disable=SC2086
$run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
