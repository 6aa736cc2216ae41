//! Rows of the online store as bytes: what a key's value holds, read in place without an allocation.
//! A value is a list of versions, newest first. Nearly always it has one; it has more when some lie in the future (they answer
//! only from their time on), when an older one ends later than the newer ones, or, with `nulls: last_non_null`, when an older
//! one still fills a null.
//! Invariant: versions stand in falling order of (event time, created time, sequence), and none that could never answer again
//! is kept. Where one was dropped, the versions that hide it say so: before all of them had begun, the key cannot be asked.

use drumlin_model::feature::{FeatureType, Nulls};

use crate::value::Value;

/// The format of stored values.
const FORMAT: u8 = 2;
/// The most versions that one key may keep. One more is an error: the store would have to lose one that may answer yet.
pub const VERSIONS_MAX: usize = 4096;
/// The end of a row that has none.
pub const NO_END: i64 = i64::MAX;
const HEADER_LEN: usize = 1 + 4 + 2 + 4;
const ROW_HEADER_LEN: usize = 8 + 8 + 8 + 8 + 1;
const UNTIL_AT: usize = 24;
const FLAGS_AT: usize = 32;
const SLOT_LEN: usize = 8;
const FLAG_TOMBSTONE: u8 = 1;
const FLAG_PUSHED: u8 = 2;
/// A smaller version was dropped that this one, or one beside it, hides from the time on that it has begun.
const FLAG_HIDES: u8 = 4;

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

/// Where rows go, and by which rules.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub view: &'a str,
    pub generation: u32,
    /// The tag of the schema, which every stored value repeats.
    pub layout: u32,
    pub rules: Rules,
    /// How many features a row has.
    pub features: usize,
    /// In microseconds.
    pub now: i64,
}

impl Rules {
    /// The first time at which a row may answer.
    pub fn from(&self, stamp: Stamp) -> i64 {
        let event = if self.inclusive {
            stamp.event
        } else {
            stamp.event.saturating_add(1)
        };
        event.max(stamp.created)
    }
    /// Whether a row may answer at `now`, its age aside.
    pub fn visible(&self, version: Version<'_>, now: i64) -> bool {
        self.from(version.stamp()) <= now && now < version.until()
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
    flags: u8,
}

impl<'a> Version<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() >= ROW_HEADER_LEN).then(|| Version {
            bytes,
            flags: bytes[FLAGS_AT],
        })
    }
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
    /// When the row stops to hold, in microseconds.
    pub fn until(&self) -> i64 {
        i64::from_le_bytes(
            self.bytes[UNTIL_AT..FLAGS_AT]
                .try_into()
                .expect("the header was checked"),
        )
    }
    pub fn is_tombstone(&self) -> bool {
        self.flags & FLAG_TOMBSTONE != 0
    }
    pub fn is_pushed(&self) -> bool {
        self.flags & FLAG_PUSHED != 0
    }
    /// Whether a version below it was dropped.
    pub fn hides(&self) -> bool {
        self.flags & FLAG_HIDES != 0
    }
    pub fn is_null(&self, index: usize) -> bool {
        self.bytes
            .get(ROW_HEADER_LEN + index / 8)
            .is_none_or(|byte| byte & (1 << (index % 8)) == 0)
    }

    /// Whether the bytes hold a value for each of `count` features. `heaps` are the positions and types of those features that
    /// are texts or bytes, and that are going to be read.
    pub fn is_sound(&self, count: usize, heaps: &[(usize, FeatureType)]) -> bool {
        let slots = ROW_HEADER_LEN + count.div_ceil(8);
        let sound = |&(index, kind): &(usize, FeatureType)| {
            let slot = self.bytes[slots + index * SLOT_LEN..].first_chunk();
            let bytes = slot.and_then(|slot| self.heap(*slot));
            self.is_null(index)
                || bytes.is_some_and(|bytes| kind == FeatureType::Binary || std::str::from_utf8(bytes).is_ok())
        };
        self.bytes.len() >= slots + count * SLOT_LEN && heaps.iter().all(sound)
    }

    /// The feature at `index` of a view of `count` features. Ask only a version that is sound: for bytes that are no such
    /// value this is null.
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

/// What a version says beside its values.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    pub stamp: Stamp,
    /// In microseconds; `NO_END` when the row holds for ever.
    pub until: i64,
    pub tombstone: bool,
    pub pushed: bool,
}

/// Writes one version: `values` in the order of the view's features.
pub fn encode<'v>(out: &mut Vec<u8>, head: Head, values: impl ExactSizeIterator<Item = Value<'v>>) {
    out.clear();
    out.extend_from_slice(&head.stamp.event.to_le_bytes());
    out.extend_from_slice(&head.stamp.created.to_le_bytes());
    out.extend_from_slice(&head.stamp.sequence.to_le_bytes());
    out.extend_from_slice(&head.until.to_le_bytes());
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.push(flag(head.tombstone, FLAG_TOMBSTONE) | flag(head.pushed, FLAG_PUSHED));
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
    /// The whole key, when the store's is only its hash.
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
            Version::new(bytes)
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
    /// A newer row stands there, and the value is as it was (law, case 37).
    Older,
    /// A newer row stands there; only its `hides` flag changed.
    Marked,
    /// More versions than a key may keep.
    TooMany,
}

/// Puts `row` among what is stored and writes the new value to `out`. The target's `now` decides which versions can never
/// answer again; `witness` is the key that the value repeats.
pub fn merge(
    out: &mut Vec<u8>,
    stored: Option<Stored<'_>>,
    row: &[u8],
    witness: Option<&[u8]>,
    target: &Target<'_>,
) -> Write {
    let (rules, now) = (target.rules, target.now);
    let Some(mut new) = Version::new(row) else {
        return Write::Older;
    };
    let mut versions: Vec<Version<'_>> = stored.iter().flat_map(Stored::versions).collect();
    // The usual case: one version, and the new row is either greater and visible, or smaller.
    let at = versions.partition_point(|version| version.stamp() > new.stamp());
    match versions.get_mut(at) {
        Some(same) if same.stamp() == new.stamp() => {
            // The same row again, after an append that was killed: what it hid, it hides.
            new.flags |= same.flags & FLAG_HIDES;
            *same = new;
        }
        _ => versions.insert(at, new),
    }
    let mut kept = useful(&versions, rules, target.features, now);
    let mut marked = false;
    if kept.len() < versions.len() {
        for version in kept.iter_mut().filter(|version| rules.from(version.stamp()) <= now) {
            marked |= !version.hides();
            version.flags |= FLAG_HIDES;
        }
    }
    let is_kept = kept.iter().any(|version| std::ptr::eq(version.bytes, row));
    if !is_kept && !marked {
        return Write::Older;
    }
    if kept.len() > VERSIONS_MAX {
        return Write::TooMany;
    }
    write(out, &kept, target.layout, witness);
    if is_kept { Write::Stored } else { Write::Marked }
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
        let flags = out.len() + FLAGS_AT;
        out.extend_from_slice(version.bytes);
        out[flags] = version.flags;
    }
}

/// The versions that may answer at `now` or later. There are four cases:
///
/// - it has not begun at `now`;
/// - it is the greatest that has begun, whether it has ended or not: at an earlier time it still answers;
/// - it is older, and ends later than every version above it;
/// - with `last_non_null`, it fills a null of every version above it, down to the first tombstone.
fn useful<'a>(versions: &[Version<'a>], rules: Rules, features: usize, now: i64) -> Vec<Version<'a>> {
    let mut kept = Vec::with_capacity(versions.len());
    // The latest end of the versions above: of those that hide a row whole, of all of them, and of those that fill each feature.
    let (mut hidden, mut topped, mut filled) = (i64::MIN, i64::MIN, None::<Vec<i64>>);
    for version in versions {
        let until = version.until();
        if until <= hidden {
            continue;
        }
        if rules.from(version.stamp()) > now {
            kept.push(*version);
            continue;
        }
        let fills = |index: usize| {
            let filled = filled.as_ref().map_or(i64::MIN, |filled| filled[index]);
            until > filled && !version.is_null(index)
        };
        // A tombstone hides what is older, whatever it holds itself.
        if until <= topped && !version.is_tombstone() && !(0..features).any(fills) {
            continue;
        }
        kept.push(*version);
        topped = topped.max(until);
        if version.is_tombstone() || rules.nulls == Nulls::Row {
            hidden = hidden.max(until);
        }
        if rules.nulls == Nulls::LastNonNull {
            let filled = filled.get_or_insert_with(|| vec![i64::MIN; features]);
            for index in (0..features).filter(|&index| !version.is_null(index)) {
                filled[index] = filled[index].max(until);
            }
        }
    }
    kept
}
