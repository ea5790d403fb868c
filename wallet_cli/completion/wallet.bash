# Completion of `wallet` for bash, 3.2 or newer. What `wallet` prints is never evaluated.

_wallet_complete() {
    local kind word
    COMPREPLY=()
    {
        IFS= read -r kind
        while IFS= read -r word; do
            COMPREPLY+=("$word")
        done
    } < <(_WALLET_COMPLETE=bash "$1" "${COMP_LINE:0:COMP_POINT}" "${COMP_WORDBREAKS}" 2>/dev/null </dev/null)
    if [[ $kind == files ]]; then
        compopt -o default 2>/dev/null
    fi
}

complete -o nosort -F _wallet_complete wallet 2>/dev/null || complete -o default -F _wallet_complete wallet
