# shellcheck shell=bash
# One round of a drill: writes flow, a fault, healing, check. Sourced by failover-drill and bench-etcd.

# drill_begin TARGET ARGUMENT…: starts the load and returns when writes flow.
drill_begin() {
  coproc LOAD { exec "$HJ_LOAD" drill --target "$@"; }
  # The variables go away with the process, which may end at any time.
  # shellcheck disable=SC2153 # set by coproc
  drill_out=${LOAD[0]} drill_in=${LOAD[1]} drill_pid=$LOAD_PID
  drill_expect warm
}

# drill_mark: from now on, gaps count.
drill_mark() {
  echo mark >&"$drill_in"
  drill_expect marked
}

drill_expect() {
  local line
  read -r -t 60 line <&"$drill_out" || die "the load generator ended or says nothing; its words are above"
  [[ $line == "$1" ]] || die "the load generator said $line instead of $1"
}

# drill_end: after healing; sets DRILL to the result, a JSON object. False if acknowledged writes were lost.
drill_end() {
  echo stop >&"$drill_in"
  # shellcheck disable=SC2034 # for the scripts that source this file
  read -r -t 120 DRILL <&"$drill_out" || die "the load generator did not finish; its words are above"
  local status=0
  wait "$drill_pid" || status=$?
  drill_pid=
  return "$status"
}

# For traps: ends the load generator if one runs. Never without its id, which would mean the whole process group,
# nor with the id of one that has ended, which may be somebody else's by now.
drill_pid=
drill_abort() {
  if [[ -n $drill_pid ]] && grep -qs 'load' "/proc/$drill_pid/comm"; then kill "$drill_pid" 2>/dev/null || true; fi
}
