#!/usr/bin/env bash
# A Docker engine where there is none, and a base image where no image registry can be reached.
#
#   eval "$(bash scripts/docker-engine.sh up)"    what `make image` and its tests need is in the environment afterwards
#   bash scripts/docker-engine.sh runs            whether the engine that `up` started runs, as exit code
#   bash scripts/docker-engine.sh down            stops it; what it has built stays
#   bash scripts/docker-engine.sh remove          stops it and deletes what it has built
#
# An engine that already runs is used as it is, and nothing is installed. Otherwise, as root on Debian or Ubuntu, `up`
# installs the distribution's engine and starts one of our own, apart from any other: its socket, images and logs are
# in CKPT2HF_ENGINE_DIR. It has no bridge and touches no firewall, so it works inside virtual machines and containers;
# the price is that its containers have the host's network or none. BASE_IMAGE, if it is set, stays what it is.
set -euo pipefail

dir=${CKPT2HF_ENGINE_DIR:-/var/tmp/ckpt2hf-engine}
socket=unix://$dir/docker.sock
public_base=debian:bookworm-slim
local_base=ckpt2hf-base:bookworm
packages=(docker.io docker-compose mmdebstrap)
# The version that the Dockerfile asks for; a wheel of it that pip finds on this machine goes into the base image.
torch=${TORCH:-torch==2.13.0}

say() { printf 'docker-engine: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# The client of the distribution's package: another one on PATH may lack what `docker build` needs.
client() { DOCKER_BUILDKIT=1 /usr/bin/docker -H "$socket" "$@"; }

runs() { [[ -x /usr/bin/docker ]] && client info >/dev/null 2>&1; }

logged() {
  local log=$dir/$1.log
  shift
  "$@" >"$log" 2>&1 </dev/null || {
    tail -n 20 "$log" >&2
    fail "failed: $* (all it said is in $log)"
  }
}

install_engine() {
  if command -v dockerd docker-compose mmdebstrap >/dev/null && [[ -x /usr/bin/docker ]]; then
    return
  fi
  say "installing ${packages[*]}"
  logged apt-update apt-get update
  # Its own service is not wanted: `up` starts an engine with other settings.
  logged apt-install env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install --yes --no-install-recommends "${packages[@]}"
}

start_engine() {
  say "starting an engine in $dir"
  rm -f "$dir/docker.pid"
  setsid nohup dockerd --bridge=none --iptables=false --ip-masq=false --data-root "$dir/data" --exec-root "$dir/exec" \
    --host "$socket" --pidfile "$dir/docker.pid" >"$dir/dockerd.log" 2>&1 </dev/null &
  for _ in $(seq 120); do
    if runs; then return; fi
    sleep 0.5
  done
  tail -n 20 "$dir/dockerd.log" >&2
  fail "the engine did not start (all it said is in $dir/dockerd.log)"
}

# pip in a build has to reach packages the way pip on this machine does: through the same index, trusting the same
# certificates, and with the CPU build of torch if one lies here.
write_pip_conf() {
  local to=$1 certificate key value
  echo '[global]' >"$to/pip.conf"
  certificate=$(python3 -m pip config get global.cert 2>/dev/null || echo "${PIP_CERT:-}")
  : >"$to/ca.crt"
  if [[ -f $certificate ]]; then
    cp "$certificate" "$to/ca.crt"
    echo 'cert = /etc/ssl/build-ca.crt' >>"$to/pip.conf"
  fi
  for key in index-url extra-index-url; do
    value=$(python3 -m pip config get "global.$key" 2>/dev/null || true)
    if [[ $value == http* ]]; then echo "$key = $value" >>"$to/pip.conf"; fi
  done
  mkdir "$to/wheels"
  if python3 -m pip download --quiet --no-index --no-deps --only-binary :all: --python-version 3.11 \
    --dest "$to/wheels" "$torch" >"$dir/wheel.log" 2>&1; then
    echo 'find-links = /opt/wheels' >>"$to/pip.conf"
  fi
}

make_base() {
  say "making the base image $local_base from Debian's packages: no image registry can be reached"
  local context
  context=$(mktemp -d)
  # shellcheck disable=SC2064  # the folder of now, not of when the script ends
  trap "rm -rf '$context'" EXIT
  logged mmdebstrap mmdebstrap --variant=minbase bookworm "$context/rootfs.tar"
  write_pip_conf "$context"
  printf '%s\n' 'FROM scratch' 'ADD rootfs.tar /' 'COPY ca.crt /etc/ssl/build-ca.crt' 'COPY pip.conf /etc/pip.conf' \
    'COPY wheels /opt/wheels' 'CMD ["bash"]' >"$context/Dockerfile"
  logged base-image client build --tag "$local_base" "$context"
}

# The base image everybody has, if it is here or can be fetched.
has_public_base() {
  client image inspect "$public_base" >/dev/null 2>&1 ||
    timeout 60 /usr/bin/docker -H "$socket" pull --quiet "$public_base" >/dev/null 2>&1
}

up() {
  if ! runs; then
    if "${DOCKER:-docker}" info >/dev/null 2>&1; then
      echo 'export DOCKER_BUILDKIT=1'
      return
    fi
    [[ $(id -u) == 0 ]] || fail "no engine runs; start Docker, or run this as root, which installs and starts one"
    mkdir -p "$dir"
    install_engine
    start_engine
  fi
  echo "export DOCKER=/usr/bin/docker DOCKER_HOST=$socket DOCKER_BUILDKIT=1 DOCKER_BUILD_FLAGS='--network host'"
  if [[ -z ${BASE_IMAGE:-} ]] && ! has_public_base; then
    client image inspect "$local_base" >/dev/null 2>&1 || make_base
    echo "export BASE_IMAGE=$local_base"
  fi
}

down() {
  [[ -s $dir/docker.pid ]] || {
    say "not running"
    return
  }
  local pid
  pid=$(<"$dir/docker.pid")
  kill "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
  rm -f "$dir/docker.pid"
  say "stopped"
}

remove() {
  down
  rm -rf "$dir"
}

case ${1:-} in
up | runs | down | remove) "$1" ;;
*)
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
  exit 2
  ;;
esac
