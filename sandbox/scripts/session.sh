# Make a login shell ready for one program, so that it continues where the last one ended. The
# program is left in __rnj_program, with one character appended: supervise.sh runs it.
#
# stdin  the program, and nothing after it that is for us
# $1     this text
# $2     the program's length in bytes
# $3     the directory to start in
# $4     the directory to start in if that one is gone
# $5     a file with the variables that the last program exported, or nothing
# $6     the file to write them to, or nothing
# $7...  NAME=VALUE for this program alone
#
# Descriptor 19 takes our records: see supervise.sh.

__rnj_program=$(head -c "$2"; printf .)
exec </dev/null
if [[ -n $5 && -f $5 ]]; then
  . "$5"
fi
for __rnj_word in "${@:7}"; do
  export "${__rnj_word?}"
done
if ! cd -- "$3" 2>/dev/null; then
  cd -- "$4" || exit
  printf '[%s is gone: running in %s]\n' "$3" "$4"
fi
__rnj_state=$6

__rnj_leave() {
  {
    printf 'cwd=%s\0' "$PWD" >&19
    if [[ -n $__rnj_state ]]; then
      [[ ! -e $__rnj_state.new ]] || command rm -rf -- "$__rnj_state.new"
      export -n RNJ_COMMAND # names this program's processes alone, where there is no sandbox
      export -p >|"$__rnj_state.new" && command mv -f -- "$__rnj_state.new" "$__rnj_state"
    fi
  } 2>/dev/null
  exit "$__rnj_status"
}
trap '{ __rnj_status=$?; set +x; } 2>/dev/null; __rnj_leave' EXIT
set --
