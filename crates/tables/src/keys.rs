//! `Keys`: the row keys of an upsert in a scratch file; `KeyPart`: as many of them as fit in memory; `Marked`: rows of a file
//! whose key is among them. `upsert` stages the keys and asks for each row of the table.
//! Invariant: a key is known by 128 bits of SipHash over its columns in arrow's row format, which is equal where they are. The
//! hash has a secret of its own in each run, so no input can be made whose keys collide, and by chance none of a trillion do.

use std::{
    collections::HashSet,
    fs::File,
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    io::{BufReader, BufWriter, Read, Seek, Write},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, AsArray, RecordBatch},
    compute::{cast, filter_record_batch},
    datatypes::{DataType, Float32Type, Float64Type, SchemaRef},
    error::ArrowError,
    row::{RowConverter, SortField},
};
use datafusion::{
    error::DataFusionError,
    execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation},
};

use crate::error::{Error, Result};

const HASH_BYTES: usize = 16;
/// What a key takes in a hash set, at most: buckets are a power of two, of which an eighth stays empty.
const SET_BYTES_PER_KEY: usize = 40;
/// A part may have this share of the memory limit, and those of its keys that were found as much; scans and marks have the rest.
const MEMORY_SHARE: usize = 4;
/// By how much a part may be larger than the others without growing: of all keys, and some.
const SPREAD_PART: usize = 1024;
const SPREAD_KEYS: usize = 1024;
/// Each part is a pass over the key columns of the table. What would take more needs more memory.
const PARTS_MAX: usize = 64;

/// The keys of rows, in the rows' order.
pub(crate) struct Keys {
    columns: Vec<String>,
    types: Vec<DataType>,
    converter: RowConverter,
    /// Each gives half of a key's hash.
    halves: [RandomState; 2],
    file: BufWriter<File>,
    rows: u64,
}

/// What failed where, for the errors of reading and writing the scratch file.
fn scratch(source: std::io::Error) -> Error {
    Error::io("keep the keys in the spill folder")(source)
}

impl Keys {
    /// For the key columns of `schema`; `file` is an empty scratch file.
    pub(crate) fn new(schema: &SchemaRef, columns: &[String], file: File) -> Result<Self> {
        let kind = |column: &String| schema.field_with_name(column).map(|field| field.data_type().clone());
        let types: Result<Vec<_>, ArrowError> = columns.iter().map(kind).collect();
        let types = types.map_err(Error::arrow("find the key's columns"))?;
        let fields = types.iter().cloned().map(SortField::new).collect();
        Ok(Self {
            columns: columns.to_vec(),
            converter: RowConverter::new(fields).map_err(Error::arrow("use columns of these types as a key"))?,
            types,
            halves: [RandomState::new(), RandomState::new()],
            file: BufWriter::new(file),
            rows: 0,
        })
    }

    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    pub(crate) fn len(&self) -> u64 {
        self.rows
    }

    /// The keys of a batch, whatever else is in it.
    pub(crate) fn of(&self, batch: &RecordBatch) -> Result<Vec<u128>> {
        let columns = self.columns.iter().zip(&self.types).map(|(name, kind)| {
            let column = batch.column_by_name(name).expect("the key's columns were asked for");
            cast(column, kind).map(one_zero)
        });
        let columns: Result<Vec<ArrayRef>, ArrowError> = columns.collect();
        let rows = columns.and_then(|columns| self.converter.convert_columns(&columns));
        let rows = rows.map_err(Error::arrow("compare the keys"))?;
        Ok(rows.iter().map(|row| self.hash(row.as_ref())).collect())
    }

    fn hash(&self, row: &[u8]) -> u128 {
        let [low, high] = self.halves.each_ref().map(|half| u128::from(half.hash_one(row)));
        high << u64::BITS | low
    }

    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        for key in self.of(batch)? {
            self.file.write_all(&key.to_le_bytes()).map_err(scratch)?;
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// In how many parts the keys fit in the memory limit.
    pub(crate) fn parts(&self, memory_limit_bytes: usize) -> Result<usize> {
        let bytes = self.rows as u128 * SET_BYTES_PER_KEY as u128;
        let parts = bytes.div_ceil((memory_limit_bytes / MEMORY_SHARE).max(1) as u128);
        if parts > PARTS_MAX as u128 {
            let why = format!("{} keys would take {parts} passes", self.rows);
            return Err(Error::Memory {
                limit_bytes: memory_limit_bytes,
                source: Box::new(DataFusionError::ResourcesExhausted(why)),
            });
        }
        Ok((parts as usize).max(1))
    }

    /// The keys of one part, or the first key found that is there twice.
    pub(crate) fn part(
        &mut self,
        Part { part, parts }: Part,
        pool: &Arc<dyn MemoryPool>,
    ) -> Result<PartKeys, DataFusionError> {
        let memory = MemoryConsumer::new("keys of the rows to write").register(pool);
        let expected = self.rows as usize / parts + self.rows as usize / SPREAD_PART + SPREAD_KEYS;
        memory.try_grow(expected * SET_BYTES_PER_KEY)?;
        let mut found = KeyPart {
            keys: HashSet::with_capacity_and_hasher(expected, Default::default()),
            found: HashSet::default(),
            parts,
            part,
            memory,
        };
        let mut doubled = None;
        self.each(|row, key| {
            if part_of(key, parts) == part && !found.insert(key)? {
                doubled = Some((key, row));
            }
            Ok(doubled.is_none())
        })?;
        let Some((key, second)) = doubled else {
            return Ok(PartKeys::Distinct(found));
        };
        let mut first = 0;
        self.each(|row, other| {
            first = row;
            Ok(other != key)
        })?;
        Ok(PartKeys::Doubled { first, second })
    }

    /// Every key with its row, until told to stop.
    fn each(
        &mut self,
        mut visit: impl FnMut(u64, u128) -> Result<bool, DataFusionError>,
    ) -> Result<(), DataFusionError> {
        let failed = |error| DataFusionError::External(Box::new(scratch(error)));
        self.file.flush().map_err(failed)?;
        let mut file = self.file.get_ref();
        file.rewind().map_err(failed)?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut bytes = [0; HASH_BYTES];
        for row in 0..self.rows {
            reader.read_exact(&mut bytes).map_err(failed)?;
            if !visit(row, u128::from_le_bytes(bytes))? {
                break;
            }
        }
        Ok(())
    }
}

/// One of the parts that the keys are looked at in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// From 0.
    pub(crate) part: usize,
    pub(crate) parts: usize,
}

/// What a part of the keys holds.
pub(crate) enum PartKeys {
    /// No key twice.
    Distinct(KeyPart),
    /// The rows of a key that is there twice, counted from 0.
    Doubled { first: u64, second: u64 },
}

/// Some of the keys, in memory that is accounted for.
pub(crate) struct KeyPart {
    /// Those that no row of the table had yet, and those that one had.
    keys: HashSet<u128, BuildHasherDefault<LowHalf>>,
    found: HashSet<u128, BuildHasherDefault<LowHalf>>,
    parts: usize,
    part: usize,
    memory: MemoryReservation,
}

impl KeyPart {
    /// Whether the key is one of this part.
    pub(crate) fn find(&mut self, key: u128) -> Result<bool, DataFusionError> {
        if part_of(key, self.parts) != self.part {
            return Ok(false);
        }
        if self.keys.remove(&key) {
            make_room(&mut self.found, &mut self.memory)?;
            return Ok(self.found.insert(key));
        }
        Ok(self.found.contains(&key))
    }

    /// How many keys were found.
    pub(crate) fn found(&self) -> u64 {
        self.found.len() as u64
    }

    /// Whether it was new.
    fn insert(&mut self, key: u128) -> Result<bool, DataFusionError> {
        make_room(&mut self.keys, &mut self.memory)?;
        Ok(self.keys.insert(key))
    }
}

fn make_room<H: BuildHasher>(
    keys: &mut HashSet<u128, H>,
    memory: &mut MemoryReservation,
) -> Result<(), DataFusionError> {
    if keys.len() == keys.capacity() {
        let more = keys.len().max(1024);
        memory.try_grow(more * SET_BYTES_PER_KEY)?;
        keys.reserve(more);
    }
    Ok(())
}

/// Floats that SQL takes for equal as the same bits: one zero, one NaN.
fn one_zero(column: ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float32 => {
            let one = |value: f32| if value.is_nan() { f32::NAN } else { value + 0.0 };
            Arc::new(column.as_primitive::<Float32Type>().unary::<_, Float32Type>(one))
        }
        DataType::Float64 => {
            let one = |value: f64| if value.is_nan() { f64::NAN } else { value + 0.0 };
            Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(one))
        }
        _ => column,
    }
}

/// Keys are hashes already.
#[derive(Clone, Default)]
struct LowHalf(u64);

impl Hasher for LowHalf {
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are integers of 128 bits")
    }
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// Hashes are spread evenly, so the parts are of one size.
fn part_of(key: u128, parts: usize) -> usize {
    (((key >> u64::BITS) * parts as u128) >> u64::BITS) as usize
}

/// Rows of a data file, by their number in it.
#[derive(Debug, Default)]
pub(crate) struct Marked {
    /// A bit for each row up to the last one marked.
    words: Vec<u64>,
    pub(crate) count: u64,
}

impl Marked {
    /// A row that is not marked yet.
    pub(crate) fn mark(&mut self, row: u64, memory: &mut MemoryReservation) -> Result<(), DataFusionError> {
        let (word, bit) = ((row / u64::BITS as u64) as usize, row % u64::BITS as u64);
        if word >= self.words.len() {
            let words = (word + 1).next_power_of_two();
            memory.try_grow((words - self.words.len()) * size_of::<u64>())?;
            self.words.resize(words, 0);
        }
        self.words[word] |= 1 << bit;
        self.count += 1;
        Ok(())
    }

    fn has(&self, row: u64) -> bool {
        let word = self.words.get((row / u64::BITS as u64) as usize);
        word.is_some_and(|word| (word >> (row % u64::BITS as u64)) & 1 == 1)
    }

    /// The rows of a batch that starts at `first` which are not marked.
    pub(crate) fn others(&self, batch: &RecordBatch, first: u64) -> Result<RecordBatch> {
        let kept = (first..).take(batch.num_rows()).map(|row| Some(!self.has(row)));
        filter_record_batch(batch, &kept.collect()).map_err(Error::arrow("copy the rows that stay"))
    }
}
