//! How many passwords these processors compare in a second, with nothing around it: the yardstick of logins.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};
use clap::Args;
use serde_json::json;

/// Cost of a hash, and for how long and on how many threads.
#[derive(Debug, Args)]
pub(crate) struct Hashes {
    /// Memory of a hash, in KiB (`ARGON2_MEMORY_KIB`).
    #[arg(long, default_value_t = 65536)]
    memory_kib: u32,
    /// Passes over the memory (`ARGON2_ITERATIONS`).
    #[arg(long, default_value_t = 3)]
    iterations: u32,
    /// Lanes (`ARGON2_PARALLELISM`).
    #[arg(long, default_value_t = 2)]
    parallelism: u32,
    /// Threads; one a processor unless told.
    #[arg(long)]
    threads: Option<usize>,
    /// Seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

pub(crate) fn run(hashes: &Hashes) -> Result<(), String> {
    let params = Params::new(hashes.memory_kib, hashes.iterations, hashes.parallelism, Some(32));
    let params = params.map_err(|error| error.to_string())?;
    let threads =
        hashes.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let length = Duration::from_secs(hashes.seconds);
    let (begin, done) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (params, done) = (params.clone(), Arc::clone(&done));
            std::thread::spawn(move || {
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                let mut out = [0; 32];
                while begin.elapsed() < length {
                    argon2.hash_password_into(b"correct horse battery", &[7; 16], &mut out)?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<(), argon2::Error>(())
            })
        })
        .collect();
    for worker in workers {
        worker.join().map_err(|_| "a thread ended".to_owned())?.map_err(|error| error.to_string())?;
    }
    let hashed = u32::try_from(done.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
    let rate = f64::from(hashed) / begin.elapsed().as_secs_f64();
    println!("{}", json!({"threads": threads, "per_second": (rate * 10.0).round() / 10.0}));
    Ok(())
}
