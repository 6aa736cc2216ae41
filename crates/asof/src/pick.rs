//! The best candidate of each slot: the greatest by (event time, created time, order of writing).
//! `scan` offers candidates in any order, from several threads, each with its own `Picks`; merging and settling make one answer.
//! Invariant: the order of offers never matters, because the greatest of a total order does not depend on it.

use crate::{index::Group, ranges};

/// A row of the view as the ranking sees it. The derived order is the law's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pick {
    pub(crate) event: i64,
    pub(crate) created: i64,
    /// The position in the order of writing, counted from 1, and the tombstone mark in the lowest bit; 0: no row.
    code: u64,
}

impl Pick {
    pub(crate) const NONE: Pick = Pick {
        event: i64::MIN,
        created: i64::MIN,
        code: 0,
    };

    #[inline]
    pub(crate) fn new(event: i64, created: i64, position: u64, deleted: bool) -> Self {
        Pick {
            event,
            created,
            code: ((position + 1) << 1) | u64::from(deleted),
        }
    }

    pub(crate) fn is_none(self) -> bool {
        self.code == 0
    }

    pub(crate) fn is_deleted(self) -> bool {
        self.code & 1 == 1
    }

    /// The row's position in the order of writing. Only for a pick that is one.
    pub(crate) fn position(self) -> u64 {
        (self.code >> 1) - 1
    }
}

/// The candidates so far, for every slot.
pub(crate) struct Picks {
    nodes: Vec<Pick>,
    /// Whether rows end. If none does, a candidate of a slot is a candidate of all later slots of its group: it is kept at the
    /// first, and `settle` carries it to the others.
    ranged: bool,
}

impl Picks {
    pub(crate) fn new(slots: usize, ranged: bool) -> Self {
        let nodes = if ranged { ranges::nodes(slots) } else { slots };
        Picks {
            nodes: vec![Pick::NONE; nodes],
            ranged,
        }
    }

    pub(crate) fn bytes(slots: usize, ranged: bool) -> usize {
        (if ranged { ranges::nodes(slots) } else { slots }) * std::mem::size_of::<Pick>()
    }

    /// Offers a row to the slots `from..to` of a group.
    #[inline]
    pub(crate) fn offer(&mut self, group: Group<'_>, from: usize, to: usize, pick: Pick) {
        if !self.ranged {
            if from < to {
                raise(&mut self.nodes[group.start + from], pick);
            }
            return;
        }
        let nodes = &mut self.nodes;
        ranges::cover(group.start, group.times.len(), from, to, |node| {
            raise(&mut nodes[node], pick)
        });
    }

    /// Offers a row that never ends to a slot and, by the sweep, to all later ones of its group.
    #[inline]
    pub(crate) fn offer_from(&mut self, slot: usize, pick: Pick) {
        raise(&mut self.nodes[slot], pick);
    }

    pub(crate) fn merge(&mut self, other: &Picks) {
        self.nodes
            .iter_mut()
            .zip(&other.nodes)
            .for_each(|(mine, theirs)| raise(mine, *theirs));
    }

    /// The pick of each slot.
    pub(crate) fn settle(mut self, starts: &[u32]) -> Vec<Pick> {
        if self.ranged {
            ranges::push_down(&mut self.nodes, starts, |above, below| raise(below, *above));
            return ranges::leaves(&self.nodes, starts).copied().collect();
        }
        for bounds in starts.windows(2) {
            let mut best = Pick::NONE;
            for pick in &mut self.nodes[bounds[0] as usize..bounds[1] as usize] {
                raise(&mut best, *pick);
                *pick = best;
            }
        }
        self.nodes
    }
}

#[inline]
fn raise(held: &mut Pick, offered: Pick) {
    if offered > *held {
        *held = offered;
    }
}
