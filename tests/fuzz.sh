#!/usr/bin/env bash
# Runs every fuzz target of the given packages one after another: tests/fuzz.sh 60s ./eventloop/...
# An input that is worth keeping is made small for a second at most: a minute, as go test has it, is all of the time.
set -euo pipefail

time_each=$1
shift
found=0
failed=()
for dir in $(go list -f '{{.Dir}}' "$@"); do
  targets=$(grep -hoE '^func Fuzz[A-Za-z0-9_]*\(' "$dir"/*_test.go 2>/dev/null | sed -E 's/^func ([A-Za-z0-9_]*)\(/\1/' || true)
  for target in $targets; do
    found=$((found + 1))
    echo "== $dir $target for $time_each"
    if ! (cd "$dir" && go test -run '^$' -fuzz "^$target\$" -fuzztime "$time_each" -fuzzminimizetime 1s .); then
      failed+=("$dir $target")
    fi
  done
done
echo "$found fuzz targets run, ${#failed[@]} with findings"
for f in ${failed[@]+"${failed[@]}"}; do
  echo "   $f"
done
[ ${#failed[@]} -eq 0 ] && [ "$found" -gt 0 ]
