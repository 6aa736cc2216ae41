//! Where the boxes of a drawing go: columns from what was read to what was made, few crossings, short edges.
//! `svg` draws what this places. After Sugiyama, Tagawa, Toda (1981): layers, order within them, then positions.
//! Invariant: an edge goes from left to right, and boxes of one column do not meet.

use crate::graph::Edge;

/// Sweeps over the columns to uncross edges; more than this changes little in practice.
const ORDER_SWEEPS: usize = 12;
/// Sweeps that pull boxes towards what they are joined to.
const PULL_SWEEPS: usize = 12;

/// A box to place: its size in pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub width: f64,
    pub height: f64,
}

/// The space between boxes, in pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gaps {
    pub columns: f64,
    pub rows: f64,
}

/// A place: the left edge and the vertical middle, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Place {
    pub x: f64,
    pub y: f64,
}

#[derive(Debug)]
pub(crate) struct Layout {
    pub places: Vec<Place>,
    /// The right edge of each box's column: a line that leaves the box runs level up to there, past wider boxes.
    pub rights: Vec<f64>,
    /// For each edge, the points between its ends where it passes a column: left and right end at one height.
    pub bends: Vec<Vec<(Place, f64)>>,
    pub width: f64,
    pub height: f64,
}

/// Boxes and, for edges that pass columns, a thin stand-in in each.
struct Slots {
    sizes: Vec<Size>,
    column: Vec<usize>,
    columns: Vec<Vec<usize>>,
    left: Vec<Vec<usize>>,
    right: Vec<Vec<usize>>,
    /// The stand-ins of each edge.
    chains: Vec<Vec<usize>>,
}

pub(crate) fn layout(sizes: &[Size], edges: &[Edge], gaps: Gaps) -> Layout {
    let mut slots = Slots::new(sizes, edges);
    slots.uncross();
    let y = slots.pull(gaps.rows);
    let mut x = 0.0;
    let mut places = vec![Place::default(); slots.sizes.len()];
    let mut widths = vec![0.0; slots.sizes.len()];
    for column in &slots.columns {
        let width = column.iter().map(|&slot| slots.sizes[slot].width).fold(0.0, f64::max);
        for &slot in column {
            places[slot] = Place { x, y: y[slot] };
            widths[slot] = width;
        }
        x += width + gaps.columns;
    }
    let bends = slots
        .chains
        .iter()
        .map(|chain| chain.iter().map(|&slot| (places[slot], widths[slot])).collect());
    let bends = bends.collect();
    let bottom = (0..places.len())
        .map(|slot| places[slot].y + slots.sizes[slot].height / 2.0)
        .fold(0.0, f64::max);
    let rights = (0..sizes.len()).map(|slot| places[slot].x + widths[slot]).collect();
    places.truncate(sizes.len());
    Layout {
        places,
        rights,
        bends,
        width: (x - gaps.columns).max(0.0),
        height: bottom,
    }
}

impl Slots {
    fn new(sizes: &[Size], edges: &[Edge]) -> Self {
        let column = columns(sizes.len(), edges);
        let mut slots = Slots {
            sizes: sizes.to_vec(),
            columns: vec![Vec::new(); column.iter().max().map_or(0, |last| last + 1)],
            column,
            left: vec![Vec::new(); sizes.len()],
            right: vec![Vec::new(); sizes.len()],
            chains: Vec::new(),
        };
        for edge in edges {
            let mut chain = Vec::new();
            let mut from = edge.from;
            for column in slots.column[edge.from] + 1..slots.column[edge.to] {
                let slot = slots.stand_in(column);
                slots.join(from, slot);
                chain.push(slot);
                from = slot;
            }
            slots.join(from, edge.to);
            slots.chains.push(chain);
        }
        for (slot, &column) in slots.column.iter().enumerate() {
            slots.columns[column].push(slot);
        }
        slots
    }

    fn stand_in(&mut self, column: usize) -> usize {
        self.sizes.push(Size {
            width: 0.0,
            height: 0.0,
        });
        self.column.push(column);
        self.left.push(Vec::new());
        self.right.push(Vec::new());
        self.sizes.len() - 1
    }

    fn join(&mut self, from: usize, to: usize) {
        self.right[from].push(to);
        self.left[to].push(from);
    }

    /// Sorts each column by the mean place of its neighbours, forth and back, and keeps the best order seen.
    fn uncross(&mut self) {
        let mut best = (self.crossings(), self.columns.clone());
        for sweep in 0..ORDER_SWEEPS {
            if best.0 == 0 {
                break;
            }
            let forth = sweep % 2 == 0;
            let mut at: Vec<usize> = (0..self.columns.len()).collect();
            if !forth {
                at.reverse();
            }
            for column in at {
                self.sort_column(column, forth);
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.columns.clone());
            }
        }
        self.columns = best.1;
    }

    fn sort_column(&mut self, column: usize, forth: bool) {
        let ranks = self.ranks();
        let neighbours = if forth { &self.left } else { &self.right };
        let mean = |slot: usize| match neighbours[slot].len() {
            0 => ranks[slot],
            len => neighbours[slot].iter().map(|&other| ranks[other]).sum::<f64>() / len as f64,
        };
        let mut keyed: Vec<(f64, usize)> = self.columns[column].iter().map(|&slot| (mean(slot), slot)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.columns[column] = keyed.into_iter().map(|(_, slot)| slot).collect();
    }

    /// The place of each slot within its column, from 0 to 1, so that columns of other lengths can be compared.
    fn ranks(&self) -> Vec<f64> {
        let mut ranks = vec![0.0; self.sizes.len()];
        for column in &self.columns {
            for (at, &slot) in column.iter().enumerate() {
                ranks[slot] = (at as f64 + 0.5) / column.len() as f64;
            }
        }
        ranks
    }

    /// How many pairs of edges between neighbouring columns cross.
    fn crossings(&self) -> usize {
        let mut place = vec![0; self.sizes.len()];
        for column in &self.columns {
            column.iter().enumerate().for_each(|(at, &slot)| place[slot] = at);
        }
        let crossed = self.columns.iter().map(|column| {
            let mut ends: Vec<usize> = Vec::new();
            let mut crossings = 0;
            for &slot in column {
                let mut new: Vec<usize> = self.right[slot].iter().map(|&other| place[other]).collect();
                new.sort_unstable();
                for &end in &new {
                    crossings += ends.len() - ends.partition_point(|&other| other <= end);
                }
                ends.extend(new);
                ends.sort_unstable();
            }
            crossings
        });
        crossed.sum()
    }

    /// Heights: each slot as near to the mean of its neighbours as the order and the gaps allow.
    fn pull(&self, gap: f64) -> Vec<f64> {
        let mut y = vec![0.0; self.sizes.len()];
        for column in &self.columns {
            self.place_column(column, gap, &mut y, |_, at| at as f64);
        }
        for sweep in 0..PULL_SWEEPS {
            let mut at: Vec<usize> = (0..self.columns.len()).collect();
            if sweep % 2 == 1 {
                at.reverse();
            }
            for column in at {
                let before = y.clone();
                self.place_column(&self.columns[column], gap, &mut y, |slot, _| {
                    let near = self.left[slot].iter().chain(&self.right[slot]);
                    let (sum, count) = near.fold((0.0, 0), |(sum, count), &other| (sum + before[other], count + 1));
                    if count == 0 {
                        before[slot]
                    } else {
                        sum / f64::from(count)
                    }
                });
            }
        }
        let top = (0..y.len())
            .map(|slot| y[slot] - self.sizes[slot].height / 2.0)
            .fold(f64::INFINITY, f64::min);
        y.iter_mut().for_each(|y| *y -= top);
        y
    }

    /// The heights nearest to the wanted ones, in the sum of squares, that keep order and distance: pool adjacent violators.
    fn place_column(&self, column: &[usize], gap: f64, y: &mut [f64], wanted: impl Fn(usize, usize) -> f64) {
        let mut offsets = Vec::with_capacity(column.len());
        let mut next: f64 = 0.0;
        for (at, &slot) in column.iter().enumerate() {
            let half = self.sizes[slot].height / 2.0;
            next += if at == 0 { 0.0 } else { half };
            offsets.push(next);
            next += half + gap;
        }
        // Blocks of slots that touch: the sum of what they want, and how many they are.
        let mut blocks: Vec<(f64, usize)> = Vec::new();
        for (at, &slot) in column.iter().enumerate() {
            blocks.push((wanted(slot, at) - offsets[at], 1));
            while let [.., before, last] = blocks.as_slice()
                && before.0 / before.1 as f64 > last.0 / last.1 as f64
            {
                let merged = (before.0 + last.0, before.1 + last.1);
                blocks.truncate(blocks.len() - 2);
                blocks.push(merged);
            }
        }
        let heights = blocks
            .iter()
            .flat_map(|&(sum, count)| std::iter::repeat_n(sum / count as f64, count));
        for ((&slot, offset), base) in column.iter().zip(offsets).zip(heights) {
            y[slot] = base + offset;
        }
    }
}

/// The column of each box: one right of the farthest that leads to it. What nothing leads to stands right before the
/// first that it leads to.
fn columns(count: usize, edges: &[Edge]) -> Vec<usize> {
    let mut right = vec![Vec::new(); count];
    let mut waiting = vec![0; count];
    for edge in edges {
        right[edge.from].push(edge.to);
        waiting[edge.to] += 1;
    }
    let is_first: Vec<bool> = waiting.iter().map(|&edges| edges == 0).collect();
    let mut column = vec![0; count];
    let mut ready: Vec<usize> = (0..count).filter(|&slot| is_first[slot]).collect();
    while let Some(slot) = ready.pop() {
        for &next in &right[slot] {
            column[next] = column[next].max(column[slot] + 1);
            waiting[next] -= 1;
            if waiting[next] == 0 {
                ready.push(next);
            }
        }
    }
    for slot in (0..count).filter(|&slot| is_first[slot]) {
        if let Some(first) = right[slot].iter().map(|&next| column[next]).min() {
            column[slot] = first - 1;
        }
    }
    column
}
