//! Parquet parts with the same bytes for the same rows: batches are cut at fixed row counts, settings are written down.
//! `build` hands over joined batches in order and puts the finished files into a session.
//! Invariant: the bytes depend on the rows alone, never on how they were batched or on how many tasks made them.

use std::{fs::File, path::PathBuf};

use arrow::{
    array::{Array, RecordBatch},
    compute::BatchCoalescer,
    datatypes::SchemaRef,
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::{WriterProperties, WriterVersion},
};
use tempfile::NamedTempFile;

use super::record::Part;
use crate::error::{Error, Result};

/// Rows per part: a few hundred megabytes of wide rows.
const PART_ROWS: usize = 1 << 20;
/// Rows per row group: what is held in memory until it is written.
const GROUP_ROWS: usize = 1 << 16;
/// Rows that are handed to the Parquet writer at once; it looks at page sizes between them.
const WRITE_ROWS: usize = 8192;
const ZSTD_LEVEL: i32 = 3;
/// Stands in every part; says what wrote it, in which version of this module's settings.
const CREATED_BY: &str = "drumlin training set 1";

pub(crate) struct PartWriter {
    folder: PathBuf,
    schema: SchemaRef,
    batches: BatchCoalescer,
    current: Option<(ArrowWriter<File>, NamedTempFile, usize)>,
    finished: Vec<(Part, NamedTempFile)>,
    rows: u64,
    /// Nulls by column.
    nulls: Vec<u64>,
}

/// The parts, and what was counted on the way.
pub(crate) struct Parts {
    pub files: Vec<(Part, NamedTempFile)>,
    pub rows: u64,
    pub nulls: Vec<u64>,
}

impl PartWriter {
    pub fn new(folder: PathBuf, schema: SchemaRef) -> Self {
        let nulls = vec![0; schema.fields().len()];
        let batches = BatchCoalescer::new(schema.clone(), WRITE_ROWS);
        PartWriter {
            folder,
            schema,
            batches,
            current: None,
            finished: Vec::new(),
            rows: 0,
            nulls,
        }
    }

    pub fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        for (nulls, column) in self.nulls.iter_mut().zip(batch.columns()) {
            *nulls += column.logical_null_count() as u64;
        }
        self.batches
            .push_batch(batch)
            .map_err(Error::arrow("the training set's rows"))?;
        self.drain()
    }

    pub fn finish(mut self) -> Result<Parts> {
        self.batches
            .finish_buffered_batch()
            .map_err(Error::arrow("the training set's rows"))?;
        self.drain()?;
        if self.current.is_none() && self.finished.is_empty() {
            // An empty set has its schema all the same.
            self.current = Some(self.open()?);
        }
        self.close()?;
        Ok(Parts {
            files: self.finished,
            rows: self.rows,
            nulls: self.nulls,
        })
    }

    fn drain(&mut self) -> Result<()> {
        while let Some(batch) = self.batches.next_completed_batch() {
            let (mut writer, file, rows) = match self.current.take() {
                Some(current) => current,
                None => self.open()?,
            };
            writer
                .write(&batch)
                .map_err(Error::parquet("write a part of the training set"))?;
            let rows = rows + batch.num_rows();
            self.current = Some((writer, file, rows));
            if rows >= PART_ROWS {
                self.close()?;
            }
        }
        Ok(())
    }

    fn open(&self) -> Result<(ArrowWriter<File>, NamedTempFile, usize)> {
        let failed = |source| Error::Io {
            doing: "make a file for a part of the training set",
            source,
        };
        let file = NamedTempFile::new_in(&self.folder).map_err(failed)?;
        let properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_created_by(CREATED_BY.to_owned())
            .set_compression(Compression::ZSTD(
                ZstdLevel::try_new(ZSTD_LEVEL).expect("a level that zstd has"),
            ))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        let handle = file.reopen().map_err(failed)?;
        let writer = ArrowWriter::try_new(handle, self.schema.clone(), Some(properties));
        Ok((
            writer.map_err(Error::parquet("write a part of the training set"))?,
            file,
            0,
        ))
    }

    fn close(&mut self) -> Result<()> {
        let Some((writer, file, rows)) = self.current.take() else {
            return Ok(());
        };
        writer
            .close()
            .map_err(Error::parquet("write a part of the training set"))?;
        let failed = |source| Error::Io {
            doing: "read back a part of the training set",
            source,
        };
        let mut hasher = blake3::Hasher::new();
        let bytes = std::io::copy(&mut file.reopen().map_err(failed)?, &mut hasher).map_err(failed)?;
        let part = Part {
            file: format!("part-{:05}.parquet", self.finished.len()),
            rows: rows as u64,
            bytes,
            hash: hasher.finalize().to_hex().to_string(),
        };
        self.finished.push((part, file));
        Ok(())
    }
}
