#!/bin/sh
# make bench: Pallium beside Debian's prometheus and victoria-metrics, one run after another on this machine.
set -eu
exec python3 "$(dirname "$0")/run.py" "$@"
