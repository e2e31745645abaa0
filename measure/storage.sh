#!/usr/bin/env bash
# Storage and clusters: all figures of that section of README.md, or those of the
# parts that are named:
#
#	measure/storage.sh [RUNS [publish|fsync|resume|cold|nodes|memory|idle|restart]…]
#
# Folders are made in $TMPDIR, which must be on the disk in question, and removed.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-5}
shift || true
parts=${*:-publish fsync resume cold nodes memory idle restart}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
CGO_ENABLED=0 go build -o "$dir/" ./cmd/tidegate
CGO_ENABLED=0 go build -C measure -o "$dir/" ./limit
if [[ " $parts " == *" nodes "* ]]; then
	CGO_ENABLED=0 go build -o "$dir/" github.com/nats-io/nats-server/v2
fi
printf '#!/bin/sh\nexec "%s" fsync "$@"\n' "$dir/limit" >"$dir/fsync"
chmod +x "$dir/fsync"

bench() { printf '\n'; uptime; timeout 1h "$dir/tidegate" bench "$@" --runs "$runs"; }
for part in $parts; do
	case $part in
	publish) bench publish --size 256 --duration 2s --senders 16 --storage process --compare-storage memory ;;
	fsync)   bench publish --size 256 --duration 2s --storage power --limit "$dir/fsync" ;;
	resume)
		bench resume --streams 5000 --window 1024 --pace 10m --storage process --compare-storage memory # no live events
		bench resume --streams 5000 --window 1024 --pace 10ms --storage process --compare-storage memory
		bench resume --streams 5000 --window 4096 --pace 10ms --storage process
		;;
	cold)
		bench resume --streams 5000 --window 1024 --pace 10m --storage process --cold
		bench resume --streams 5000 --window 1024 --pace 10ms --storage process --cold
		;;
	nodes)   bench nodes --nats-server "$dir/nats-server" ;;
	memory)  bench history --size 256 --settle 60s --storage process --compare-storage memory ;;
	idle)    bench idle --streams 19000 --first 5000 --settle 60s --timeout 5m --storage process --compare-storage memory ;;
	restart)
		bench restart --size 256 --held 100000 --storage process
		bench restart --size 256 --held 1000000 --timeout 15m --storage process
		;;
	*) printf 'no part is called %s\n' "$part" >&2 && exit 2 ;;
	esac
done
