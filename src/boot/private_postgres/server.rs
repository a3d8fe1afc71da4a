//! The processes: `initdb`, the server, and a server that an earlier process of ours left behind.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{sleep, timeout};

use super::binaries::Binaries;
use super::layout::{Layout, RunAs, tail};
use super::{
    Durability, PrivatePostgresError, PrivatePostgresOptions, Process, START, STOP, SUPERUSER, file,
};

/// A command that runs as the server's user, in a directory that this user may enter.
fn command(program: &PathBuf, layout: &Layout, run_as: RunAs) -> Command {
    let mut command = Command::new(program);
    command.current_dir(&layout.root).env("LC_ALL", "C").env_remove("PGDATA").stdin(Stdio::null());
    match run_as {
        RunAs::Us => {}
        RunAs::Other(uid, gid) => {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
    }
    command
}

/// Makes the data directory; what an interrupted attempt left is cleared away first.
pub(super) async fn initialise(
    binaries: &Binaries,
    layout: &Layout,
    run_as: RunAs,
    durability: Durability,
) -> Result<(), PrivatePostgresError> {
    // Built beside its place and renamed, so that a half-made directory is never taken for a whole one.
    let building = layout.root.join("data.new");
    if building.exists() {
        std::fs::remove_dir_all(&building).map_err(|error| file("remove", &building, error))?;
    }
    let mut initdb = command(&binaries.initdb, layout, run_as);
    initdb
        .arg("-D")
        .arg(&building)
        .arg("--pwfile")
        .arg(&layout.password)
        .args(["-U", SUPERUSER, "-E", "UTF8", "--locale=C"])
        .args(["--auth-local=trust", "--auth-host=scram-sha-256"]);
    match durability {
        Durability::Kept => {}
        Durability::ThrowAway => {
            // Small segments of the log: less to make and to copy.
            initdb.args(["--no-sync", "--wal-segsize=1"]);
        }
    }
    let mut initdb = tokio::process::Command::from(initdb);
    let failed =
        |outcome: String, output: String| PrivatePostgresError::Failed { program: "initdb", outcome, output };
    let output = match timeout(START, initdb.kill_on_drop(true).output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(failed(error.to_string(), reach(layout))),
        Err(_) => return Err(failed(format!("not done after {} s", START.as_secs()), String::new())),
    };
    if !output.status.success() {
        return Err(failed(output.status.to_string(), tail(&output.stderr)));
    }
    std::fs::rename(&building, &layout.data).map_err(|error| file("rename", &building, error))
}

/// A process that cannot be started although the program is there: most often the directory is out of reach.
fn reach(layout: &Layout) -> String {
    format!("can the user that runs PostgreSQL enter {} and every directory above it?", layout.root.display())
}

/// Starts the server; it may not take connections yet.
pub(super) fn spawn(
    binaries: &Binaries,
    layout: &Layout,
    run_as: RunAs,
    options: &PrivatePostgresOptions,
) -> Result<Process, PrivatePostgresError> {
    let open = || OpenOptions::new().create(true).append(true).open(&layout.log);
    let log = open().map_err(|error| file("open", &layout.log, error))?;
    let log_too = log.try_clone().map_err(|error| file("open", &layout.log, error))?;
    let mut server = command(&binaries.postgres, layout, run_as);
    server.arg("-D").arg(&layout.data).arg("-k").arg(&layout.socket).stdout(log).stderr(log_too);
    let mut set = |name: &str, value: &str| {
        server.arg("-c").arg(format!("{name}={value}"));
    };
    set("listen_addresses", if options.tcp_port.is_some() { "127.0.0.1" } else { "" });
    set("port", &options.tcp_port.unwrap_or(super::SOCKET_PORT).to_string());
    set("unix_socket_permissions", "0700");
    set("max_connections", &options.max_connections.to_string());
    match options.durability {
        Durability::Kept => {
            // Ctrl-C on the terminal is for us; we stop the server when nobody needs it any more.
            server.process_group(0);
        }
        Durability::ThrowAway => {
            for name in ["fsync", "synchronous_commit", "full_page_writes"] {
                set(name, "off");
            }
        }
    }
    let failed = |outcome: String| PrivatePostgresError::Failed {
        program: "postgres",
        outcome,
        output: reach(layout),
    };
    let mut child = server.spawn().map_err(|error| failed(error.to_string()))?;
    let pid = i32::try_from(child.id()).map_err(|error| failed(error.to_string()))?;
    let (send, ended) = sync_channel(1);
    let waiter = std::thread::Builder::new()
        .name("private-postgres".to_owned())
        .spawn(move || {
            // Nobody listens any more if the owner gave up waiting; the process is reaped all the same.
            drop(send.send(child.wait()));
        })
        .map_err(|error| failed(error.to_string()))?;
    Ok(Process { pid: Pid::from_raw(pid), ended, waiter: Some(waiter) })
}

/// Stops a server on this directory that outlived the process of ours that had started it. The caller holds the
/// lock, so that process is gone.
pub(super) async fn stop_orphan(layout: &Layout) -> Result<(), PrivatePostgresError> {
    let Some(server) = layout.server() else { return Ok(()) };
    // A process id in an old file may be another process by now; a server works in its data directory. Where
    // this cannot be told, the new server finds out by itself and says so.
    let here = || {
        let place = std::fs::read_link(format!("/proc/{}/cwd", server.pid)).ok();
        place.is_some() && place == std::fs::canonicalize(&layout.data).ok()
    };
    if !here() {
        return Ok(());
    }
    tracing::warn!(pid = server.pid.as_raw(), "stopping a private PostgreSQL that was left behind");
    let deadline = Instant::now() + STOP;
    if let Err(error) = kill(server.pid, Signal::SIGINT) {
        tracing::debug!(%error, "it was gone already");
    }
    while here() {
        if Instant::now() >= deadline {
            return Err(PrivatePostgresError::InUse(layout.root.clone()));
        }
        sleep(std::time::Duration::from_millis(20)).await;
    }
    Ok(())
}
