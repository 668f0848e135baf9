#!/bin/sh
# make bench: Pallium beside Debian's prometheus and victoria-metrics (run.py), then PromQL beside a Prometheus 3 (promql.py), one
# run after another on this machine. With arguments: only run.py, with these.
set -eu
here=$(dirname "$0")
if [ $# -gt 0 ]; then
    exec python3 "$here/run.py" "$@"
fi
python3 "$here/run.py"
"$here/../tools/peers.sh"
ninja -C "$here/../build" bench/promql_data
python3 "$here/promql.py"
