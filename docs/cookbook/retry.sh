#!/usr/bin/env bash
# Run a command of wallet until it is answered: busy (6), a storage error (7) and an internal error (1) are tried again.
# The command ends with its --key, so that it is applied once.
# Usage: retry.sh wallet debit 1 20 --key order-1041
set -euo pipefail

if (($# < 3)) || [[ ${*: -2:1} != --key ]]; then
    echo "end the command with --key KEY: without one it may be applied twice" >&2
    exit 2
fi
for pause in ${RETRY_PAUSES-1 2 4 8 16} last; do
    status=0
    "$@" || status=$?
    case $status in
        1 | 6 | 7) [[ $pause == last ]] || sleep "$pause" ;;
        *) break ;;
    esac
done
exit "$status"
