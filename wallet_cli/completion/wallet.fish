# Completion of `wallet` for fish. What `wallet` prints is never evaluated.

function __wallet_complete
    set -l words (commandline -opc)
    set -l last (string unescape -- (commandline -ct); or commandline -ct)
    set -l answer (_WALLET_COMPLETE=fish $words[1] $words[2..] "$last" 2>/dev/null </dev/null)
    if test "$answer[1]" = files
        __fish_complete_path "$last"
        return
    end
    string join \n -- $answer[2..]
end

complete -c wallet -f -a '(__wallet_complete)'
