#!/usr/bin/env bash
# CPU of a client that comes and leaves, without the gateway's two HTTP calls for
# its callbacks, against a bare net/http server that does the same:
#
#	measure/connects.sh [RUNS]
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-5}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
CGO_ENABLED=0 go build -o "$dir/tidegate" ./cmd/tidegate
CGO_ENABLED=0 go build -C measure -o "$dir/limit" ./limit
printf '#!/bin/sh\nexec "%s" nethttp "$@"\n' "$dir/limit" >"$dir/nethttp"
chmod +x "$dir/nethttp"

calls=$(for _ in $(seq "$runs"); do "$dir/limit" callbacks | grep -o '[0-9.]*}' | tr -d '}'; done | sort -n | sed -n "$(((runs + 1) / 2))p")
"$dir/tidegate" bench churn --runs "$runs" --window 64 --leaves 20000 --subscribe=false --limit "$dir/nethttp" | tee "$dir/table"
awk -v c="$calls" '/CPU per client/ && !/bench/ { for (i = 1; i <= NF; i++) if ($i == "µs") v[++n] = $(i - 1) }
	END { printf "\none callback: %s µs\nwithout two of them: tidegate %.1f µs, net/http %.1f µs, ratio %.2f\n", c, v[1] - 2*c, v[2] - 2*c, (v[1] - 2*c) / (v[2] - 2*c) }' "$dir/table"
