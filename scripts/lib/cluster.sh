# shellcheck shell=bash
# A cluster of three local nodes in HJ_HOME; sourced by lib.sh.

node_url() { echo "http://localhost:$((HJ_HTTP_BASE + $1))"; }

# A list for the configuration: cluster_list PREFIX BASE makes node1=PREFIX:BASE+1,…
cluster_list() {
  local n list=
  for n in "${HJ_NODES[@]}"; do list+="${list:+,}node$n=$1:$(($2 + n))"; done
  echo "$list"
}

# Takes HJ_HOME for this script, so that two runs do not get into each other's way.
cluster_lock() {
  mkdir -p "$HJ_HOME"
  have flock || return 0
  exec 9>"$HJ_HOME/lock"
  flock -w 120 9 || die "another script works on $HJ_HOME; wait for it, or end it"
}

random_base64() { head -c "$1" /dev/urandom | base64 | tr -d '\n'; }

# Writes HJ_HOME/env once (it holds the master keys) and HJ_HOME/node{1,2,3}.env each time.
# `cluster_configure no-database` leaves the user plane and the rate limits out, `cluster_configure database` does not. HJ_WRITE_MODE is what
# a follower does with a write.
cluster_configure() {
  local n secrets=$HJ_HOME/env
  mkdir -p "$HJ_HOME" "$HJ_HOME/logs" "$HJ_HOME/run" "$HJ_HOME/bin"
  if [[ ! -e $secrets ]]; then
    (
      umask 077
      {
        echo "# Made once by scripts/up. The master keys seal what the cluster keeps: without them it is lost."
        echo "SIGNING_MASTER_KEY='$(random_base64 48)'"
        echo "SECRETBOX_MASTER_KEY='$(random_base64 32)'"
        echo "# Password of the first administrator, admin@example.com."
        echo "HELLOJOHN_PASSWORD='$(random_base64 18)'"
      } >"$secrets.new"
    )
    mv "$secrets.new" "$secrets"
  fi
  local dsn=
  if [[ $1 == database ]]; then
    dsn="postgres://postgres:$(cat "$HJ_HOME/postgres/password")@127.0.0.1:$HJ_PG_PORT/hellojohn"
  fi
  for n in "${HJ_NODES[@]}"; do
    (
      umask 077
      {
        grep -E "^(SIGNING|SECRETBOX)_MASTER_KEY=" "$secrets"
        cat <<-END
		NODE_ID=node$n
		CLUSTER_MODE=embedded
		CLUSTER_NODES='$(cluster_list localhost "$HJ_RAFT_BASE")'
		LEADER_REDIRECTS='$(cluster_list http://localhost "$HJ_HTTP_BASE")'
		RAFT_ADDR=127.0.0.1:$((HJ_RAFT_BASE + n))
		RAFT_TLS_ENABLE=1
		RAFT_TLS_CERT_FILE='$HJ_HOME/certs/node$n.pem'
		RAFT_TLS_KEY_FILE='$HJ_HOME/certs/node$n-key.pem'
		RAFT_TLS_CA_FILE='$HJ_HOME/certs/ca.pem'
		CONTROL_PLANE_FS_ROOT='$HJ_HOME/node$n'
		SERVER_ADDR=127.0.0.1:$((HJ_HTTP_BASE + n))
		SERVER_PUBLIC_URL=http://localhost:$((HJ_HTTP_BASE + 1))
		CLUSTER_WRITE_MODE='${HJ_WRITE_MODE:-reject}'
		LOG_LEVEL='${LOG_LEVEL:-info}'
		END
        if [[ -n $dsn ]]; then
          echo "STORAGE_DSN='$dsn'"
        else
          # What measures a cluster sends all it can from one address.
          echo "RATE_ENABLED=0"
        fi
      } >"$HJ_HOME/node$n.env.new"
    )
    mv "$HJ_HOME/node$n.env.new" "$HJ_HOME/node$n.env"
  done
  ln -sfn "$HJ_BIN" "$HJ_HOME/bin/hellojohn"
}

# Development certificates: one CA, one certificate a node.
cluster_certificates() {
  [[ -e $HJ_HOME/certs/ca.pem ]] && return 0
  say "making development certificates in $HJ_HOME/certs"
  local n nodes=()
  for n in "${HJ_NODES[@]}"; do nodes+=(--node "node$n"); done
  "$HJ_BIN" cluster certs --out "$HJ_HOME/certs" "${nodes[@]}" >/dev/null
}

# hj N ARGUMENT…: the command line with the settings of node N and nothing else of this environment but
# HELLOJOHN_BEARER.
hj() {
  local n=$1 password
  shift
  password=$(sed -n "s/^HELLOJOHN_PASSWORD='\(.*\)'$/\1/p" "$HJ_HOME/env")
  (cd "$HJ_HOME" && exec env -i PATH="$PATH" HOME="${HOME:-/}" HELLOJOHN_ADMIN_URL="$(node_url "$n")" \
    HELLOJOHN_PASSWORD="$password" HELLOJOHN_BEARER="${HELLOJOHN_BEARER:-}" "$HJ_BIN" --env-file "$HJ_HOME/node$n.env" "$@")
}

node_pid() { cat "$HJ_HOME/run/node$1.pid" 2>/dev/null; }

# True when the process of the pid file is there and is a hellojohn: a process id can be another's by now.
node_runs() {
  local pid
  pid=$(node_pid "$1") || return 1
  kill -0 "$pid" 2>/dev/null || return 1
  if [[ -r /proc/$pid/cmdline ]]; then
    tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q "node$1.env"
  else
    ps -p "$pid" -o args= | grep -q "node$1.env"
  fi
}

# What a server is started under, if anything: a command that keeps its process id.
HJ_WRAP=()

# Starts a node as a process of its own that outlives this script.
node_start() {
  local n=$1 log=$HJ_HOME/logs/node$1.log
  node_runs "$n" && return 0
  local detach=()
  if [[ -z ${HJ_ONE_SESSION:-} ]] && have setsid; then detach=(setsid); fi
  (
    cd "$HJ_HOME" || exit
    # Descriptor 9 is the lock of this script; the node must not hold it.
    exec env -i PATH="$PATH" HOME="${HOME:-/}" "${detach[@]}" "${HJ_WRAP[@]}" "$HJ_BIN" --env-file "$HJ_HOME/node$n.env" serve \
      >>"$log" 2>&1 </dev/null 9>&-
  ) &
  local pid=$!
  # The shell is not to tell of its end, which may be wanted.
  disown "$pid"
  echo "$pid" >"$HJ_HOME/run/node$n.pid"
  # Until then the process is still this shell, and would not be known for a node.
  wait_for 10 started_or_gone "$n" "$pid" || die "node$n was not started in 10 s"
}

started_or_gone() { node_runs "$1" || all_gone "$2"; }

# Stops nodes politely, all at the same time, and kills what does not end.
nodes_stop() {
  local n pid pids=()
  for n in "$@"; do
    if node_runs "$n"; then
      pid=$(node_pid "$n")
      pids+=("$pid")
      kill -TERM "$pid" 2>/dev/null || true
    fi
  done
  local gone=1
  if ((${#pids[@]})); then
    wait_for 30 all_gone "${pids[@]}" || gone=0
    if ((gone == 0)); then
      note "a node did not stop in 30 s; killing it"
      kill -KILL "${pids[@]}" 2>/dev/null || true
    fi
  fi
  for n in "$@"; do rm -f "$HJ_HOME/run/node$n.pid"; done
}

all_gone() {
  local pid
  for pid in "$@"; do
    # A zombie is gone: its parent is another script that has not asked yet. Not before its last thread, though: until then
    # its ports are in use.
    if kill -0 "$pid" 2>/dev/null && ! is_zombie "$pid"; then return 1; fi
  done
}

is_zombie() {
  awk '$1 == "State:" {zombie = $2 == "Z"} $1 == "Threads:" {threads = $2} END {exit !(zombie && threads <= 1)}' \
    "/proc/$1/status" 2>/dev/null
}

# HTTP status of a node's /readyz (with an optional query); 000 when it does not answer.
node_status() {
  curl -s -m 3 -o /dev/null -w '%{http_code}' "$(node_url "$1")/readyz${2:-}" 2>/dev/null || true
}

# Number of the node that leads, or nothing.
cluster_leader() {
  local n
  for n in "${HJ_NODES[@]}"; do
    if [[ $(node_status "$n" '?role=leader') == 200 ]]; then
      echo "$n"
      return 0
    fi
  done
  return 1
}

# The reason why a node is not well, as far as it told.
node_complaint() {
  local log=$HJ_HOME/logs/node$1.log lines
  note "the end of $log:"
  lines=$(grep -E '"level":"(ERROR|WARN)"|^error' "$log" 2>/dev/null | tail -n 5 || true)
  { if [[ -n $lines ]]; then printf '%s\n' "$lines"; else tail -n 10 "$log" 2>/dev/null; fi; } |
    sed 's/^/      /' >&2 || true
}

# Waits until all nodes are ready and one leads; tells the reason when they are not in time.
cluster_wait_ready() {
  local deadline=$((SECONDS + HJ_READY_SECONDS)) n status line last="" ready
  while :; do
    line='' ready=1
    for n in "${HJ_NODES[@]}"; do
      if ! node_runs "$n"; then
        node_complaint "$n"
        die "node$n ended; its reason is above"
      fi
      status=$(node_status "$n")
      case $status in
        200) line+=" node$n ready;" ;;
        000) line+=" node$n not listening yet;" ready=0 ;;
        *)
          line+=" node$n $(node_waits_for "$n");"
          ready=0
          ;;
      esac
    done
    if [[ $line != "$last" ]]; then note "${line# }"; fi
    last=$line
    if ((ready)) && cluster_leader >/dev/null; then return 0; fi
    if ((SECONDS >= deadline)); then break; fi
    sleep 0.2
  done
  for n in "${HJ_NODES[@]}"; do
    [[ $(node_status "$n") == 200 ]] || node_complaint "$n"
  done
  die "the nodes were not all ready after $HJ_READY_SECONDS s; what they said is above and in $HJ_HOME/logs"
}

# What a node that is not ready says it waits for.
node_waits_for() {
  local why
  why=$(curl -s -m 3 "$(node_url "$1")/readyz" 2>/dev/null | jq -r '.failing[0].detail // empty' 2>/dev/null || true)
  echo "${why:-starting}"
}

# Stops everything of this home; for traps.
cluster_stop() {
  nodes_stop "${HJ_NODES[@]}"
  pg_stop
}

# Removes HJ_HOME with all data.
cluster_wipe() {
  local target
  if [[ -L $HJ_HOME/postgres ]]; then
    target=$(readlink "$HJ_HOME/postgres")
    case $target in
      /var/tmp/hellojohn-postgres-*) rm -rf "$target" ;;
    esac
  fi
  rm -rf "$HJ_HOME"
}
