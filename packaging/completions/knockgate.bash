# bash completion of knockgate(1)  -*- shell-script -*-
_knockgate() {
  local cur prev words cword i
  _init_completion -n : || return # an IPv6 address is one word
  for ((i = 1; i < COMP_CWORD; ++i)); do # behind -- stands a command of its own
    if [ "${COMP_WORDS[i]}" = -- ]; then _command_offset $((i + 1)); return; fi
  done
  mapfile -t COMPREPLY < <(knockgate complete "${words[@]:1:cword-1}" "$cur" 2>/dev/null)
  [ ${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  __ltrim_colon_completions "$cur"
}
complete -F _knockgate knockgate
