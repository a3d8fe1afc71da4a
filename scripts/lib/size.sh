# shellcheck shell=bash
# What is measured of a cluster's size: memory, bytes on disk, times. Sourced by bench-size and soak.

# A token for the load generator, for as long as mint-token gives one.
size_token() { (umask 077 && hj "$1" admin mint-token --ttl 10m >"$HJ_HOME/token"); }

# load_prepare: LOAD_ARGUMENTS, what the load generator needs to reach all nodes, with a fresh token.
load_prepare() {
  local n
  LOAD_ARGUMENTS=(--target hellojohn --token-file "$HJ_HOME/token")
  for n in "${HJ_NODES[@]}"; do LOAD_ARGUMENTS+=(--url "$(node_url "$n")"); done
  size_token "$(cluster_leader || echo 1)"
}

# load COMMAND ARGUMENT…: the load generator against all nodes.
load() {
  local command=$1
  shift
  load_prepare
  "$HJ_LOAD" "$command" "${LOAD_ARGUMENTS[@]}" "$@"
}

# Resident memory of a node in MiB, now and at most since it started: `rss_mib 1 VmRSS`, `rss_mib 1 VmHWM`.
rss_mib() { awk -v name="$2:" '$1 == name {printf "%.0f", $2 / 1024}' "/proc/$(node_pid "$1")/status" 2>/dev/null; }

# Bytes of files below a directory; files may go while they are counted.
tree_bytes() { find "$1" -type f -printf '%s\n' 2>/dev/null | awk '{sum += $1} END {printf "%.0f", sum}'; }
mib() { awk -v bytes="$1" 'BEGIN {printf "%.1f", bytes / 1048576}'; }

# node_field N FILTER: a value out of a node's /readyz.
node_field() { curl -s -m 3 "$(node_url "$1")/readyz" 2>/dev/null | jq -r "$2" 2>/dev/null || true; }

# Starts a node and prints the milliseconds until its /readyz was 200.
timed_start() {
  local began
  began=$(now_ms)
  node_start "$1"
  wait_ready_of "$1" "${2:-}"
  echo $(($(now_ms) - began))
}

# wait_ready_of N [voter]: looks every 20 ms; dies after two minutes.
wait_ready_of() {
  local deadline=$((SECONDS + 120))
  until [[ $(node_status "$1") == 200 ]] && { [[ -z ${2:-} ]] || [[ $(node_field "$1" .cluster.voter) == true ]]; }; do
    ((SECONDS < deadline)) || die "node$1 was not ready in 120 s; its log is in $HJ_HOME/logs"
    sleep 0.02
  done
}

# Whether all nodes have their files as the state is.
files_follow() {
  local n applied
  for n in "${HJ_NODES[@]}"; do
    applied=$(node_field "$n" .raft.applied_index)
    [[ -n $applied && $(node_field "$n" .cluster.fs.projected_index) -ge $applied ]] || return 1
  done
}

# Time and length of every snapshot that a node made, as its log tells: one a line. Not every line of a log is JSON.
snapshots_made() {
  cat "$HJ_HOME"/logs/node?.log |
    jq -rR 'fromjson? | select(.message? == "took a snapshot") | "\(.timestamp) \(.millis)"'
}

# Windows in which any node was making a snapshot: milliseconds since the epoch, from and to, one a line.
snapshot_windows() {
  local at millis
  snapshots_made | while read -r at millis; do
    at=$(date -d "$at" +%s%3N)
    echo "$((at - millis)) $at"
  done | sort -n
}

# split_samples SAMPLES WINDOWS DURING BESIDE: parts samples of writes by whether a snapshot was made meanwhile.
split_samples() {
  : >"$3"
  : >"$4"
  awk -v windows="$2" -v during="$3" -v beside="$4" '
    BEGIN {while ((getline line < windows) > 0) {split(line, ends, " "); from[++count] = ends[1]; to[count] = ends[2]}}
    {
      hit = 0
      for (i = 1; i <= count; i++) if ($1 <= to[i] && $1 + $2 >= from[i]) {hit = 1; break}
      print $2 > (hit ? during : beside)
    }' "$1"
}

# percentile FILE PERCENT: of the nearest rank; nothing of an empty file.
percentile() {
  sort -n "$1" | awk -v p="$2" '{value[NR] = $1} END {if (NR) {rank = int((NR * p + 99) / 100); print value[rank]}}'
}

# What others leave of the processors, over five seconds.
machine_rest() { vmstat 5 2 2>/dev/null | awk 'END {print $15 " % idle, " $17 " % stolen"}'; }
