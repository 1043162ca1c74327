#compdef knockctl
local -a found
found=(${(f)"$(knockctl complete "${(@)words[2,CURRENT-1]}" "$words[CURRENT]" 2>/dev/null)"})
if (( $#found )); then compadd -- $found; else _files; fi
