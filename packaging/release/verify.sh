#!/bin/sh
# Checks the files next to this script: the signature of SHA256SUMS with minisign, then every file against its hash.
# Take the public key from a place that the files did not come from. This script is as trusted as the stick that it is on;
# the two commands at its end do the same when they are typed.
# Usage: sh verify.sh PUBLIC_KEY
set -eu
if [ $# -ne 1 ]; then
  echo "usage: sh verify.sh PUBLIC_KEY   (the text that begins with RW)" >&2
  exit 2
fi
cd "$(dirname "$0")"
minisign -V -P "$1" -m SHA256SUMS
sha256sum --check --strict --ignore-missing SHA256SUMS
