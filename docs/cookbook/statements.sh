#!/usr/bin/env bash
# Write a statement for each wallet that had a transaction on one day.
# Usage: statements.sh FOLDER DAY        such as: statements.sh ~/statements "$(date +%F)"
set -euo pipefail
(($# >= 2)) || { grep '^# Usage' "$0" >&2; exit 2; }
umask 077
folder=$1 day=$2

mkdir -p -- "$folder"
wallets=$(wallet list -q)
for wallet in $wallets; do
    moved=$(wallet tx list "$wallet" --from="$day" --to="$day" -q)
    [[ -n $moved ]] || continue
    file=$folder/${wallet/\//-}-$day.html
    wallet statement "$wallet" --from="$day" --to="$day" -o html > "$file.part"
    mv -- "$file.part" "$file"
    echo "$file"
done
