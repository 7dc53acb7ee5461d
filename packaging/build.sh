#!/usr/bin/env bash
# Builds a static binary that the same sources give again, byte for byte, wherever they lie:
#
#   packaging/build.sh OS ARCH OUTPUT VERSION
#
# -trimpath takes the folder out of the binary, an empty build id and -buildvcs=false what Go would add of its own, and
# without cgo no C library takes part.
set -euo pipefail

cd "$(dirname "$0")/.."
CGO_ENABLED=0 GOOS=$1 GOARCH=$2 GOFLAGS= ${GO:-go} build -trimpath -buildvcs=false \
  -ldflags "-s -w -buildid= -X main.version=$4" -o "$3" .
