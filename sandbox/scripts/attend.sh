# Run one program after another, so that only the first costs the engine a new process in here.
#
# stdin   for each: TOKEN NUL COUNT NUL, COUNT times ARGUMENT NUL; then its own input in pieces:
#         LENGTH LF BYTES, the last one 0 LF
# stdout, stderr  what it writes; then, on both, NUL TOKEN STATUS (three digits)
#
# supervise.sh kills this shell with everything else if it finds anything else: then the stream ends.

exec 18<&0
unset SHLVL OLDPWD
printf 'ready' >&2
feed() {
  local size
  while IFS= read -r size <&18 && [[ $size != 0 ]]; do
    head -c "$size" <&18 || kill -KILL $$ # what is left of the piece would be taken for a program
  done
}
while IFS= read -r -d '' token && IFS= read -r -d '' count; do
  argv=()
  for ((i = 0; i < count; i++)); do
    IFS= read -r -d '' "argv[i]" || exit
  done
  exec 17< <(feed)
  feeder=$!
  RNJ_KEPT="$$ $feeder" "${argv[@]}" <&17 17<&- 18<&-
  status=$?
  exec 17<&-
  printf '\0%s%03d' "$token" "$status"
  printf '\0%s%03d' "$token" "$status" >&2
  wait "$feeder"
done <&18
