//! Updates to ranges of slots in logarithmic time: a tree over the slots of each key, nodes of all keys in one vector.
//! `pick` uses it for rows that end (`valid_to`), `window` for totals. A slot's value is what its leaf and the nodes above it
//! hold together, so nothing is ever subtracted. Layout: <https://codeforces.com/blog/entry/18051>.

/// How many nodes the trees over so many slots have.
pub(crate) fn nodes(slots: usize) -> usize {
    slots * 2
}

/// Visits the nodes that together cover the slots `from..to` of a group of `len` slots starting at `start`.
#[inline]
pub(crate) fn cover(start: usize, len: usize, from: usize, to: usize, mut visit: impl FnMut(usize)) {
    let base = start * 2;
    let (mut left, mut right) = (from + len, to + len);
    while left < right {
        if left & 1 == 1 {
            visit(base + left);
            left += 1;
        }
        if right & 1 == 1 {
            right -= 1;
            visit(base + right);
        }
        left /= 2;
        right /= 2;
    }
}

/// Brings every node's value down to the leaves: `join(parent, child)` puts the parent's value into the child.
pub(crate) fn push_down<T>(nodes: &mut [T], starts: &[u32], mut join: impl FnMut(&T, &mut T)) {
    for bounds in starts.windows(2) {
        let (base, len) = (bounds[0] as usize * 2, (bounds[1] - bounds[0]) as usize);
        let group = &mut nodes[base..base + len * 2];
        for child in 2..group.len() {
            let (above, below) = group.split_at_mut(child);
            join(&above[child / 2], &mut below[0]);
        }
    }
}

/// The leaf of each slot, in the order of slots.
pub(crate) fn leaves<'a, T>(nodes: &'a [T], starts: &'a [u32]) -> impl Iterator<Item = &'a T> {
    starts.windows(2).flat_map(move |bounds| {
        let (base, len) = (bounds[0] as usize * 2, (bounds[1] - bounds[0]) as usize);
        nodes[base + len..base + len * 2].iter()
    })
}
