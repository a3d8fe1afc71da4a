//! fsyncs side by side: the disk commits many of them at once, so eight threads take a sixth of the time.

use std::io;
use std::thread;

const THREADS: usize = 8;

/// Runs `step` on each item, on a few threads, and gives the results in the items' order.
pub(super) fn each<T: Sync>(items: &[T], step: impl Fn(&T) -> io::Result<()> + Sync) -> Vec<io::Result<()>> {
    if items.len() <= 1 {
        return items.iter().map(step).collect();
    }
    let step = &step;
    let chunks: Vec<&[T]> = items.chunks(items.len().div_ceil(THREADS)).collect();
    thread::scope(|scope| {
        let threads: Vec<_> = chunks
            .iter()
            .map(|chunk| {
                let work = move || chunk.iter().map(step).collect::<Vec<_>>();
                (chunk.len(), thread::Builder::new().name("projector-sync".into()).spawn_scoped(scope, work))
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|(len, thread)| match thread.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(results)) => results,
                Ok(Err(_)) => failed(len, "a thread of the projector panicked"),
                Err(error) => failed(len, &format!("cannot start a thread: {error}")),
            })
            .collect()
    })
}

fn failed(len: usize, why: &str) -> Vec<io::Result<()>> {
    (0..len).map(|_| Err(io::Error::other(why.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_items() {
        for len in [0_u32, 1, 2, 7, 8, 9, 64, 65] {
            let items: Vec<u32> = (0..len).collect();
            let results =
                each(
                    &items,
                    |item| {
                        if item % 3 == 0 { Err(io::Error::other(item.to_string())) } else { Ok(()) }
                    },
                );
            assert_eq!(results.len(), items.len());
            for (item, result) in items.iter().zip(results) {
                match result {
                    Ok(()) => assert_ne!(item % 3, 0),
                    Err(error) => assert_eq!(error.to_string(), item.to_string()),
                }
            }
        }
    }
}
