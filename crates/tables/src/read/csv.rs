//! CSV files as typed batches: every field is cut as text first, then parsed strictly, so that an error names line and column.
//! `text` knows types and parsing; `mod` picks this module by format.

use std::{
    fs::File,
    io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow::{
    array::{Array, AsArray, RecordBatch, StringArray},
    compute::concat_batches,
    csv::{ReaderBuilder, reader::Format},
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
};

use super::{
    columns::{Batches, Known, check_names},
    text,
};
use crate::{
    error::{Error, Result},
    options::ReadOptions,
    types::type_name,
};

/// Rows per batch: enough for vectors, or fewer where they take more than the bytes.
const BATCH_ROWS_MAX: usize = 8192;
const BATCH_BYTES: usize = 16 << 20;
/// Rows that are cut at once. They may take so many bytes, which is a mebibyte for each; what takes more has no end.
const CUT_ROWS: usize = 256;
const CUT_BYTES_MAX: u64 = 256 << 20;
/// The longest header.
const HEADER_BYTES_MAX: u64 = 16 << 20;
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
const QUOTE: u8 = b'"';

pub(super) struct CsvFile<'a> {
    pub(super) file: &'a Path,
    pub(super) name: &'a str,
    pub(super) options: &'a ReadOptions,
}

impl CsvFile<'_> {
    /// The columns' names, and their types where `known` does not say: inferred from every row of the file.
    pub(super) fn schema(&self, known: &dyn Fn(&str) -> Option<Known>) -> Result<SchemaRef> {
        let names = self.header()?;
        check_names(self.name, &names)?;
        let known: Vec<_> = names.iter().map(|name| known(name).map(Known::into_type)).collect();
        if let Some(bad) = known.iter().flatten().find(|known| !text::can_parse(known)) {
            let detail = format!("is a CSV, which cannot hold values of the type {}", type_name(bad));
            return Err(Error::Content {
                file: self.name.into(),
                detail,
            });
        }
        let mut guesses = vec![text::Guess::Nothing; names.len()];
        if known.iter().any(Option::is_none) {
            for batch in self.text(&names)? {
                let batch = batch?;
                let columns = guesses.iter_mut().zip(batch.columns()).zip(&known);
                for ((guess, column), _) in columns.filter(|(_, known)| known.is_none()) {
                    *guess = guess_column(*guess, column.as_string(), &self.options.nulls);
                }
            }
        }
        let types = known
            .into_iter()
            .zip(guesses)
            .map(|(known, guess)| known.unwrap_or_else(|| guess.to_type()));
        let fields: Vec<_> = names
            .iter()
            .zip(types)
            .map(|(name, to)| Field::new(name, to, true))
            .collect();
        Ok(Arc::new(Schema::new(fields)))
    }

    pub(super) fn batches(&self, schema: SchemaRef) -> Result<Batches> {
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let texts = self.text(&names)?;
        let (file, name, nulls) = (self.file.to_owned(), self.name.to_owned(), self.options.nulls.clone());
        let mut before = u64::from(self.options.header);
        let (whole, doing) = (schema.clone(), format!("read {}", self.name));
        let typed = texts.map(move |batch| {
            let batch = batch?;
            let first_record = before;
            before += batch.num_rows() as u64;
            let parse = |(column, field): (&Arc<dyn Array>, &Arc<Field>)| {
                text::parse_column(column.as_string(), field.data_type(), &nulls).map_err(|bad| Error::Value {
                    file: name.clone(),
                    line: line_of_record(&file, first_record + bad.row as u64),
                    column: field.name().clone(),
                    value: bad.value,
                    expected: expected(field.data_type()),
                })
            };
            let columns = batch
                .columns()
                .iter()
                .zip(schema.fields())
                .map(parse)
                .collect::<Result<Vec<_>>>()?;
            RecordBatch::try_new(schema.clone(), columns).map_err(Error::arrow(format!("read {name}")))
        });
        Ok(Box::new(coalesced(typed, whole, doing)))
    }

    fn header(&self) -> Result<Vec<String>> {
        let format = Format::default()
            .with_header(self.options.header)
            .with_delimiter(self.options.delimiter);
        let reader = self.open()?;
        reader.taken.store(CUT_BYTES_MAX - HEADER_BYTES_MAX, Ordering::Relaxed);
        let (schema, _) = format
            .infer_schema(reader, Some(0))
            .map_err(|error| explain(self.file, self.name, 0, error))?;
        if schema.fields().is_empty() {
            return Err(Error::Content {
                file: self.name.into(),
                detail: "is empty: it has no columns".into(),
            });
        }
        Ok(schema
            .fields()
            .iter()
            .map(|field| field.name().trim().to_owned())
            .collect())
    }

    /// Every field as text. Ragged rows are errors.
    fn text(&self, names: &[String]) -> Result<impl Iterator<Item = Result<RecordBatch>> + Send + use<>> {
        let fields: Vec<_> = names
            .iter()
            .map(|name| Field::new(name, DataType::Utf8, true))
            .collect();
        let input = self.open()?;
        let taken = input.taken.clone();
        let reader = ReaderBuilder::new(Arc::new(Schema::new(fields)))
            .with_header(self.options.header)
            .with_delimiter(self.options.delimiter)
            .with_batch_size(CUT_ROWS)
            .build_buffered(input)
            .map_err(Error::arrow(format!("read {}", self.name)))?;
        let (file, name) = (self.file.to_owned(), self.name.to_owned());
        let (mut reader, mut ended, mut spans_lines) = (reader, false, false);
        let mut records = u64::from(self.options.header);
        Ok(std::iter::from_fn(move || {
            if ended {
                return None;
            }
            match reader.next() {
                Some(Ok(batch)) => {
                    spans_lines = last_field_spans_lines(&batch);
                    taken.store(0, Ordering::Relaxed);
                    records += batch.num_rows() as u64;
                    Some(Ok(batch))
                }
                Some(Err(error)) => {
                    ended = true;
                    Some(Err(explain(&file, &name, records, error)))
                }
                None => {
                    ended = true;
                    (spans_lines && !ends_with_quote(&file)).then(|| Err(open_quote(&name)))
                }
            }
        }))
    }

    fn open(&self) -> Result<Metered> {
        let failed = |source| Error::Io {
            doing: format!("read {}", self.name),
            source,
        };
        let mut file = File::open(self.file).map_err(failed)?;
        let mut start = Vec::new();
        file.by_ref()
            .take(BYTE_ORDER_MARK.len() as u64)
            .read_to_end(&mut start)
            .map_err(failed)?;
        let skip = if start == BYTE_ORDER_MARK {
            start.len() as u64
        } else {
            0
        };
        file.seek(SeekFrom::Start(skip)).map_err(failed)?;
        Ok(Metered {
            input: BufReader::with_capacity(1 << 18, file),
            taken: Arc::default(),
        })
    }
}

/// Batches of as many rows as a batch may have, or as many bytes.
fn coalesced(
    mut cuts: impl Iterator<Item = Result<RecordBatch>>,
    schema: SchemaRef,
    doing: String,
) -> impl Iterator<Item = Result<RecordBatch>> {
    std::iter::from_fn(move || {
        let (mut held, mut rows, mut bytes) = (Vec::new(), 0, 0);
        while rows < BATCH_ROWS_MAX && bytes < BATCH_BYTES {
            match cuts.next() {
                Some(Ok(cut)) => {
                    rows += cut.num_rows();
                    bytes += cut.get_array_memory_size();
                    held.push(cut);
                }
                Some(Err(error)) => return Some(Err(error)),
                None => break,
            }
        }
        let joined = || concat_batches(&schema, &held).map_err(Error::arrow(doing.clone()));
        (!held.is_empty()).then(joined)
    })
}

/// A file that says how much of it was taken since this was last set to nothing, and ends in an error beyond the limit.
struct Metered {
    input: BufReader<File>,
    taken: Arc<AtomicU64>,
}

impl Read for Metered {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let read = self.fill_buf()?.read(to)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Metered {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.taken.load(Ordering::Relaxed) > CUT_BYTES_MAX {
            return Err(ErrorKind::FileTooLarge.into());
        }
        self.input.fill_buf()
    }
    fn consume(&mut self, len: usize) {
        self.taken.fetch_add(len as u64, Ordering::Relaxed);
        self.input.consume(len);
    }
}

fn guess_column(guess: text::Guess, column: &StringArray, nulls: &[String]) -> text::Guess {
    let mut values = column.iter().flatten().filter(|value| !text::is_null(value, nulls));
    values
        .try_fold(guess, |guess, value| match guess.with(value) {
            text::Guess::Text => Err(text::Guess::Text),
            other => Ok(other),
        })
        .unwrap_or_else(|text| text)
}

pub(super) fn expected(to: &DataType) -> String {
    let name = type_name(to);
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {name}")
}

fn open_quote(name: &str) -> Error {
    let detail = "ends inside a row: is a quote left open?".into();
    Error::Content {
        file: name.to_owned(),
        detail,
    }
}

/// Whether the last field of the file, as read, holds a line break: then it was quoted, and a quote must end the file.
fn last_field_spans_lines(batch: &RecordBatch) -> bool {
    let last = batch.columns().last().map(|column| column.as_string::<i32>());
    last.is_some_and(|last| {
        !last.is_empty() && last.is_valid(last.len() - 1) && last.value(last.len() - 1).contains('\n')
    })
}

/// A file that cannot be read any more passes: reading it has said so already.
fn ends_with_quote(file: &Path) -> bool {
    const TAIL: u64 = 4096;
    let tail = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(file)?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(TAIL)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        Ok(tail)
    };
    tail().map_or(true, |tail| tail.trim_ascii_end().ends_with(&[QUOTE]))
}

/// Makes one line of the CSV reader's error: which line, and what is wrong with it.
fn explain(file: &Path, name: &str, records: u64, error: ArrowError) -> Error {
    if let ArrowError::IoError(_, source) = &error
        && source.kind() == ErrorKind::FileTooLarge
    {
        let most = CUT_BYTES_MAX >> 20;
        return Error::Line {
            file: name.to_owned(),
            line: line_of_record(file, records),
            detail: format!("from here on less than {CUT_ROWS} rows take {most} MiB: is a quote left open?"),
        };
    }
    let ArrowError::CsvError(message) = &error else {
        return Error::Arrow {
            doing: format!("read {name}"),
            source: error,
        };
    };
    if let Some((record, expected, got)) = ragged(message) {
        let line = line_of_record(file, record.saturating_sub(1));
        let detail = format!("{got} fields where the header has {expected}");
        return Error::Line {
            file: name.to_owned(),
            line,
            detail,
        };
    }
    if message.contains("file too large") {
        let most = HEADER_BYTES_MAX >> 20;
        return Error::Line {
            file: name.to_owned(),
            line: 1,
            detail: format!("the header takes more than {most} MiB: is a quote left open?"),
        };
    }
    if message.contains("part way through record") {
        return open_quote(name);
    }
    if message.contains("UTF-8") {
        let detail = "is not UTF-8 text; convert it first, as in: iconv -f latin1 -t utf8".into();
        return Error::Content {
            file: name.to_owned(),
            detail,
        };
    }
    Error::Arrow {
        doing: format!("read {name}"),
        source: error,
    }
}

/// The record (from 1), the expected and the found number of fields in arrow's message about a ragged row.
fn ragged(message: &str) -> Option<(u64, u64, String)> {
    let rest = message.strip_prefix("incorrect number of fields for line ")?;
    let (record, rest) = rest.split_once(", expected ")?;
    let (expected, got) = rest.split_once(" got ")?;
    Some((record.parse().ok()?, expected.parse().ok()?, got.to_owned()))
}

/// The line, from 1, on which the record with this index starts: quoted fields may span lines, and empty lines are skipped.
///
/// Reads the file again, which only happens once, for an error. A file that has changed since gives the last line.
fn line_of_record(file: &Path, record: u64) -> u64 {
    let Ok(file) = File::open(file) else { return record + 1 };
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let (mut line, mut records, mut quoted, mut in_record) = (1, 0, false, false);
    loop {
        let buffer = match reader.fill_buf() {
            Ok(buffer) if !buffer.is_empty() => buffer,
            _ => return line,
        };
        for &byte in buffer {
            if !in_record && !matches!(byte, b'\n' | b'\r') {
                if records == record {
                    return line;
                }
                in_record = true;
            }
            quoted ^= byte == QUOTE;
            if byte == b'\n' {
                line += 1;
                if in_record && !quoted {
                    in_record = false;
                    records += 1;
                }
            }
        }
        let read = buffer.len();
        reader.consume(read);
    }
}
