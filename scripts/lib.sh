# shellcheck shell=bash
# Functions that the scripts share: messages, packages, builds; in lib/ PostgreSQL and a cluster of three local nodes.
#
# Sourced by scripts under `set -euo pipefail`, never run. A cluster lives in HJ_HOME and listens on HJ_HTTP_BASE+1..3 and HJ_RAFT_BASE+1..3, so a
# drill or a test can have one of its own beside the one that scripts/up made. Nothing here waits without a bound.

HJ_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
HJ_HOME=${HJ_HOME:-$HJ_ROOT/.local}
HJ_HTTP_BASE=${HJ_HTTP_BASE:-8080}
HJ_RAFT_BASE=${HJ_RAFT_BASE:-8200}
HJ_PG_PORT=${HJ_PG_PORT:-54380}
HJ_NODES=(1 2 3)
# Seconds that three nodes may take until all of them are ready.
HJ_READY_SECONDS=${HJ_READY_SECONDS:-60}

# --- messages ---------------------------------------------------------------------------------------------------

say() { printf '==> %s\n' "$*" >&2; }
note() { printf '    %s\n' "$*" >&2; }
# What was not done and why. scripts/test repeats these lines at its end.
skip() {
  printf 'SKIPPED: %s\n' "$*" >&2
  if [[ -n ${HJ_SKIPS:-} ]]; then printf 'SKIPPED: %s\n' "$*" >>"$HJ_SKIPS"; fi
}
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Milliseconds since the epoch.
now_ms() {
  local now=$EPOCHREALTIME
  echo $((${now/[.,]/} / 1000))
}

# What figures were measured on.
machine() {
  echo "$(nproc) CPUs ($(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)), $(
    awk '/^MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo
  ), $(. /etc/os-release && echo "$PRETTY_NAME"), data on $(stat -f -c %T "$HJ_HOME")"
}

# wait_for SECONDS COMMAND…: polls until the command succeeds; false when the time is over.
wait_for() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    if ((SECONDS >= deadline)); then return 1; fi
    sleep 0.1
  done
}

# --- packages ---------------------------------------------------------------------------------------------------

HJ_APT_UPDATED=0

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif have sudo; then
    sudo "$@"
  else
    return 1
  fi
}

# apt_install PACKAGE…: installs from the distribution, without starting services. False when that is not possible.
apt_install() {
  have apt-get || return 1
  if ((EUID != 0)) && ! have sudo; then return 1; fi
  say "installing with apt-get: $*"
  local log status=0 drop_in=/etc/postgresql-common/createcluster.d/hellojohn.conf policy=/usr/sbin/policy-rc.d
  local made_policy=0
  log=$(mktemp)
  if ((HJ_APT_UPDATED == 0)); then
    as_root apt-get update -qq >"$log" 2>&1 || note "apt-get update failed; trying with the lists that are there"
    HJ_APT_UPDATED=1
  fi
  # Only programs are wanted: no server of the distribution's own is made or started.
  as_root mkdir -p "${drop_in%/*}"
  echo 'create_main_cluster = false' | as_root tee "$drop_in" >/dev/null
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod +x "$policy"
    made_policy=1
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
    >>"$log" 2>&1 </dev/null || status=$?
  as_root rm -f "$drop_in"
  if ((made_policy)); then as_root rm -f "$policy"; fi
  if ((status != 0)); then tail -n 5 "$log" >&2; fi
  rm -f "$log"
  return "$status"
}

# need_command COMMAND PACKAGE REASON: the command must be there afterwards.
need_command() {
  have "$1" && return 0
  apt_install "$2" || true
  have "$1" || die "$1 is missing ($3); install the package $2 of your distribution and run this again"
}

# want_command COMMAND PACKAGE REASON: as need_command, but only says so when it cannot be had.
want_command() {
  have "$1" && return 0
  apt_install "$2" || true
  have "$1" || skip "$1 could not be installed (package $2): $3"
}

# --- building ---------------------------------------------------------------------------------------------------

# Directory that cargo builds into.
cargo_target_dir() {
  local found
  found=$(cd "$HJ_ROOT" && cargo metadata --format-version 1 --no-deps --offline 2>/dev/null |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
  echo "${found:-${CARGO_TARGET_DIR:-$HJ_ROOT/target}}"
}

# build PROFILE: builds the binary and sets HJ_BIN. With a further argument `load` also the load generator.
build() {
  local profile=$1 directory=debug args=(--locked)
  if [[ $profile != dev ]]; then
    directory=$profile
    args+=(--profile "$profile")
  fi
  say "building hellojohn ($profile profile; the first time takes minutes)"
  local began=$SECONDS
  (cd "$HJ_ROOT" && cargo build "${args[@]}" --bin hellojohn)
  if [[ ${2:-} == load ]]; then
    # In a turn of its own: built together, hellojohn would get features of libraries that only the other asks for.
    (cd "$HJ_ROOT" && cargo build "${args[@]}" -p hellojohn-load)
  fi
  note "built in $((SECONDS - began)) s"
  HJ_BIN=$(cargo_target_dir)/$directory/hellojohn
  # shellcheck disable=SC2034 # for the scripts that source this file
  HJ_LOAD=$(cargo_target_dir)/$directory/hellojohn-load
  [[ -x $HJ_BIN ]] || die "cargo built no $HJ_BIN"
}

# shellcheck source=scripts/lib/postgres.sh
. "$HJ_ROOT/scripts/lib/postgres.sh"
# shellcheck source=scripts/lib/cluster.sh
. "$HJ_ROOT/scripts/lib/cluster.sh"
