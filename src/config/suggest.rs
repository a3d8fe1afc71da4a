//! "Did you mean": the nearest known name to a mistyped one.

use std::cmp::Reverse;

/// The candidate at most `limit` edits away, the nearest first; an edit is an insertion, a deletion, a
/// replacement or a swap of neighbours.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
    limit: usize,
) -> Option<&'a str> {
    candidates
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, candidate)| (*edits, Reverse(shared_start(name, candidate))))
        .map(|(_, candidate)| candidate)
}

/// Between equally near names the one that begins alike is the likelier one.
fn shared_start(left: &str, right: &str) -> usize {
    left.bytes().zip(right.bytes()).take_while(|(l, r)| l == r).count()
}

/// Optimal string alignment distance over bytes: names are ASCII.
fn distance(left: &str, right: &str) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    // No known name is longer; an absurd key must not cost an absurd table.
    if left.len().max(right.len()) > 128 {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let replaced = last[j] + usize::from(l != r);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *l == right[j - 1] && left[i - 1] == *r {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_wins_and_far_names_are_not_suggested() {
        let known = ["server.addr", "server.public_url", "jwt.issuer"];
        assert_eq!(nearest("server.adr", known.into_iter(), 2), Some("server.addr"));
        assert_eq!(nearest("server.adrd", known.into_iter(), 1), Some("server.addr"));
        assert_eq!(nearest("jwt.isuser", known.into_iter(), 2), Some("jwt.issuer"));
        assert_eq!(nearest("smtp.host", known.into_iter(), 2), None);
        assert_eq!(nearest(&"x".repeat(100_000), known.into_iter(), 2), None);
    }

    #[test]
    fn distance_counts_edits() {
        for (left, right, edits) in
            [("", "", 0), ("a", "", 1), ("ab", "ba", 1), ("kitten", "sitting", 3), ("abc", "abc", 0)]
        {
            assert_eq!(distance(left, right), edits, "{left} {right}");
        }
    }
}
