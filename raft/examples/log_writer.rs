//! Writes to a Raft log and says on standard output what was acknowledged, so that tests can kill it, stop
//! it or watch its system calls.
//!
//! `log_writer DIR synced|page-cache-only PER_SECOND PAYLOAD COUNT KEEP`: appends entries of PAYLOAD bytes,
//! PER_SECOND of them (0: as fast as it goes) until COUNT are written (0: for ever), and keeps the last KEEP
//! when it purges (0: never purges). Prints `ack append INDEX` and `ack vote TERM`. Ends when its standard
//! input does, so that it never outlives the test.

#[path = "../tests/it/log_types.rs"]
mod log_types;

use std::error::Error;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use hellojohn_raft::log::Durability;
use openraft::Vote;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};

/// A vote after every so many entries.
const VOTE_EVERY: u64 = 7;
/// A purge after every so many entries.
const PURGE_EVERY: u64 = 100;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, durability, per_second, payload, count, keep] = args.as_slice() else {
        return Err("usage: log_writer DIR synced|page-cache-only PER_SECOND PAYLOAD COUNT KEEP".into());
    };
    let durability = match durability.as_str() {
        "synced" => Durability::Synced,
        "page-cache-only" => Durability::PageCacheOnly,
        other => return Err(format!("unknown durability {other:?}").into()),
    };
    let (per_second, payload): (u32, usize) = (per_second.parse()?, payload.parse()?);
    let (count, keep): (u64, u64) = (count.parse()?, keep.parse()?);
    std::thread::spawn(|| {
        // Whatever ends the read means that nobody is listening any more.
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0);
    });

    let mut store = log_types::open(Path::new(dir), durability)?;
    let mut next = store.get_log_state().await?.last_log_id.map_or(0, |id| id.index + 1);
    let end = if count == 0 { u64::MAX } else { next.saturating_add(count) };
    while next < end {
        store.blocking_append([log_types::numbered(next, payload)]).await?;
        println!("ack append {next}");
        if next % VOTE_EVERY == 0 {
            store.save_vote(&Vote::new(next + 1, 1)).await?;
            println!("ack vote {}", next + 1);
        }
        if keep > 0 && next % PURGE_EVERY == 0 && next > keep {
            store.purge(log_types::log_id(1, next - keep)).await?;
        }
        next += 1;
        if let Some(pause) = Duration::from_secs(1).checked_div(per_second) {
            tokio::time::sleep(pause).await;
        }
    }
    Ok(())
}
