//! Keys of any types as numbers or bytes that are equal exactly when the keys are: `index` groups the spine by them.
//! Invariant: a null in any part makes the key null, and a null key is in no group. Parts are never joined by concatenation.

use std::hash::BuildHasher;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array},
    buffer::NullBuffer,
    compute::cast,
    datatypes::{DataType, Float64Type, Int32Type, Int64Type},
    row::{RowConverter, Rows, SortField},
};
use datafusion::common::hash_utils::QualityRandomState;

use crate::error::Result;

/// The type in which two key columns can be compared without loss, if there is one.
pub(crate) fn common_type(left: &DataType, right: &DataType) -> Option<DataType> {
    let (left, right) = (plain(left), plain(right));
    if left == right {
        return comparable(&left).then_some(left);
    }
    if is_string(&left) && is_string(&right) {
        return Some(DataType::Utf8);
    }
    if is_binary(&left) && is_binary(&right) {
        return Some(DataType::Binary);
    }
    if let (DataType::Timestamp(a, _), DataType::Timestamp(b, _)) = (&left, &right) {
        // Instants are compared, and times without a zone are UTC whatever zone the other side is shown in.
        return Some(DataType::Timestamp(*a.max(b), Some("UTC".into())));
    }
    common_number(&left, &right)
}

fn common_number(left: &DataType, right: &DataType) -> Option<DataType> {
    let unsigned = |data_type: &DataType| data_type.is_unsigned_integer();
    let small_integer = |data_type: &DataType| {
        matches!(
            data_type,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 | DataType::UInt32
        )
    };
    let float = |data_type: &DataType| matches!(data_type, DataType::Float16 | DataType::Float32 | DataType::Float64);
    if left.is_integer() && right.is_integer() {
        if unsigned(left) && unsigned(right) {
            return Some(DataType::UInt64);
        }
        let wide = *left == DataType::UInt64 || *right == DataType::UInt64;
        // Twenty digits hold every 64-bit number of either sign.
        return Some(if wide {
            DataType::Decimal128(20, 0)
        } else {
            DataType::Int64
        });
    }
    let exact = |data_type: &DataType| float(data_type) || small_integer(data_type);
    (exact(left) && exact(right)).then_some(DataType::Float64)
}

/// The type without its encoding.
fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => plain(value),
        DataType::RunEndEncoded(_, value) => plain(value.data_type()),
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        other => other.clone(),
    }
}

fn comparable(data_type: &DataType) -> bool {
    data_type.is_primitive()
        || is_string(data_type)
        || is_binary(data_type)
        || *data_type == DataType::Boolean
        || matches!(data_type, DataType::FixedSizeBinary(_))
}

fn is_string(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView
    )
}

/// Whether a key of this one type is a 64-bit number.
fn is_number(data_type: &DataType) -> bool {
    data_type.is_integer()
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Date32
                | DataType::Date64
                | DataType::Float16
                | DataType::Float32
                | DataType::Float64
                | DataType::Timestamp(_, _)
        )
}

/// Turns key columns into `EncodedKeys`; the spine's and the view's encoders are made from the same types.
pub(crate) struct KeyEncoder {
    types: Vec<DataType>,
    rows: Option<RowConverter>,
}

/// The keys of one batch.
pub(crate) enum EncodedKeys {
    /// A global view: every row has the same key.
    Global,
    Numbers(Int64Array),
    Bytes(Rows, Option<NullBuffer>),
}

impl KeyEncoder {
    pub(crate) fn new(types: &[DataType]) -> Result<Self> {
        let numbers = types.len() == 1 && is_number(&types[0]);
        let rows = if types.is_empty() || numbers {
            None
        } else {
            Some(RowConverter::new(types.iter().cloned().map(SortField::new).collect())?)
        };
        Ok(KeyEncoder {
            types: types.to_vec(),
            rows,
        })
    }

    pub(crate) fn encode(&self, columns: &[ArrayRef]) -> Result<EncodedKeys> {
        let columns: Vec<ArrayRef> = columns
            .iter()
            .zip(&self.types)
            .map(|(column, data_type)| widen(column, data_type))
            .collect::<Result<_>>()?;
        let Some(rows) = &self.rows else {
            return match columns.first() {
                None => Ok(EncodedKeys::Global),
                Some(column) => Ok(EncodedKeys::Numbers(as_number(column)?)),
            };
        };
        let nulls = columns.iter().fold(None, |nulls, column| {
            NullBuffer::union(nulls.as_ref(), column.logical_nulls().as_ref())
        });
        Ok(EncodedKeys::Bytes(rows.convert_columns(&columns)?, nulls))
    }
}

/// The column in the common type, with one zero and one NaN.
fn widen(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    let widened = if column.data_type() == data_type {
        column.clone()
    } else {
        cast_exactly(column, data_type)?
    };
    Ok(match data_type {
        DataType::Float64 => std::sync::Arc::new(one_zero(widened.as_primitive::<Float64Type>())),
        DataType::Float32 | DataType::Float16 => {
            let wide = cast(&widened, &DataType::Float64)?;
            let normal: ArrayRef = std::sync::Arc::new(one_zero(wide.as_primitive::<Float64Type>()));
            cast(&normal, data_type)?
        }
        _ => widened,
    })
}

fn cast_exactly(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    let options = arrow::compute::CastOptions {
        safe: false,
        ..Default::default()
    };
    Ok(arrow::compute::cast_with_options(column, data_type, &options)?)
}

fn one_zero(floats: &Float64Array) -> Float64Array {
    floats.unary(|value| {
        if value.is_nan() {
            f64::NAN
        } else if value == 0.0 {
            0.0
        } else {
            value
        }
    })
}

fn as_number(column: &ArrayRef) -> Result<Int64Array> {
    let number = match column.data_type() {
        DataType::Float64 => {
            return Ok(column
                .as_primitive::<Float64Type>()
                .unary(|value| value.to_bits() as i64));
        }
        DataType::Float32 | DataType::Float16 => return as_number(&cast(column, &DataType::Float64)?),
        DataType::UInt64 => {
            return Ok(column
                .as_primitive::<arrow::datatypes::UInt64Type>()
                .unary(|value| value as i64));
        }
        DataType::Boolean => return Ok(booleans(column.as_boolean())),
        DataType::Date32 => return Ok(column.as_primitive::<arrow::datatypes::Date32Type>().unary(i64::from)),
        DataType::Int32 => return Ok(column.as_primitive::<Int32Type>().unary(i64::from)),
        _ => cast(column, &DataType::Int64)?,
    };
    Ok(number.as_primitive::<Int64Type>().clone())
}

fn booleans(column: &BooleanArray) -> Int64Array {
    column.iter().map(|value| value.map(i64::from)).collect()
}

/// The distinct keys of a piece of the spine; the groups are numbered in the order of their first row.
pub(crate) enum KeyTable {
    Global,
    Numbers(NumberTable),
    Bytes(BytesTable),
}

/// No group.
pub(crate) const NO_GROUP: u32 = u32::MAX;

impl KeyTable {
    /// An empty table for keys like these, with room for `rows`.
    pub(crate) fn for_keys(keys: &EncodedKeys, rows: usize) -> Self {
        match keys {
            EncodedKeys::Global => KeyTable::Global,
            EncodedKeys::Numbers(_) => KeyTable::Numbers(NumberTable::with_room(rows)),
            EncodedKeys::Bytes(_, _) => KeyTable::Bytes(BytesTable::with_room(rows)),
        }
    }

    /// The group of each row, made where it is new; `NO_GROUP` for null keys.
    pub(crate) fn insert(&mut self, keys: &EncodedKeys, rows: usize, groups: &mut Vec<u32>) {
        match (self, keys) {
            (KeyTable::Numbers(table), EncodedKeys::Numbers(numbers)) => {
                groups.extend(numbers.iter().map(|key| key.map_or(NO_GROUP, |key| table.insert(key))));
            }
            (KeyTable::Bytes(table), EncodedKeys::Bytes(bytes, nulls)) => {
                groups.extend((0..rows).map(|row| {
                    if is_null(nulls, row) {
                        NO_GROUP
                    } else {
                        table.insert(bytes.row(row).as_ref())
                    }
                }));
            }
            _ => groups.extend(std::iter::repeat_n(0, rows)),
        }
    }

    /// Nothing is inserted any more.
    pub(crate) fn finish(&mut self) {
        if let KeyTable::Numbers(table) = self {
            table.finish();
        }
    }

    /// The group of each row, `NO_GROUP` where the spine has no such key.
    pub(crate) fn find(&self, keys: &EncodedKeys, rows: usize, groups: &mut Vec<u32>) {
        groups.clear();
        match (self, keys) {
            (KeyTable::Numbers(table), EncodedKeys::Numbers(numbers)) if numbers.null_count() == 0 => {
                groups.extend(numbers.values().iter().map(|key| table.find(*key)));
            }
            (KeyTable::Numbers(table), EncodedKeys::Numbers(numbers)) => {
                groups.extend(numbers.iter().map(|key| key.map_or(NO_GROUP, |key| table.find(key))));
            }
            (KeyTable::Bytes(table), EncodedKeys::Bytes(bytes, nulls)) => {
                groups.extend((0..rows).map(|row| {
                    if is_null(nulls, row) {
                        NO_GROUP
                    } else {
                        table.find(bytes.row(row).as_ref())
                    }
                }));
            }
            _ => groups.extend(std::iter::repeat_n(0, rows)),
        }
    }

    pub(crate) fn groups(&self) -> usize {
        match self {
            KeyTable::Global => 1,
            KeyTable::Numbers(table) => table.count as usize,
            KeyTable::Bytes(table) => table.ends.len(),
        }
    }

    /// The smallest and the greatest number among the keys, for pruning by statistics.
    pub(crate) fn number_range(&self) -> Option<(i64, i64)> {
        match self {
            KeyTable::Numbers(table) if table.count > 0 => Some((table.least, table.greatest)),
            _ => None,
        }
    }

    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            KeyTable::Global => 0,
            KeyTable::Numbers(table) => table.size_bytes(),
            KeyTable::Bytes(table) => table.bytes.len() + table.ends.len() * 8 + table.slots.len() * 8,
        }
    }
}

fn is_null(nulls: &Option<NullBuffer>, row: usize) -> bool {
    nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
}

/// Multiplying by this odd number (2^64 over the golden ratio) spreads neighbouring keys; the high bits choose the slot.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
/// The table stays at most half full, so that a miss ends after a slot or two.
const SLOTS_PER_KEY: usize = 2;
const SLOTS_MIN: usize = 16;

/// As many entries of the direct table take the memory of one slot.
const DIRECT_PER_SLOT: usize = std::mem::size_of::<(i64, u32)>() / std::mem::size_of::<u32>();

/// Open addressing over numbers; once all are in, an array by number instead where they lie close together, as ids that were
/// counted up do: it takes less memory, which the caches hold more of.
pub(crate) struct NumberTable {
    slots: Vec<(i64, u32)>,
    /// The group of each number from `least` on; empty while there are slots.
    direct: Vec<u32>,
    shift: u32,
    count: u32,
    least: i64,
    greatest: i64,
}

impl NumberTable {
    fn with_room(rows: usize) -> Self {
        let slots = slots_for(rows);
        NumberTable {
            slots: vec![(0, NO_GROUP); slots],
            direct: Vec::new(),
            shift: 64 - slots.trailing_zeros(),
            count: 0,
            least: i64::MAX,
            greatest: i64::MIN,
        }
    }

    #[inline]
    fn first_slot(&self, key: i64) -> usize {
        let key = key as u64;
        ((key ^ (key >> 32)).wrapping_mul(SPREAD) >> self.shift) as usize
    }

    fn insert(&mut self, key: i64) -> u32 {
        let mut slot = self.first_slot(key);
        loop {
            let (known, group) = self.slots[slot];
            if group == NO_GROUP {
                self.slots[slot] = (key, self.count);
                self.count += 1;
                self.least = self.least.min(key);
                self.greatest = self.greatest.max(key);
                return self.count - 1;
            }
            if known == key {
                return group;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    fn finish(&mut self) {
        let span = (i128::from(self.greatest) - i128::from(self.least) + 1) as u128;
        if self.count == 0 || span > (self.slots.len() * DIRECT_PER_SLOT) as u128 {
            return;
        }
        self.direct = vec![NO_GROUP; span as usize];
        for (key, group) in std::mem::take(&mut self.slots) {
            if group != NO_GROUP {
                self.direct[(key - self.least) as usize] = group;
            }
        }
    }

    fn size_bytes(&self) -> usize {
        std::mem::size_of_val(self.slots.as_slice()) + std::mem::size_of_val(self.direct.as_slice())
    }

    #[inline]
    fn find(&self, key: i64) -> u32 {
        if self.slots.is_empty() {
            let place = key.wrapping_sub(self.least) as u64;
            return self.direct.get(place as usize).copied().unwrap_or(NO_GROUP);
        }
        let mut slot = self.first_slot(key);
        loop {
            let (known, group) = self.slots[slot];
            if group == NO_GROUP || known == key {
                return group;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }
}

fn slots_for(rows: usize) -> usize {
    (rows * SLOTS_PER_KEY).next_power_of_two().max(SLOTS_MIN)
}

/// Open addressing over byte strings, which lie one after the other in `bytes`.
pub(crate) struct BytesTable {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// The group, and 32 bits of its hash: most misses never touch the bytes.
    slots: Vec<(u32, u32)>,
    hasher: QualityRandomState,
}

impl BytesTable {
    fn with_room(rows: usize) -> Self {
        BytesTable {
            bytes: Vec::new(),
            ends: Vec::new(),
            slots: vec![(NO_GROUP, 0); slots_for(rows)],
            hasher: QualityRandomState::with_seed(0),
        }
    }

    fn key(&self, group: u32) -> &[u8] {
        let group = group as usize;
        let start = if group == 0 { 0 } else { self.ends[group - 1] };
        &self.bytes[start..self.ends[group]]
    }

    /// The slot that holds the key, or the free one where it belongs.
    #[inline]
    fn slot(&self, key: &[u8]) -> (usize, u32) {
        let hash = self.hasher.hash_one(key);
        let tag = (hash >> 32) as u32;
        let mut slot = hash as usize & (self.slots.len() - 1);
        loop {
            let (group, known) = self.slots[slot];
            if group == NO_GROUP || (known == tag && self.key(group) == key) {
                return (slot, tag);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    fn insert(&mut self, key: &[u8]) -> u32 {
        let (slot, tag) = self.slot(key);
        if self.slots[slot].0 == NO_GROUP {
            self.slots[slot] = (self.ends.len() as u32, tag);
            self.bytes.extend_from_slice(key);
            self.ends.push(self.bytes.len());
        }
        self.slots[slot].0
    }

    #[inline]
    fn find(&self, key: &[u8]) -> u32 {
        self.slots[self.slot(key).0].0
    }
}
