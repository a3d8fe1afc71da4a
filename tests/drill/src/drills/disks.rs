//! F9 and F10: a disk hangs, a disk is full.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use nix::unistd::{Pid, Uid};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{sleep, timeout};

use super::crashes::BREATH;
use crate::cluster::PATIENCE;
use crate::cluster::settings::name;
use crate::net::NODES;
use crate::run::{Run, Setup};
use crate::waiting::until;

const HANG: Duration = Duration::from_secs(10);
/// Megabytes for `raft/`, and for all files of a node.
const LOG_MB: u64 = 64;
const FILES_MB: u64 = 16;

/// Needs strace, which holds up the syncs.
#[expect(clippy::unnecessary_wraps, reason = "one of several functions of one type")]
pub(super) fn traced(_setup: &mut Setup) -> Result<(), String> {
    Ok(())
}

/// What makes things durable.
const SYNCS: &str = "fdatasync,fsync";
/// What brings the log to the disk at all: killed meanwhile, a process leaves less of it than its peers may have.
const WRITES: &str = "pwrite64,fdatasync,fsync";

/// While it lives, every sync of a process is held up or fails. The process itself goes on.
pub(crate) struct BadDisk {
    strace: Child,
    /// Kept open: strace tells of every new thread, and would end if nobody could hear it.
    _words: Lines<BufReader<ChildStderr>>,
}

impl BadDisk {
    async fn slow(pid: Pid, by: Duration) -> Result<Self, String> {
        Self::under(pid, SYNCS, &format!("delay_enter={}", by.as_micros())).await
    }

    /// Writes take longer, too.
    pub(crate) async fn slow_to_write(pid: Pid, by: Duration) -> Result<Self, String> {
        Self::under(pid, WRITES, &format!("delay_enter={}", by.as_micros())).await
    }

    pub(crate) async fn failing(pid: Pid) -> Result<Self, String> {
        Self::under(pid, SYNCS, "error=EIO").await
    }

    async fn under(pid: Pid, calls: &str, how: &str) -> Result<Self, String> {
        let inject = format!("inject={calls}:{how}");
        let mut strace = Command::new("strace")
            .args([
                "-f",
                "-p",
                &pid.to_string(),
                "-o",
                "/dev/null",
                "-e",
                &format!("trace={calls}"),
                "-e",
                &inject,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("strace cannot be started: {error}"))?;
        let stderr = strace.stderr.take().ok_or("strace has no stderr")?;
        let mut lines = BufReader::new(stderr).lines();
        let attached = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.contains("attached") {
                    return true;
                }
            }
            false
        };
        match timeout(Duration::from_secs(10), attached).await {
            Ok(true) => Ok(Self { strace, _words: lines }),
            Ok(false) | Err(_) => Err(format!("strace does not trace {pid}")),
        }
    }

    /// Ends it; it has ended by itself where the process has.
    pub(crate) async fn end(mut self) -> Result<(), String> {
        self.strace.kill().await.map_err(|error| format!("strace does not end: {error}"))
    }
}

/// F9: leadership moves, and writes go on.
pub(super) fn hang(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        let leader = run.leader().await?;
        let pid = run.cluster.process(leader)?.pid();
        // Longer than the hang, so that not one sync gets through during it.
        let slow = BadDisk::slow(pid, Duration::from_secs(60)).await?;
        let hung = tokio::time::Instant::now();
        let moved = run.cluster.leader_other_than(Some(leader), PATIENCE).await;
        let after = hung.elapsed();
        let flowed = run.load.flows(50).await;
        tokio::time::sleep_until(hung + HANG).await;
        slow.end().await?;
        moved?;
        flowed?;
        run.note(format!("leadership moved after {} ms", after.as_millis()));
        run.expect(after < HANG, "leadership moves while the disk hangs");
        let ended = !run.cluster.runs(leader);
        run.note(format!("the process of the old leader {}", if ended { "ended" } else { "went on" }));
        sleep(BREATH).await;
        Ok(())
    }
    .boxed_local()
}

/// F10: a sync that fails is as fatal as a full disk.
pub(super) fn io_error(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        for _ in 0..2 {
            let leader = run.leader().await?;
            let disk = BadDisk::failing(run.cluster.process(leader)?.pid()).await?;
            let ended = run.cluster.ended(leader, Duration::from_secs(30)).await;
            disk.end().await?;
            match ended {
                Ok(status) => {
                    run.expect(
                        !status.success(),
                        &format!("the leader ends with a failing code, not {status}"),
                    );
                }
                Err(_) => run.expect(false, "a leader whose syncs fail ends within 30 s"),
            }
            run.load.flows(50).await?;
            run.cluster.start_node(leader)?;
            run.cluster.healthy().await?;
            sleep(BREATH).await;
        }
        Ok(())
    }
    .boxed_local()
}

/// Each node's files in memory and small, `raft/` apart from the rest.
pub(super) fn small(setup: &mut Setup) -> Result<(), String> {
    if !Uid::effective().is_root() {
        return Err("small file systems need root".to_owned());
    }
    for node in 0..NODES {
        setup.settings.mounts.insert(name(node), FILES_MB);
        setup.settings.mounts.insert(format!("{}/raft", name(node)), LOG_MB);
    }
    Ok(())
}

/// Fills the file system of a directory to the last byte.
fn fill(directory: &Path) -> Result<PathBuf, String> {
    let path = directory.join("filler");
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::create(&path).map_err(failed)?;
    for size in [1 << 20, 1 << 12, 1] {
        let block = vec![0xff; size];
        // Ends with ENOSPC, which is what is wanted.
        while file.write_all(&block).is_ok() {}
    }
    Ok(path)
}

fn free(filler: &Path) -> Result<(), String> {
    std::fs::remove_file(filler).map_err(|error| format!("{}: {error}", filler.display()))
}

/// F10: a node whose log cannot be written leaves service loudly, the others go on, and it returns with space.
pub(super) fn full_log(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        for turn in 0..2 {
            let leader = run.leader().await?;
            let (victim, role) =
                if turn == 0 { ((leader + 1) % NODES, "follower") } else { (leader, "leader") };
            let filler = fill(&run.cluster.root(victim).join("raft"))?;
            let ended = run.cluster.ended(victim, Duration::from_secs(30)).await;
            free(&filler)?;
            match ended {
                Ok(status) => {
                    run.expect(
                        !status.success(),
                        &format!("the {role} ends with a failing code, not {status}"),
                    );
                    run.note(format!("the {role} ended with {status}"));
                }
                Err(_) => run.expect(false, &format!("the {role} whose log disk is full ends within 30 s")),
            }
            run.load.flows(50).await?;
            run.cluster.start_node(victim)?;
            run.cluster.healthy().await?;
            sleep(BREATH).await;
        }
        Ok(())
    }
    .boxed_local()
}

/// F10: files that cannot be written are told and repaired, and cost no write.
pub(super) fn full_files(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        let leader = run.leader().await?;
        for victim in [(leader + 1) % NODES, leader] {
            let filler = fill(&run.cluster.root(victim))?;
            let directory = std::sync::Arc::clone(&run.cluster.directory);
            let degraded = async |wanted: bool| {
                until(&format!("fs_degraded {wanted}"), Duration::from_secs(30), async || {
                    directory.status(victim).await.filter(|status| status.fs_degraded == wanted)
                })
                .await
            };
            let told = degraded(true).await;
            let flowed = run.load.flows(50).await;
            free(&filler)?;
            let status = told?;
            flowed?;
            run.expect(status.ready, "a node with degraded files stays ready");
            degraded(false).await?;
        }
        let changes = run.elections();
        run.expect(changes == 0, "no election because of files");
        Ok(())
    }
    .boxed_local()
}
