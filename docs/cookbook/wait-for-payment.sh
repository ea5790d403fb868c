#!/usr/bin/env bash
# Wait until a payment with a known key is in a wallet. Prints its id; exits with 1 if it does not come in time.
# Usage: wait-for-payment.sh WALLET KEY [SECONDS]
set -euo pipefail
(($# >= 2)) || { grep '^# Usage' "$0" >&2; exit 2; }
wallet=$1 key=$2 seconds=${3:-60}
[[ $seconds =~ ^[0-9]{1,9}$ ]] || { echo "not a number of seconds: $seconds" >&2; exit 2; }

until ((SECONDS > 10#$seconds)); do
    id=$(wallet tx list --key="$key" -q -- "$wallet")
    if [[ -n $id ]]; then
        echo "$id"
        exit
    fi
    sleep 0.5
done
echo "no payment with the key $key within $seconds seconds" >&2
exit 1
