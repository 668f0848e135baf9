#!/bin/sh
# Builds the peers that no package brings, once, into a cache folder outside the tree: Prometheus 3 with promtool.
# They come through the Go module proxy by name and version; nothing of them enters the tree.
set -eu
cache=${PALLIUM_CACHE:-$HOME/.cache/pallium-peers}
version=v0.314.0 # Prometheus 3.14, whose language Pallium speaks
[ -x "$cache/prometheus" ] && [ -x "$cache/promtool" ] && [ "$(cat "$cache/version" 2>/dev/null)" = "$version" ] && exit 0
if ! command -v go >/dev/null 2>&1; then
    echo "go is missing: install Go 1.25 or newer to build the compiled peers" >&2
    exit 1
fi
mkdir -p "$cache"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
printf 'module peers/prometheus\ngo 1.24\n' >go.mod
pkg=github.com/prometheus/prometheus/cmd
export GOFLAGS=-buildvcs=false
go get "$pkg/prometheus@$version" "$pkg/promtool@$version" >/dev/null 2>&1
go build -o "$work/" "$pkg/prometheus" "$pkg/promtool"
mv prometheus promtool "$cache/"
echo "$version" >"$cache/version"
