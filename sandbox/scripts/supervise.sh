# Run one program under a clock, and leave no process of it behind.
#
# $1  seconds of wall time, then SIGTERM
# $2  seconds from SIGTERM to SIGKILL
# $3  "all": everything else that this user runs here belongs to the program and is killed.
#     Only where no one else's process can be reached: in a container of our own.
# $4  session.sh, and after it its arguments
#
# stdout carries what the program writes to stdout and stderr, in order. The original stderr
# carries our own records, each ended by a NUL: start, cwd=DIRECTORY, exit=STATUS.

exec 19>&2 2>/dev/null
# One line, so that bash's error messages count the program's lines from one.
# shellcheck disable=SC2016
start='eval "$1"; eval "${__rnj_program%.}"'
printf 'start\0' >&19
kept=" $$ $RNJ_KEPT "
unset RNJ_KEPT
# How many processes the container has: nothing can hide from the kernel's own count.
count() {
  local counter
  number=
  for counter in /sys/fs/cgroup/pids.current /sys/fs/cgroup/pids/pids.current; do
    [[ ! -r $counter ]] || read -r number <"$counter"
  done
}
others() {
  local process
  for process in /proc/[0-9]*; do
    [[ -O $process && $kept != *" ${process#/proc/} "* ]] && return 0
  done
  return 1
}
alone() {
  ! others || return 1
  count
  [[ -n $number && $number -le $num_before ]]
}

count
num_before=$number
timeout --kill-after="$2" "$1" bash -lc "$start" bash "${@:4}" 2>&1
status=$?
if [[ $3 == all ]] && ! alone; then
  # One kill reaches them all at once, so a fork bomb cannot outrun it. Then wait until they are
  # gone. Whoever started us may be among them.
  kept=" $$ "
  kill -KILL -1
  for ((i = 0; i < 100; i++)); do
    others || break
    sleep 0.02
    kill -KILL -1
  done
fi
printf 'exit=%d\0' "$status" >&19
