//! The order of system calls behind an acknowledgement, seen by strace; needs no root (ha.md: "shown by
//! counting fdatasync/fsync per acknowledged write under strace").

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

use hellojohn_raft::log::Durability;

use crate::process::{Load, binary};

const APPENDS: u64 = 40;

/// Acknowledgements that were checked, or the first that came too early.
#[derive(Debug, Default, PartialEq, Eq)]
struct Checked {
    appends: usize,
    votes: usize,
}

#[test]
fn every_acknowledgement_follows_a_sync_that_follows_its_write() {
    let Some(trace) = trace(Durability::Synced) else { return };
    let checked = check(&trace).unwrap();
    assert_eq!(checked, Checked { appends: 40, votes: 6 });
}

/// The test above can fail: it does when the explicit sync is taken out.
#[test]
fn without_the_explicit_sync_the_order_is_wrong() {
    let Some(trace) = trace(Durability::PageCacheOnly) else { return };
    let error = check(&trace).unwrap_err();
    assert!(error.contains("not synced"), "{error}");
}

/// Runs the writer under strace; `None`, loudly, where that is impossible.
fn trace(durability: Durability) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("strace.out");
    let load = Load { durability, per_second: 0, payload: 200, count: APPENDS, keep: 0 };
    let mut command = Command::new("strace");
    command
        .args(["-f", "-y", "-e", "trace=pwrite64,write,fdatasync,fsync", "-o"])
        .arg(&out)
        .arg(binary())
        .args(load.args(&dir.path().join("log")))
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let ran = command.spawn().and_then(|mut child| {
        // Kept open until it ends by itself, which it does after APPENDS entries.
        let stdin = child.stdin.take();
        let output = child.wait_with_output();
        drop(stdin);
        output
    });
    match ran {
        Ok(output) if output.status.success() => Some(std::fs::read_to_string(&out).unwrap()),
        Ok(output) if Path::new(&out).metadata().is_ok_and(|found| found.len() > 0) => {
            panic!("log_writer failed under strace: {}", output.status)
        }
        Ok(output) => skipped(&format!("strace cannot trace here: {}", output.status)),
        Err(error) => skipped(&format!("strace cannot be started: {error}")),
    }
}

fn skipped(reason: &str) -> Option<String> {
    eprintln!("SKIPPED: syscalls: {reason}");
    None
}

/// Reads the trace in time order. Every write to sled's `db` makes it dirty; a sync that began after the
/// last write ended makes it clean when it ends; an acknowledgement needs a write since the one before,
/// and a clean file.
fn check(trace: &str) -> Result<Checked, String> {
    let mut checked = Checked::default();
    let mut clock = 0_usize;
    let mut last_write = None;
    let mut written_since_ack = false;
    let mut synced_from = None;
    let mut unfinished: HashMap<&str, (&str, usize)> = HashMap::new();
    for line in trace.lines() {
        clock += 1;
        let Some((pid, event)) = line.split_once(' ') else { continue };
        let event = event.trim_start();
        let (call, began, ended) = if let Some(call) = event.strip_suffix("<unfinished ...>") {
            unfinished.insert(pid, (call, clock));
            (call, clock, false)
        } else if event.starts_with("<...") {
            match unfinished.remove(pid) {
                Some((call, began)) => (call, began, true),
                None => continue,
            }
        } else {
            (event, clock, true)
        };
        let on_db = call.contains("/log/db>");
        if call.starts_with("pwrite64(") && on_db {
            last_write = Some(clock);
            written_since_ack = true;
        } else if (call.starts_with("fdatasync(") || call.starts_with("fsync(")) && on_db {
            if ended && event.ends_with("= 0") {
                synced_from = synced_from.max(Some(began));
            }
        } else if call.starts_with("write(1<") && call.contains("\"ack ") && began == clock {
            if !written_since_ack {
                return Err(format!("line {clock}: acknowledged without any write: {line}"));
            }
            if synced_from < last_write {
                return Err(format!("line {clock}: acknowledged, but the last write was not synced: {line}"));
            }
            written_since_ack = false;
            checked.appends += usize::from(call.contains("ack append"));
            checked.votes += usize::from(call.contains("ack vote"));
        }
    }
    Ok(checked)
}

#[test]
fn the_checker_itself_tells_right_from_wrong() {
    let write = "7 pwrite64(3</t/log/db>, \"x\", 1, 0) = 1\n";
    let sync = "8 fdatasync(4</t/log/db>) = 0\n";
    let ack = "9 write(1<pipe:[1]>, \"ack append 0\\n\", 13) = 13\n";
    let run = |lines: &[&str]| check(&lines.concat());
    assert_eq!(run(&[write, sync, ack]), Ok(Checked { appends: 1, votes: 0 }));
    assert!(run(&[write, ack]).is_err(), "no sync");
    assert!(run(&[sync, write, ack]).is_err(), "sync before the write");
    assert!(run(&[write, sync, ack, ack]).is_err(), "one sync for two separate acknowledgements");
    assert!(run(&[write, "8 fdatasync(4</t/log/db>) = -1 EIO (Input/output error)\n", ack]).is_err());
    assert!(run(&[write, "8 fdatasync(4</t/log/other>) = 0\n", ack]).is_err(), "another file");
    let begins = "8 fdatasync(4</t/log/db> <unfinished ...>\n";
    let ends = "8 <... fdatasync resumed>) = 0\n";
    assert!(run(&[write, begins, ends, ack]).is_ok());
    assert!(run(&[write, begins, ack, ends]).is_err(), "acknowledged before the sync ended");
    assert!(run(&[begins, write, ends, ack]).is_err(), "written while the sync was running");
}
