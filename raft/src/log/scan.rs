//! Keys of the log tree, and reading whole records back out of their chunks.

use std::ops::Range;

/// The key of chunk `number` of the entry at `index`; the head is chunk 0 and has the bare index as key.
pub(super) fn key(index: u64, number: u32) -> Vec<u8> {
    let mut key = index.to_be_bytes().to_vec();
    if number > 0 {
        key.extend_from_slice(&number.to_be_bytes());
    }
    key
}

/// All chunks found under one index, joined.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) index: u64,
    /// False for a torn entry, of which only continuation chunks reached the disk.
    pub(super) has_head: bool,
    pub(super) bytes: Vec<u8>,
}

/// The records with an index in `range`, in order.
pub(super) fn records(
    tree: &sled::Tree,
    range: Range<u64>,
) -> impl Iterator<Item = Result<Record, sled::Error>> {
    let mut chunks = tree.range(key(range.start, 0)..key(range.end, 0)).peekable();
    std::iter::from_fn(move || {
        let mut record = match chunks.next()? {
            Ok((key, value)) => match split(&key) {
                Some((index, number)) => Record { index, has_head: number == 0, bytes: value.to_vec() },
                None => return Some(Err(sled::Error::ReportableBug(format!("strange key {key:?}")))),
            },
            Err(error) => return Some(Err(error)),
        };
        while let Some(Ok((_, value))) = chunks.next_if(
            |next| matches!(next, Ok((key, _)) if split(key).is_some_and(|(index, _)| index == record.index)),
        ) {
            record.bytes.extend_from_slice(&value);
        }
        Some(Ok(record))
    })
}

fn split(key: &[u8]) -> Option<(u64, u32)> {
    let (index, rest) = key.split_first_chunk::<8>()?;
    let number = match rest {
        [] => 0,
        rest => u32::from_be_bytes(rest.try_into().ok()?),
    };
    Some((u64::from_be_bytes(*index), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_index_then_chunk() {
        let mut keys = vec![key(2, 0), key(1, 2), key(256, 0), key(1, 0), key(1, 1)];
        keys.sort();
        assert_eq!(keys, vec![key(1, 0), key(1, 1), key(1, 2), key(2, 0), key(256, 0)]);
        assert_eq!(split(&key(7, 3)), Some((7, 3)));
        assert_eq!(split(&key(7, 0)), Some((7, 0)));
        assert_eq!(split(b"short"), None);
        assert_eq!(split(b"elevenbytes"), None);
    }
}
