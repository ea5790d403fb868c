#!/usr/bin/env bash
# Write a statement for each wallet that had a transaction on one day. Without DAY it is the day before, in the ledger's
# time zone.
# Usage: statements.sh FOLDER [DAY]        such as: statements.sh ~/statements
set -euo pipefail
(($# >= 1)) || { grep '^# Usage' "$0" >&2; exit 2; }
umask 077
folder=$1
yesterday='
import datetime, json, sys, zoneinfo
today = datetime.datetime.now(zoneinfo.ZoneInfo(json.load(sys.stdin)["timezone"])).date()
print(today - datetime.timedelta(days=1))
'

mkdir -p -- "$folder"
wallets=$(wallet list -q)
day=${2:-$(wallet ledger show --json | python3 -c "$yesterday")}
for wallet in $wallets; do
    moved=$(wallet tx list "$wallet" --from="$day" --to="$day" -q)
    [[ -n $moved ]] || continue
    file=$folder/${wallet/\//-}-$day.html
    wallet statement "$wallet" --from="$day" --to="$day" -o html > "$file.part"
    mv -- "$file.part" "$file"
    echo "$file"
done
