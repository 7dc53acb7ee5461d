#!/usr/bin/env bash
# Builds the Debian package:
#
#   packaging/deb/build.sh VERSION OUTPUT
#
# VERSION is Debian's, with a revision. OUTPUT is the file to write. ARCH in the environment is the architecture (amd64),
# MAINTAINER who answers for the package. The same sources give the same bytes:
# times are SOURCE_DATE_EPOCH, which is that of the commit where nothing else is said.
set -euo pipefail

cd "$(dirname "$0")/../.."
version=$1 output=$2
GO=${GO:-go}
export ARCH=${ARCH:-amd64}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export DEB_VERSION=$version
export MAINTAINER=${MAINTAINER:-Ferrous developers <ferrous@example.org>}
export STAGE=$(mktemp -d)
trap 'rm -rf "$STAGE"' EXIT
umask 022

packaging/build.sh linux "$ARCH" "$STAGE/ferrous" "$version"

for page in ferrous.1 ferrous.conf.5; do
  gzip -9n <packaging/man/$page >"$STAGE/$page.gz"
done
gzip -9n <ferrous.conf >"$STAGE/ferrous.conf.gz"
mkdir "$STAGE/manual"
cp packaging/manual/*.md "$STAGE/manual/"
{
  printf 'ferrous (%s) unstable; urgency=medium\n\n' "$version"
  printf '  * CHANGELOG.md of the sources says what has changed.\n\n'
  printf ' -- %s  %s\n' "$MAINTAINER" "$(date --utc -R --date="@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$STAGE/changelog.Debian.gz"

{
  cat packaging/deb/copyright
  packaging/licences.sh
} >"$STAGE/copyright"

$GO tool -modfile=packaging/tools/go.mod nfpm package --packager deb --config packaging/deb/nfpm.yaml --target "$output"
