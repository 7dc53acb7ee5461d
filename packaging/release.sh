#!/usr/bin/env bash
# Builds what a release consists of:
#
#   packaging/release.sh VERSION FOLDER
#
# static binaries of linux/amd64 and linux/arm64 (packaging/build.sh), a list of what each was made of (SBOM, CycloneDX), the
# licences of it, and SHA256SUMS. The same sources give the same bytes.
set -euo pipefail

cd "$(dirname "$0")/.."
version=$1 folder=$2
GO=${GO:-go}
rm -rf "$folder"
mkdir -p "$folder"
for arch in amd64 arm64; do
  binary=$folder/ferrous-$version-linux-$arch
  packaging/build.sh linux $arch "$binary" "$version"
  GOFLAGS=-trimpath $GO tool -modfile=packaging/tools/go.mod cyclonedx-gomod bin -json -noserial -version "$version" -output "$binary.cdx.json" "$binary"
  sed -i '/^    "timestamp": /d' "$binary.cdx.json" # the only thing that differs between two runs
done
packaging/licences.sh >"$folder/LICENCES"
cd "$folder"
sha256sum -- * >SHA256SUMS
cat SHA256SUMS
