#!/usr/bin/env bash
# Mail a list of the active wallets that have less than an amount available. Sends nothing if there are none.
# Usage: low-balance.sh AMOUNT ADDRESS
set -euo pipefail
(($# >= 2)) || { grep '^# Usage' "$0" >&2; exit 2; }
amount=$1 address=$2
[[ $amount =~ ^-?[0-9]+([.][0-9]+)?$ ]] || { echo "not an amount: $amount" >&2; exit 2; }

wallets=$(wallet list -o csv)
low=$(python3 -c '
import csv, decimal, sys
limit = decimal.Decimal(sys.argv[1])
for row in csv.DictReader(sys.stdin):
    if row["status"] == "active" and decimal.Decimal(row["available"]) < limit:
        print(row["wallet"], row["available"], row["currency"])
' "$amount" <<< "$wallets")
if [[ -n $low ]]; then
    mail -s "Wallets with less than $amount available" -- "$address" <<< "$low"
fi
