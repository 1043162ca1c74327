# fish completion of knockgate(1)
function __knockgate_words
    set -l words (commandline -opc) (commandline -ct)
    set -l mark (contains -i -- -- $words[1..-2])
    if test -n "$mark" # behind -- stands a command of its own
        complete -C (string join ' ' -- (string escape -- $words[(math $mark + 1)..-2]) "$words[-1]")
    else
        knockgate complete $words[2..-1] 2>/dev/null
    end
end
complete -c knockgate -a '(__knockgate_words)'
