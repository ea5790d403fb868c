#!/usr/bin/env bash
# Credit wallets from the CSV file of a payment provider, with the columns phone, paid and reference.
# A payment is applied once, however often you run this: its reference is its key. What has none, or is no credit, is
# refused. A file that cannot be read, or has a phone that is too short for one, is refused as a whole: `7` would be the
# user with the id 7.
# Usage: top-up.sh FILE.csv
set -euo pipefail
(($# >= 1)) || { grep '^# Usage' "$0" >&2; exit 2; }
file=$1
rejects=${file%.csv}.rejects.jsonl

lines=$(python3 -c '
import csv, json, sys

def refuse(why):
    sys.exit(f"{sys.argv[1]}: {why}; nothing was applied")

try:
    with open(sys.argv[1], encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if not {"phone", "paid", "reference"} <= {*(rows.fieldnames or ())}:
            refuse("its first line is not phone,paid,reference, with commas")
        for row in rows:
            phone = row["phone"] or ""
            if sum(c.isdigit() for c in phone) < 7:
                refuse(f"line {rows.line_num} has no phone number, but {phone!r}")
            line = {"wallet": phone, "amount": row["paid"], "kind": "credit", "key": row["reference"] or ""}
            print(json.dumps(line))
except (OSError, ValueError, csv.Error) as error:
    refuse(f"it cannot be read as CSV in UTF-8: {error}")
' "$file")
status=0
wallet import - --rejects="$rejects" <<< "$lines" || status=$?
if ((status == 4)); then
    echo "some lines were refused: read $rejects, correct them, and run this again" >&2
fi
[[ -s $rejects ]] || rm -f -- "$rejects"
exit "$status"
