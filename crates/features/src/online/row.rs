//! Rows of the online store as bytes: what a key's value holds, read in place without an allocation.
//! A value is a list of versions, newest first. Nearly always it has one; more when some lie in the future (they answer only
//! from their time on) or, with `nulls: last_non_null`, when an older one still fills a null.
//! Invariant: versions stand in falling order of (event time, created time, sequence), and none that could never answer again
//! is kept.

use crate::{
    definition::{FeatureType, Nulls},
    online::value::Value,
};

/// The format of stored values.
const FORMAT: u8 = 1;
/// The most versions that one key may keep: beyond that the oldest future ones would be lost, so it is an error.
pub const VERSIONS_MAX: usize = 4096;
const HEADER_LEN: usize = 1 + 4 + 2 + 4;
const ROW_HEADER_LEN: usize = 8 + 8 + 8 + 1;
const SLOT_LEN: usize = 8;
const FLAG_TOMBSTONE: u8 = 1;
const FLAG_PUSHED: u8 = 2;

/// When a row happened, became known and was written: the order in which rows win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// In microseconds.
    pub event: i64,
    /// In microseconds; `i64::MIN` when the source does not say, so that it is known at every time.
    pub created: i64,
    pub sequence: u64,
}

/// How a view's rows answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rules {
    pub inclusive: bool,
    pub nulls: Nulls,
    /// In microseconds.
    pub max_age: Option<i64>,
}

impl Rules {
    /// Whether a row may answer at `now`, its age aside.
    pub fn visible(&self, stamp: Stamp, now: i64) -> bool {
        (stamp.event < now || self.inclusive && stamp.event == now) && stamp.created <= now
    }
    /// Whether a row is young enough to answer at `now`.
    pub fn fresh(&self, stamp: Stamp, now: i64) -> bool {
        self.max_age.is_none_or(|age| stamp.event >= now.saturating_sub(age))
    }
}

/// One stored version, where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    bytes: &'a [u8],
}

impl<'a> Version<'a> {
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
    pub fn stamp(&self) -> Stamp {
        let at = |from: usize| self.bytes[from..from + 8].try_into().expect("the header was checked");
        Stamp {
            event: i64::from_le_bytes(at(0)),
            created: i64::from_le_bytes(at(8)),
            sequence: u64::from_le_bytes(at(16)),
        }
    }
    pub fn is_tombstone(&self) -> bool {
        self.bytes[24] & FLAG_TOMBSTONE != 0
    }
    pub fn is_pushed(&self) -> bool {
        self.bytes[24] & FLAG_PUSHED != 0
    }
    pub fn is_null(&self, index: usize) -> bool {
        self.bytes
            .get(ROW_HEADER_LEN + index / 8)
            .is_none_or(|byte| byte & (1 << (index % 8)) == 0)
    }

    /// The feature at `index` of a view of `count` features; null for bytes that are no such value.
    pub fn value(&self, index: usize, count: usize, kind: FeatureType) -> Value<'a> {
        if self.is_null(index) {
            return Value::Null;
        }
        let from = ROW_HEADER_LEN + count.div_ceil(8) + index * SLOT_LEN;
        let Some(slot) = self
            .bytes
            .get(from..from + SLOT_LEN)
            .and_then(|slot| <[u8; SLOT_LEN]>::try_from(slot).ok())
        else {
            return Value::Null;
        };
        use FeatureType as T;
        match kind {
            T::Bool => Value::Bool(slot[0] != 0),
            T::Int8 | T::Int16 | T::Int32 | T::Int64 => Value::Int(i64::from_le_bytes(slot)),
            T::Uint8 | T::Uint16 | T::Uint32 | T::Uint64 => Value::Uint(u64::from_le_bytes(slot)),
            T::Float32 | T::Float64 => Value::Float(f64::from_le_bytes(slot)),
            T::Timestamp => Value::Timestamp(i64::from_le_bytes(slot)),
            T::Date => Value::Date(i64::from_le_bytes(slot) as i32),
            T::String => self
                .heap(slot)
                .and_then(|bytes| std::str::from_utf8(bytes).ok())
                .map_or(Value::Null, Value::Text),
            T::Binary => self.heap(slot).map_or(Value::Null, Value::Bytes),
        }
    }

    fn heap(&self, slot: [u8; SLOT_LEN]) -> Option<&'a [u8]> {
        let packed = u64::from_le_bytes(slot);
        let (from, len) = ((packed >> 32) as usize, (packed & 0xffff_ffff) as usize);
        self.bytes.get(from..from.checked_add(len)?)
    }
}

/// Writes one version: `values` in the order of the view's features.
pub fn encode<'v>(
    out: &mut Vec<u8>,
    stamp: Stamp,
    tombstone: bool,
    pushed: bool,
    values: impl ExactSizeIterator<Item = Value<'v>>,
) {
    out.clear();
    out.extend_from_slice(&stamp.event.to_le_bytes());
    out.extend_from_slice(&stamp.created.to_le_bytes());
    out.extend_from_slice(&stamp.sequence.to_le_bytes());
    out.push(if tombstone { FLAG_TOMBSTONE } else { 0 } | if pushed { FLAG_PUSHED } else { 0 });
    let count = values.len();
    let slots = ROW_HEADER_LEN + count.div_ceil(8);
    out.resize(slots + count * SLOT_LEN, 0);
    for (index, value) in values.enumerate() {
        let slot = match value {
            Value::Null => continue,
            Value::Bool(value) => u64::from(value).to_le_bytes(),
            Value::Int(value) | Value::Timestamp(value) => value.to_le_bytes(),
            Value::Uint(value) => value.to_le_bytes(),
            Value::Float(value) => value.to_le_bytes(),
            Value::Date(value) => i64::from(value).to_le_bytes(),
            Value::Text(value) => heap_slot(out, value.as_bytes()),
            Value::Bytes(value) => heap_slot(out, value),
        };
        out[ROW_HEADER_LEN + index / 8] |= 1 << (index % 8);
        out[slots + index * SLOT_LEN..][..SLOT_LEN].copy_from_slice(&slot);
    }
}

fn heap_slot(out: &mut Vec<u8>, bytes: &[u8]) -> [u8; SLOT_LEN] {
    let packed = ((out.len() as u64) << 32) | bytes.len() as u64;
    out.extend_from_slice(bytes);
    packed.to_le_bytes()
}

/// A key's stored value, checked as far as its framing.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    pub layout: u32,
    /// The whole key, when LMDB's is only its hash.
    pub witness: Option<&'a [u8]>,
    count: usize,
    versions: &'a [u8],
}

impl<'a> Stored<'a> {
    /// None when the bytes are not a stored value of this format.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&format, rest) = bytes.split_first()?;
        let (layout, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let (witness_len, rest) = rest.split_first_chunk()?;
        let (witness, versions) = rest.split_at_checked(u32::from_le_bytes(*witness_len) as usize)?;
        (format == FORMAT).then_some(Stored {
            layout: u32::from_le_bytes(*layout),
            witness: (!witness.is_empty()).then_some(witness),
            count: u16::from_le_bytes(*count).into(),
            versions,
        })
    }

    /// Newest first. Ends early where bytes are damaged; `is_whole` tells.
    pub fn versions(&self) -> impl Iterator<Item = Version<'a>> + use<'a> {
        let mut rest = self.versions;
        (0..self.count).map_while(move |_| {
            let (len, after) = rest.split_first_chunk()?;
            let (bytes, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            rest = after;
            (bytes.len() >= ROW_HEADER_LEN).then_some(Version { bytes })
        })
    }

    pub fn is_whole(&self) -> bool {
        self.versions().count() == self.count
    }
}

/// What became of a row that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    Stored,
    /// Something newer is there (law, case 37).
    Older,
    /// More versions than a key may keep.
    TooMany,
}

/// Puts `row` among what is stored and writes the new value to `out`. `now` decides which versions can never answer again.
pub fn merge(
    out: &mut Vec<u8>,
    stored: Option<Stored<'_>>,
    row: &[u8],
    (layout, witness): (u32, Option<&[u8]>),
    (rules, features, now): (Rules, usize, i64),
) -> Write {
    let new = Version { bytes: row };
    let mut versions: Vec<Version<'_>> = stored.iter().flat_map(Stored::versions).collect();
    // The usual case: one version, and the new row is either greater and visible, or smaller.
    let at = versions.partition_point(|version| version.stamp() > new.stamp());
    match versions.get_mut(at) {
        Some(same) if same.stamp() == new.stamp() => *same = new,
        _ => versions.insert(at, new),
    }
    let kept = useful(&versions, rules, features, now);
    if !kept.iter().any(|version| std::ptr::eq(version.bytes, row)) {
        return Write::Older;
    }
    if kept.len() > VERSIONS_MAX {
        return Write::TooMany;
    }
    write(out, &kept, layout, witness);
    Write::Stored
}

fn write(out: &mut Vec<u8>, versions: &[Version<'_>], layout: u32, witness: Option<&[u8]>) {
    let witness = witness.unwrap_or_default();
    let rows: usize = versions.iter().map(|version| version.bytes.len() + 4).sum();
    out.clear();
    out.reserve(HEADER_LEN + witness.len() + rows);
    out.push(FORMAT);
    out.extend_from_slice(&layout.to_le_bytes());
    out.extend_from_slice(&(versions.len() as u16).to_le_bytes());
    out.extend_from_slice(&(witness.len() as u32).to_le_bytes());
    out.extend_from_slice(witness);
    for version in versions {
        out.extend_from_slice(&(version.bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(version.bytes);
    }
}

/// The versions that may still answer at `now` or later: those not yet visible, the greatest visible one, and, with
/// `last_non_null`, older ones that fill a null of all above them, down to a tombstone.
fn useful<'a>(versions: &[Version<'a>], rules: Rules, features: usize, now: i64) -> Vec<Version<'a>> {
    let mut kept = Vec::with_capacity(versions.len());
    let mut filled: Option<Vec<bool>> = None;
    let mut hidden = false;
    for version in versions {
        if !rules.visible(version.stamp(), now) {
            if !hidden {
                kept.push(*version);
            }
            continue;
        }
        let news = match &filled {
            _ if hidden => false,
            None => true,
            Some(filled) => {
                // A tombstone hides what is older, whatever it holds itself.
                let fills = |index: usize| !filled[index] && !version.is_null(index);
                rules.nulls == Nulls::LastNonNull && (version.is_tombstone() || (0..features).any(fills))
            }
        };
        if !news {
            continue;
        }
        kept.push(*version);
        let filled = filled.get_or_insert_with(|| vec![false; features]);
        (0..features).for_each(|index| filled[index] |= !version.is_null(index));
        hidden = version.is_tombstone() || rules.nulls == Nulls::Row;
    }
    kept
}
