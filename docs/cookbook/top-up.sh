#!/usr/bin/env bash
# Credit wallets from the CSV file of a payment provider, with the columns phone, paid and reference.
# A payment is applied once, however often you run this: its reference is its key. What has none, or is no credit, is
# refused.
# Usage: top-up.sh FILE.csv
set -euo pipefail
(($# >= 1)) || { grep '^# Usage' "$0" >&2; exit 2; }
file=$1
rejects=${file%.csv}.rejects.jsonl

lines=$(python3 -c '
import csv, json, sys
with open(sys.argv[1], encoding="utf-8-sig", newline="") as file:
    for row in csv.DictReader(file):
        line = {"wallet": row["phone"], "amount": row["paid"], "kind": "credit", "key": row["reference"] or ""}
        print(json.dumps(line))
' "$file")
status=0
wallet import - --rejects="$rejects" <<< "$lines" || status=$?
if ((status == 4)); then
    echo "some lines were refused: read $rejects, correct them, and run this again" >&2
fi
[[ -s $rejects ]] || rm -f -- "$rejects"
exit "$status"
