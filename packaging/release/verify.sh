#!/bin/sh
# Checks the files next to this script: the signature of SHA256SUMS with minisign, then every file against its hash.
# Get the public key from another place than the files. Do not trust this script more than the stick that it is on: you can
# type the two commands at its end instead.
# Usage: sh verify.sh PUBLIC_KEY
set -eu
if [ $# -ne 1 ]; then
  echo "usage: sh verify.sh PUBLIC_KEY   (the text that begins with RW)" >&2
  exit 2
fi
cd "$(dirname "$0")"
minisign -V -P "$1" -m SHA256SUMS
sha256sum --check --strict --ignore-missing SHA256SUMS
