#compdef knockgate
local -a found
local -i mark=${words[(i)--]}
if (( mark < CURRENT )); then # behind -- stands a command of its own
  shift $mark words
  (( CURRENT -= mark ))
  _normal
  return
fi
found=(${(f)"$(knockgate complete "${(@)words[2,CURRENT-1]}" "$words[CURRENT]" 2>/dev/null)"})
if (( $#found )); then compadd -- $found; else _files; fi
