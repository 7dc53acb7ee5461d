#!/usr/bin/env bash
# Prints the licences of all that is linked into the binary, as they want it: packaging/licences.sh
set -euo pipefail

cd "$(dirname "$0")/.."
GO=${GO:-go}
cat LICENSE-MIT
printf '\nParts of the program come from others.\n\nThe Go standard library and runtime:\n\n'
cat "$($GO env GOROOT)/LICENSE"
$GO list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}' . | sort -u | while read -r module dir; do
  printf '\n%s:\n\n' "$module"
  cat "$dir"/LICENSE*
done
