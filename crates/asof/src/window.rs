//! Aggregates of the events in each slot's window, kept while the view streams past.
//! A row adds to the range of slots whose windows it is in (`ranges`), so windows of any length cost the same.
//! Invariant: totals do not depend on the order of rows; integers are exact in 128 bits, floats in an `ExactSum`.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, Float64Builder, Int64Array, Int64Builder, UInt64Array},
    compute::cast,
    datatypes::{DataType, Float64Type, Int64Type, UInt64Type},
};

use crate::{
    error::{Error, Result},
    exact_sum::ExactSum,
    index::{Group, SpineIndex},
    ranges,
    resolve::ResolvedWindow,
    spec::WindowFunction,
};

/// The column that a window aggregates, of one batch.
pub(crate) enum WindowValues {
    /// Rows are counted, whatever they hold.
    Rows,
    Signed(Int64Array),
    Unsigned(UInt64Array),
    Floats(Float64Array),
    /// Only whether there is a value.
    Any(ArrayRef),
}

impl WindowValues {
    pub(crate) fn new(window: &ResolvedWindow, columns: &[ArrayRef]) -> Result<Self> {
        let Some(column) = window.column.map(|position| &columns[position]) else {
            return Ok(WindowValues::Rows);
        };
        Ok(match column.data_type() {
            _ if window.function == WindowFunction::Count => WindowValues::Any(column.clone()),
            DataType::UInt64 => WindowValues::Unsigned(column.as_primitive::<UInt64Type>().clone()),
            other if other.is_integer() => {
                WindowValues::Signed(cast(column, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            _ => WindowValues::Floats(cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().clone()),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            WindowValues::Rows => false,
            WindowValues::Signed(values) => values.is_null(row),
            WindowValues::Unsigned(values) => values.is_null(row),
            WindowValues::Floats(values) => values.is_null(row),
            WindowValues::Any(values) => values.is_null(row),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct IntTotal {
    count: u64,
    sum: i128,
    least: i128,
    greatest: i128,
}

impl IntTotal {
    fn of(value: i128) -> Self {
        IntTotal {
            count: 1,
            sum: value,
            least: value,
            greatest: value,
        }
    }

    fn merge(&mut self, other: &IntTotal) {
        if self.count == 0 {
            *self = other.clone();
        } else if other.count > 0 {
            self.count += other.count;
            self.sum += other.sum;
            self.least = self.least.min(other.least);
            self.greatest = self.greatest.max(other.greatest);
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct FloatTotal {
    count: u64,
    sum: ExactSum,
    least: f64,
    greatest: f64,
}

impl FloatTotal {
    fn add(&mut self, value: f64) {
        // One NaN, which is greater than every number, as in SQL.
        let value = if value.is_nan() { f64::NAN } else { value };
        self.widen(value, value);
        self.count += 1;
        self.sum.add(value);
    }

    fn merge(&mut self, other: &FloatTotal) {
        if other.count > 0 {
            self.widen(other.least, other.greatest);
            self.count += other.count;
            self.sum.merge(&other.sum);
        }
    }

    fn widen(&mut self, least: f64, greatest: f64) {
        if self.count == 0 || least.total_cmp(&self.least).is_lt() {
            self.least = least;
        }
        if self.count == 0 || greatest.total_cmp(&self.greatest).is_gt() {
            self.greatest = greatest;
        }
    }
}

/// The totals of one window, for every node over the slots.
pub(crate) enum Totals {
    Counts(Vec<u64>),
    Ints(Vec<IntTotal>),
    Floats(Vec<FloatTotal>),
}

impl Totals {
    pub(crate) fn new(window: &ResolvedWindow, floats: bool, slots: usize) -> Self {
        let nodes = ranges::nodes(slots);
        if window.function == WindowFunction::Count {
            Totals::Counts(vec![0; nodes])
        } else if floats {
            Totals::Floats(vec![FloatTotal::default(); nodes])
        } else {
            Totals::Ints(vec![IntTotal::default(); nodes])
        }
    }

    pub(crate) fn bytes(window: &ResolvedWindow, floats: bool, slots: usize) -> usize {
        // Most exact sums hold two parts or three.
        const PARTS_BYTES: usize = 3 * 8;
        let node = match (window.function, floats) {
            (WindowFunction::Count, _) => std::mem::size_of::<u64>(),
            (_, true) => std::mem::size_of::<FloatTotal>() + PARTS_BYTES,
            (_, false) => std::mem::size_of::<IntTotal>(),
        };
        ranges::nodes(slots) * node
    }

    /// Adds a row's value to the slots `from..to` of a group, unless it is null.
    #[inline]
    pub(crate) fn add(&mut self, group: Group<'_>, from: usize, to: usize, values: &WindowValues, row: usize) {
        if from >= to || values.is_null(row) {
            return;
        }
        let (start, len) = (group.start, group.times.len());
        match (self, values) {
            (Totals::Counts(nodes), _) => ranges::cover(start, len, from, to, |node| nodes[node] += 1),
            (Totals::Ints(nodes), WindowValues::Signed(values)) => {
                let one = IntTotal::of(i128::from(values.value(row)));
                ranges::cover(start, len, from, to, |node| nodes[node].merge(&one));
            }
            (Totals::Ints(nodes), WindowValues::Unsigned(values)) => {
                let one = IntTotal::of(i128::from(values.value(row)));
                ranges::cover(start, len, from, to, |node| nodes[node].merge(&one));
            }
            (Totals::Floats(nodes), WindowValues::Floats(values)) => {
                ranges::cover(start, len, from, to, |node| nodes[node].add(values.value(row)));
            }
            _ => unreachable!("a window's totals and values are made from the same column"),
        }
    }

    pub(crate) fn merge(&mut self, other: &Totals) {
        match (self, other) {
            (Totals::Counts(mine), Totals::Counts(theirs)) => mine.iter_mut().zip(theirs).for_each(|(a, b)| *a += b),
            (Totals::Ints(mine), Totals::Ints(theirs)) => mine.iter_mut().zip(theirs).for_each(|(a, b)| a.merge(b)),
            (Totals::Floats(mine), Totals::Floats(theirs)) => {
                mine.iter_mut().zip(theirs).for_each(|(a, b)| a.merge(b));
            }
            _ => unreachable!("all threads keep a window's totals in the same way"),
        }
    }

    /// The window's column for the spine's rows, in their order.
    pub(crate) fn settle(
        self,
        index: &SpineIndex,
        rows: usize,
        window: &ResolvedWindow,
        view: &str,
    ) -> Result<ArrayRef> {
        let starts = index.starts();
        match self {
            Totals::Counts(mut nodes) => {
                ranges::push_down(&mut nodes, starts, |above, below| *below += above);
                let mut counts = vec![0i64; rows];
                let found = ranges::leaves(&nodes, starts).zip(index.rows());
                found.for_each(|(count, row)| counts[*row as usize] = *count as i64);
                Ok(Arc::new(Int64Array::from(counts)))
            }
            Totals::Ints(mut nodes) => {
                ranges::push_down(&mut nodes, starts, |above, below| below.merge(above));
                let leaves: Vec<&IntTotal> = ranges::leaves(&nodes, starts).collect();
                int_column(&in_spine_order(&leaves, index, rows), window, view)
            }
            Totals::Floats(mut nodes) => {
                ranges::push_down(&mut nodes, starts, |above, below| below.merge(above));
                let leaves: Vec<&FloatTotal> = ranges::leaves(&nodes, starts).collect();
                float_column(&in_spine_order(&leaves, index, rows), window)
            }
        }
    }
}

fn in_spine_order<'a, T>(leaves: &[&'a T], index: &SpineIndex, rows: usize) -> Vec<Option<&'a T>> {
    let mut ordered = vec![None; rows];
    for (leaf, row) in leaves.iter().zip(index.rows()) {
        ordered[*row as usize] = Some(*leaf);
    }
    ordered
}

fn int_column(totals: &[Option<&IntTotal>], window: &ResolvedWindow, view: &str) -> Result<ArrayRef> {
    let seen = totals.iter().map(|total| total.filter(|total| total.count > 0));
    if window.function == WindowFunction::Mean {
        let means = seen.map(|total| total.map(|total| total.sum as f64 / total.count as f64));
        return Ok(Arc::new(means.collect::<Float64Array>()));
    }
    let overflow = || Error::SumOverflow {
        view: view.to_owned(),
        window: window.name.clone(),
    };
    let mut column = Int64Builder::with_capacity(totals.len());
    let mut unsigned = Vec::new();
    for total in seen {
        let value = total.map(|total| match window.function {
            WindowFunction::Min => total.least,
            WindowFunction::Max => total.greatest,
            _ => total.sum,
        });
        if window.output == DataType::UInt64 {
            unsigned.push(value.map(|value| value as u64));
        } else {
            column.append_option(
                value
                    .map(|value| i64::try_from(value).map_err(|_| overflow()))
                    .transpose()?,
            );
        }
    }
    if window.output == DataType::UInt64 {
        return Ok(Arc::new(UInt64Array::from(unsigned)));
    }
    let column: ArrayRef = Arc::new(column.finish());
    Ok(cast(&column, &window.output)?)
}

fn float_column(totals: &[Option<&FloatTotal>], window: &ResolvedWindow) -> Result<ArrayRef> {
    let mut column = Float64Builder::with_capacity(totals.len());
    for total in totals {
        column.append_option(
            total
                .filter(|total| total.count > 0)
                .map(|total| match window.function {
                    WindowFunction::Min => total.least,
                    WindowFunction::Max => total.greatest,
                    WindowFunction::Mean => total.sum.rounded() / total.count as f64,
                    _ => total.sum.rounded(),
                }),
        );
    }
    let column: ArrayRef = Arc::new(column.finish());
    Ok(cast(&column, &window.output)?)
}
