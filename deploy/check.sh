#!/usr/bin/env bash
# Build the image of `rnj-agent serve` and try it on this machine's Docker engine, compose included.
# The first build takes some minutes and about 4 GB of disk; the next one only what has changed.
#
#   deploy/check.sh
#
# BASE   the image to build on. Default: the Dockerfile's. Where no registry answers, one is made
#        from Debian packages, which needs root and debootstrap.
# IMAGE  the name to build (default rnj-agent-serve:check)
set -euo pipefail
cd "$(dirname "$0")/.."

image=${IMAGE:-rnj-agent-serve:check}
python=$PWD/.venv/bin/python
default_base=$(sed -n 's/^ARG BASE=//p' deploy/Dockerfile)
debian_base=rnj-agent-serve-base:bookworm
certificates=/etc/ssl/certs/ca-certificates.crt
build=(docker build -f deploy/Dockerfile -t "$image")
work=$(mktemp -d)
server=

finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

have_image() { docker image inspect "$1" >/dev/null 2>&1; }

# A Debian with Python, and with the certificates that this machine trusts.
make_base() {
  if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
    echo "No registry answers; making a base needs root and debootstrap, or give BASE=IMAGE" >&2
    exit 1
  fi
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$work/root"
  cp "$certificates" "$work/root$certificates"
  tar -C "$work/root" --numeric-owner --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' -c . |
    docker import -c 'ENV LANG=C.UTF-8' - "$debian_base"
}

choose_base() {
  if [ -n "${BASE:-}" ]; then
    base=$BASE
  elif have_image "$default_base" || docker pull "$default_base"; then
    base=$default_base
  else
    base=$debian_base
    have_image "$base" || make_base
    build+=(--build-arg "PIP_CERT=$certificates")
  fi
  build+=(--build-arg "BASE=$base")
}

pip_setting() {
  "$python" -m pip config list |
    sed -n "s/^\(:env:\|global\)\.$1='\(.*\)'$/\2/p" | head -n 1
}

# The build cannot see this machine's files: a folder of wheels is served to it on the loopback.
pass_pip_settings() {
  local index wheels port
  index=$(pip_setting index-url)
  [ -z "$index" ] || build+=(--build-arg "PIP_INDEX_URL=$index")
  wheels=$(pip_setting find-links)
  [ -d "$wheels" ] || return 0
  "$python" -u -m http.server --bind 127.0.0.1 --directory "$wheels" 0 >"$work/wheels.log" 2>&1 &
  server=$!
  for _ in $(seq 50); do
    port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$work/wheels.log")
    [ -z "$port" ] || break
    sleep 0.1
  done
  build+=(--network host --build-arg "PIP_FIND_LINKS=http://127.0.0.1:$port/")
  ! compgen -G "$wheels/torch-*" >/dev/null || build+=(--build-arg TORCH_INDEX_URL=)
}

docker version >/dev/null || { echo "No Docker engine answers; on Debian: .ci/docker-engine.sh" >&2; exit 1; }
choose_base
pass_pip_settings
"${build[@]}" .
RNJ_SERVE_IMAGE=$image "$python" -m pytest -q tests/deploy "$@"
