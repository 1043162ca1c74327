# bash completion of knockctl(1)  -*- shell-script -*-
_knockctl() {
  local cur prev words cword
  _init_completion -n : || return # an IPv6 address is one word
  mapfile -t COMPREPLY < <(knockctl complete "${words[@]:1:cword-1}" "$cur" 2>/dev/null)
  [ ${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  __ltrim_colon_completions "$cur"
}
complete -F _knockctl knockctl
