//! What differs between two maps of shared documents: equal ones are found by comparing pointers.

use std::cmp::Ordering;
use std::sync::Arc;

use imbl::OrdMap;

/// Hands over each pair, of the old and the new map, that is not the same `Arc`; what only one of them has comes alone.
/// In the order of the keys.
pub fn differences<'a, K: Ord, T>(
    old: &'a OrdMap<K, Arc<T>>,
    new: &'a OrdMap<K, Arc<T>>,
    mut differing: impl FnMut(Option<&'a Arc<T>>, Option<&'a Arc<T>>),
) {
    if old.ptr_eq(new) {
        return;
    }
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some((a, _)), Some((b, _))) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return,
        };
        let gone = if order.is_le() { old.next() } else { None };
        let come = if order.is_ge() { new.next() } else { None };
        match (gone, come) {
            (Some((_, a)), Some((_, b))) if Arc::ptr_eq(a, b) => {}
            (a, b) => differing(a.map(|(_, a)| a), b.map(|(_, b)| b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_handed_over_in_order_and_nothing_else() {
        let kept = Arc::new("kept");
        let old: OrdMap<i32, Arc<&str>> =
            [(1, Arc::new("gone")), (2, Arc::clone(&kept)), (4, Arc::new("old"))].into_iter().collect();
        let new = [(2, kept), (3, Arc::new("come")), (4, Arc::new("new"))].into_iter().collect();
        let mut found = Vec::new();
        differences(&old, &new, |old, new| found.push((old.map(|a| **a), new.map(|a| **a))));
        assert_eq!(found, [(Some("gone"), None), (None, Some("come")), (Some("old"), Some("new"))]);
        differences(&old, &old.clone(), |_, _| panic!("nothing differs"));
    }
}
