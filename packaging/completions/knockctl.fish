# fish completion of knockctl(1)
function __knockctl_words
    set -l words (commandline -opc) (commandline -ct)
    knockctl complete $words[2..-1] 2>/dev/null
end
complete -c knockctl -a '(__knockctl_words)'
