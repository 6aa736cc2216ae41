//! JSON lines as typed batches: one object a line. A line that does not parse, or does not fit, is named by its number.
//! `text` recognizes strings that are times; `mod` picks this module by format.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
    sync::Arc,
};

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
    json::{ReaderBuilder, reader::infer_json_schema_from_iterator},
};
use serde_json::Value;

use super::{
    columns::{Batches, Known, check_names},
    csv::expected,
    text::{Guess, can_parse, is_plain_int, parse_column},
};
use crate::error::{Error, Result};

/// Lines parsed together.
const BATCH_LINES: usize = 8192;
/// Bytes of lines after which a batch ends early: long lines must not fill memory.
const BATCH_BYTES: usize = 8 << 20;
/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 64 << 20;

pub(super) struct JsonFile<'a> {
    pub(super) file: &'a Path,
    pub(super) name: &'a str,
}

impl JsonFile<'_> {
    /// The fields of all lines, in the order first seen, with types from `known` or inferred from every line.
    pub(super) fn schema(&self, known: &dyn Fn(&str) -> Option<Known>) -> Result<SchemaRef> {
        let strings = RefCell::new(HashMap::<String, Guess>::new());
        let failure = RefCell::new(None);
        let values = self
            .lines()?
            .enumerate()
            .filter_map(|(index, line)| match self.object(index as u64 + 1, line) {
                Ok(None) => None,
                Ok(Some(value)) => {
                    guess_strings(&mut strings.borrow_mut(), &value);
                    Some(Ok(value))
                }
                Err(error) => {
                    *failure.borrow_mut() = Some(error);
                    Some(Err(ArrowError::JsonError(String::new())))
                }
            });
        let inferred = infer_json_schema_from_iterator(values);
        if let Some(error) = failure.into_inner() {
            return Err(error);
        }
        let inferred = inferred.map_err(Error::arrow(format!("find the types of {}", self.name)))?;
        let names: Vec<_> = inferred.fields().iter().map(|field| field.name().clone()).collect();
        if names.is_empty() {
            return Err(Error::Content {
                file: self.name.into(),
                detail: "is empty: it has no columns".into(),
            });
        }
        check_names(self.name, &names)?;
        let strings = strings.into_inner();
        let fields: Vec<_> = inferred
            .fields()
            .iter()
            .map(|field| {
                let guessed = || guessed_type(field, strings.get(field.name()));
                Field::new(
                    field.name(),
                    known(field.name()).map_or_else(guessed, Known::into_type),
                    true,
                )
            })
            .collect();
        Ok(Arc::new(Schema::new(fields)))
    }

    pub(super) fn batches(&self, schema: SchemaRef) -> Result<Batches> {
        let (name, mut lines) = (self.name.to_owned(), self.lines()?);
        let mut next_line = 1;
        Ok(Box::new(std::iter::from_fn(move || {
            let first_line = next_line;
            match take_lines(&mut lines) {
                Ok(taken) if taken.is_empty() => None,
                Ok(taken) => {
                    next_line += taken.len() as u64;
                    Some(parse(&taken, &schema).map_err(|fault| explain(&name, first_line, &taken, &schema, fault)))
                }
                Err(error) => Some(Err(error)),
            }
        })))
    }

    fn lines(&self) -> Result<Lines> {
        let file = File::open(self.file).map_err(Error::io(format!("read {}", self.name)))?;
        Ok(Lines {
            reader: BufReader::with_capacity(1 << 18, file),
            name: self.name.to_owned(),
            number: 0,
        })
    }

    fn object(&self, line: u64, text: Result<String>) -> Result<Option<Value>> {
        let text = text?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        let bad = |detail: String| Error::Line {
            file: self.name.to_owned(),
            line,
            detail,
        };
        match serde_json::from_str(&text) {
            Ok(value @ Value::Object(_)) => Ok(Some(value)),
            Ok(_) => Err(bad("not an object; each line must be one JSON object".into())),
            Err(error) => Err(bad(format!("not JSON: {error}"))),
        }
    }
}

fn guess_strings(guesses: &mut HashMap<String, Guess>, value: &Value) {
    for (name, value) in value.as_object().into_iter().flatten() {
        if value.is_null() {
            continue;
        }
        let before = guesses.get(name).copied().unwrap_or_default();
        // A number among times makes none of them a time.
        let guess = value.as_str().map_or(Guess::Text, |text| before.with(text));
        if guess != before {
            guesses.insert(name.clone(), guess);
        }
    }
}

/// A string column whose every value is a time is one of times; a number in quotes stays text, as its writer meant.
fn guessed_type(field: &Field, strings: Option<&Guess>) -> DataType {
    match (field.data_type(), strings) {
        (DataType::Utf8, Some(guess @ (Guess::Date | Guess::Timestamp))) => guess.to_type(),
        (DataType::Null, _) => DataType::Utf8,
        (other, _) => other.clone(),
    }
}

/// The lines of a file, as far as each has an end.
struct Lines {
    reader: BufReader<File>,
    name: String,
    number: u64,
}

impl Iterator for Lines {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Result<String>> {
        let mut line = Vec::new();
        let limited = self
            .reader
            .by_ref()
            .take(LINE_BYTES_MAX + 1)
            .read_until(b'\n', &mut line);
        if let Err(error) = limited {
            return Some(Err(Error::io(format!("read {}", self.name))(error)));
        }
        if line.is_empty() {
            return None;
        }
        self.number += 1;
        let bad = |detail: String| Error::Line {
            file: self.name.clone(),
            line: self.number,
            detail,
        };
        if line.len() as u64 > LINE_BYTES_MAX {
            let most = LINE_BYTES_MAX >> 20;
            return Some(Err(bad(format!(
                "longer than {most} MiB; each line must be one JSON object"
            ))));
        }
        line.pop_if(|last| *last == b'\n');
        Some(String::from_utf8(line).map_err(|_| bad("not UTF-8 text".into())))
    }
}

fn take_lines(lines: &mut Lines) -> Result<Vec<String>> {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    while taken.len() < BATCH_LINES && bytes < BATCH_BYTES {
        let Some(line) = lines.next() else { break };
        let line = line?;
        bytes += line.len();
        taken.push(line);
    }
    Ok(taken)
}

/// Values that stand in a column of their own are taken as they are written and parsed as text is, since arrow's reader
/// cuts fractions off and takes numbers for times.
fn parse(lines: &[String], schema: &SchemaRef) -> Result<RecordBatch, Fault> {
    let fields = schema.fields().iter().map(|field| match can_parse(field.data_type()) {
        true => Arc::new(Field::new(field.name(), DataType::Utf8, true)),
        false => field.clone(),
    });
    let written: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut decoder = ReaderBuilder::new(written.clone())
        .with_batch_size(lines.len().max(1))
        .with_coerce_primitive(true)
        .build_decoder()?;
    for line in lines {
        decoder.decode(line.as_bytes())?;
        decoder.decode(b"\n")?;
    }
    let batch = decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(written));
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        if !can_parse(field.data_type()) {
            return Ok(column.clone());
        }
        let bad = |value: &str| Fault::Value {
            column: field.name().clone(),
            value: value.to_owned(),
            expected: expected(field.data_type()),
        };
        let text = column.as_string::<i32>();
        if field.data_type().is_integer()
            && let Some(value) = text.iter().flatten().find(|value| !is_plain_int(value))
        {
            return Err(bad(value));
        }
        parse_column(text, field.data_type(), &[]).map_err(|found| bad(&found.value))
    });
    Ok(RecordBatch::try_new(
        schema.clone(),
        columns.collect::<Result<_, _>>()?,
    )?)
}

/// What is wrong with lines, before their number is known.
enum Fault {
    Json(ArrowError),
    Value {
        column: String,
        value: String,
        expected: String,
    },
}

impl From<ArrowError> for Fault {
    fn from(error: ArrowError) -> Self {
        Fault::Json(error)
    }
}

/// Names the first line that does not parse by itself.
fn explain(name: &str, first_line: u64, lines: &[String], schema: &SchemaRef, fault: Fault) -> Error {
    let alone = lines
        .iter()
        .enumerate()
        .find_map(|(index, line)| Some((index, parse(std::slice::from_ref(line), schema).err()?)));
    let (file, line) = (
        name.to_owned(),
        first_line + alone.as_ref().map_or(0, |(index, _)| *index as u64),
    );
    match alone.map_or(fault, |(_, fault)| fault) {
        Fault::Json(error) => {
            let detail = error.to_string();
            let detail = detail.strip_prefix("Json error: ").unwrap_or(&detail).to_owned();
            Error::Line { file, line, detail }
        }
        Fault::Value {
            column,
            value,
            expected,
        } => Error::Value {
            file,
            line,
            column,
            value,
            expected,
        },
    }
}
