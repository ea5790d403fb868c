#!/usr/bin/env bash
# Back up the ledger into a folder, at most once an hour, and keep a second copy on another disk. Prints the first.
# Usage: backup.sh FOLDER OTHER_DISK      for cron, see docs/backups.md
set -euo pipefail
(($# >= 2)) || { grep '^# Usage' "$0" >&2; exit 2; }
umask 077
folder=$1 other=$2

copy=$(wallet backup --every 1h --keep 24,7,12 -q -- "$folder")
mkdir -p -- "$other"
second=$other/$(basename -- "$copy")
if [[ ! -e $second ]]; then
    cp -- "$copy" "$second.part"
    sync
    wallet --db "$second.part" verify -q > "$second.count"
    mv -- "$second.part" "$second"
fi
echo "$copy"
