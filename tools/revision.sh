#!/bin/sh
# Says what is built: "REVISION BRANCH DATE" of the commit (BRANCH is HEAD when none is checked out); nothing outside of git,
# as in a tarball.
cd "$(dirname "$0")/.." || exit 1
[ -e .git ] || exit 0
git log -1 --format="%h $(git rev-parse --abbrev-ref HEAD) %cd" --date=format:%Y-%m-%dT%H:%M:%S%z 2>/dev/null || exit 0
