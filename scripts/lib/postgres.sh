# shellcheck shell=bash
# A private PostgreSQL below HJ_HOME; sourced by lib.sh.

# Prints the directory with initdb and postgres, looked for where src/boot/private_postgres/binaries.rs looks.
pg_bin() {
  local directory
  while read -r directory; do
    if [[ -x $directory/initdb && -x $directory/postgres ]]; then
      echo "$directory"
      # With the 0: called from a trap a bare one gives the status from before the trap.
      return 0
    fi
  done < <(
    find /usr/lib/postgresql /usr/local/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -rV
    printf '%s\n' /usr/bin /usr/local/bin /usr/local/pgsql/bin /opt/homebrew/bin
    if have pg_config; then pg_config --bindir; fi
  )
  return 1
}

# The system user that PostgreSQL runs as when we are root, which it refuses.
pg_user() {
  local user
  for user in postgres nobody; do
    if id -u "$user" >/dev/null 2>&1; then
      echo "$user"
      return 0
    fi
  done
  die "PostgreSQL does not run as root, and this system has neither a user postgres nor nobody; create one"
}

# Runs a program as the user that PostgreSQL may run as.
pg_as() {
  if ((EUID == 0)); then
    local user
    user=$(pg_user)
    # Not su: its shell and session get in the way of signals.
    set -- setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups "$@"
  fi
  # Descriptor 9 is the lock of this script; a server must not hold it.
  (cd / && exec env -i PATH="$PATH" HOME=/ LC_ALL=C "$@" 9>&-)
}

# pg_directory: prints the directory of the private server and makes it. The layout is that of
# src/boot/private_postgres/layout.rs. When root works in a directory that PostgreSQL's user cannot reach, or the
# path is too long for a socket, HJ_HOME/postgres becomes a link to a directory below /var/tmp.
pg_directory() {
  local directory=$HJ_HOME/postgres
  if [[ ! -e $directory ]]; then
    local target=$directory
    if ((${#directory} > 80)) || { ((EUID == 0)) && ! pg_as test -x "$HJ_HOME"; }; then
      target=/var/tmp/hellojohn-postgres-$(printf %s "$directory" | cksum | cut -d' ' -f1)
      # Left over from a home that was removed by hand.
      rm -rf "$target"
      ln -s "$target" "$directory"
      note "PostgreSQL's user cannot work in $directory; its data is in $target"
    fi
    mkdir -m 700 "$target"
    mkdir -m 700 "$target/run"
    head -c 24 /dev/urandom | od -An -vtx1 | tr -d ' \n' | (umask 077 && cat >"$target/password")
    if ((EUID == 0)); then
      chown -R "$(pg_user)" "$target"
    fi
  fi
  (cd "$directory" && pwd -P)
}

# Starts the private server of HJ_HOME unless it runs, and makes the database. Keeps what it holds.
pg_start() {
  local bin directory
  bin=$(pg_bin) || die "no PostgreSQL programs found; install the package postgresql and run this again"
  directory=$(pg_directory)
  if [[ ! -e $directory/data/PG_VERSION ]]; then
    say "making a private PostgreSQL in $HJ_HOME/postgres"
    pg_as rm -rf "$directory/data.new"
    pg_as "$bin/initdb" -D "$directory/data.new" -U postgres -E UTF8 --locale=C --pwfile "$directory/password" \
      --auth-local=trust --auth-host=scram-sha-256 >/dev/null ||
      die "initdb failed; its words are above"
    pg_as mv "$directory/data.new" "$directory/data"
  fi
  if ! pg_as "$bin/pg_ctl" -D "$directory/data" status >/dev/null 2>&1; then
    say "starting PostgreSQL on 127.0.0.1:$HJ_PG_PORT and a socket in $HJ_HOME/postgres/run"
    pg_as "$bin/pg_ctl" -D "$directory/data" -w -t 60 -l "$directory/server.log" -o "-k '$directory/run' \
      -c listen_addresses=127.0.0.1 -c port=$HJ_PG_PORT -c unix_socket_permissions=0700 -c max_connections=200" \
      start >/dev/null </dev/null || {
      tail -n 5 "$directory/server.log" >&2
      die "PostgreSQL did not start; its log is $HJ_HOME/postgres/server.log, its last lines are above"
    }
  fi
  # Asked for by the name of the database, so that "it exists" is not told by an error text.
  local psql=("$bin/psql" -h "$directory/run" -p "$HJ_PG_PORT" -U postgres -X -q -t -A -d postgres)
  if [[ $(pg_as "${psql[@]}" -c "SELECT 1 FROM pg_database WHERE datname = 'hellojohn'") != 1 ]]; then
    pg_as "${psql[@]}" -c 'CREATE DATABASE hellojohn' || die "cannot make the database hellojohn"
  fi
}

# Stops the private server of HJ_HOME if there is one.
pg_stop() {
  local bin directory
  [[ -e $HJ_HOME/postgres/data/postmaster.pid ]] || return 0
  directory=$(pg_directory)
  bin=$(pg_bin) || return 0
  pg_as "$bin/pg_ctl" -D "$directory/data" -m fast -w -t 30 stop >/dev/null 2>&1 ||
    pg_as "$bin/pg_ctl" -D "$directory/data" -m immediate -w -t 10 stop >/dev/null 2>&1 ||
    note "PostgreSQL in $HJ_HOME/postgres was not running or does not stop"
}
