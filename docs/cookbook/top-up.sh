#!/usr/bin/env bash
# Credit wallets from the CSV file of a payment provider, with the columns phone, paid and reference.
# A payment is applied once, however often you run this: its reference is its key.
# Usage: top-up.sh FILE.csv
set -euo pipefail
(($# >= 1)) || { grep '^# Usage' "$0" >&2; exit 2; }
file=$1
rejects=${file%.csv}.rejects.jsonl

status=0
wallet import "$file" --map 'phone=wallet,paid=signed_amount,reference=key' --rejects "$rejects" || status=$?
if ((status == 4)); then
    echo "some lines were refused: read $rejects, correct them, and run this again" >&2
fi
[[ -s $rejects ]] || rm -f "$rejects"
exit "$status"
