#!/bin/sh
# Make a Docker engine answer on a Debian machine, so that the sandbox tests run instead of skipping.
# Does nothing where one answers already. Needs root. The image comes from `rnj-agent sandbox build`.
set -eu

log=${RNJ_DOCKERD_LOG:-/var/log/dockerd.log}

answers() { docker version >/dev/null 2>&1; }

# start STORAGE_DRIVER: empty for the engine's own choice
start() {
  setsid dockerd ${1:+--storage-driver="$1"} >"$log" 2>&1 </dev/null &
  engine=$!
  for _ in $(seq 60); do
    answers && return 0
    kill -0 "$engine" 2>/dev/null || return 1
    sleep 0.5
  done
  kill "$engine" 2>/dev/null || true
  return 1
}

answers && exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "no Docker engine answers, and starting one needs root: sudo $0" >&2
  exit 1
fi
if ! command -v dockerd >/dev/null || ! command -v debootstrap >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    docker.io iptables debootstrap >&2
fi
# A container or an odd kernel may refuse overlay file systems: vfs works everywhere, slowly.
start "" || start vfs || {
  echo "dockerd did not start; the end of $log:" >&2
  tail -n 20 "$log" >&2
  exit 1
}
