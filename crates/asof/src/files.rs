//! A view's Parquet files as pieces (row groups): some columns of all rows, or of chosen rows; `run` reads them in parallel.
//! Invariant: a row's position in the order of writing is the file's place in the list, then the row's place in the file.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, Int64Array, UInt64Array, new_null_array},
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, Field},
    error::ArrowError,
};
use drumlin_model::Timestamp;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{
            ArrowReaderMetadata, ArrowReaderOptions, RowSelection, RowSelector, statistics::StatisticsConverter,
        },
        async_reader::ParquetRecordBatchStreamBuilder,
    },
    errors::ParquetError,
    file::metadata::RowGroupMetaData,
};

use crate::{
    columns::{Columns, Needed},
    error::{Error, Result},
    key::{EncodedKeys, KeyEncoder},
    reader::StoreReader,
    resolve::ResolvedLookup,
    spec::{ParquetFile, ParquetSource},
    time,
};

/// Footers that are read at once: they are small, and far away when the store is a bucket.
const FOOTERS_IN_FLIGHT: usize = 16;
/// Rows that are decoded at once: large enough to hide the cost of a call, small enough for the cache.
pub(crate) const BATCH_ROWS: usize = 16 * 1024;

/// The files of a view with their footers.
#[derive(Debug)]
pub(crate) struct Files {
    view: String,
    source: ParquetSource,
    footers: Vec<ArrowReaderMetadata>,
    pieces: Vec<FilePiece>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct FilePiece {
    file: usize,
    row_group: usize,
    pub(crate) first: u64,
    pub(crate) rows: u64,
}

impl Files {
    pub(crate) async fn open(view: &str, source: ParquetSource) -> Result<Self> {
        let footers: Vec<ArrowReaderMetadata> =
            stream::iter(source.files.iter().cloned().map(|file| footer(source.clone(), file)))
                .buffered(FOOTERS_IN_FLIGHT)
                .try_collect()
                .await?;
        let mut pieces = Vec::new();
        let mut first = 0;
        for (file, footer) in footers.iter().enumerate() {
            for (row_group, group) in footer.metadata().row_groups().iter().enumerate() {
                let rows = group.num_rows() as u64;
                pieces.push(FilePiece {
                    file,
                    row_group,
                    first,
                    rows,
                });
                first += rows;
            }
        }
        Ok(Files {
            view: view.to_owned(),
            source,
            footers,
            pieces,
        })
    }

    pub(crate) fn pieces(&self) -> &[FilePiece] {
        &self.pieces
    }

    /// When the rows of a piece became known, for views without a created-time column.
    pub(crate) fn written(&self, piece: usize) -> Option<Timestamp> {
        self.source.files[self.pieces[piece].file].written
    }

    /// The bytes of some columns of a piece, as stored.
    pub(crate) fn stored_bytes(&self, piece: usize, field: &Field) -> u64 {
        let piece = &self.pieces[piece];
        let footer = &self.footers[piece.file];
        let Ok(root) = footer.schema().index_of(field.name()) else {
            return 0;
        };
        let group = footer.metadata().row_group(piece.row_group);
        let descriptor = footer.parquet_schema();
        let leaves = group
            .columns()
            .iter()
            .enumerate()
            .filter(|(leaf, _)| descriptor.get_column_root_idx(*leaf) == root);
        leaves.map(|(_, column)| column.compressed_size().max(0) as u64).sum()
    }

    /// Streams some columns of a piece, as the view declares them; of chosen rows (ascending, counted in the piece) if given.
    pub(crate) fn read(
        &self,
        piece: usize,
        fields: &[Arc<Field>],
        rows: Option<&[u32]>,
    ) -> Result<BoxStream<'static, Result<Columns>>> {
        let piece = self.pieces[piece];
        let file = &self.source.files[piece.file];
        let footer = &self.footers[piece.file];
        let roots: Vec<usize> = fields
            .iter()
            .filter_map(|field| footer.schema().index_of(field.name()).ok())
            .collect();
        let mask = ProjectionMask::roots(footer.parquet_schema(), roots);
        let reader = StoreReader::new(&self.source.store, &file.path, file.size);
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, footer.clone())
            .with_row_groups(vec![piece.row_group])
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS);
        if let Some(rows) = rows {
            builder = builder.with_row_selection(selection(rows, piece.rows as usize));
        }
        let path = file.path.to_string();
        let failed = move |source| Error::File {
            path: path.clone(),
            source,
        };
        let stream = builder.build().map_err(&failed)?;
        let (view, fields) = (self.view.clone(), fields.to_vec());
        Ok(stream
            .map(move |batch| {
                let batch = batch.map_err(&failed)?;
                let columns = fields.iter().map(|field| {
                    batch.column_by_name(field.name()).map_or_else(
                        || Ok(new_null_array(field.data_type(), batch.num_rows())),
                        |column| adapt(column, field, &view),
                    )
                });
                Ok(Columns {
                    arrays: columns.collect::<Result<_>>()?,
                    rows: batch.num_rows(),
                })
            })
            .boxed())
    }

    /// The pieces that statistics do not rule out, and how many rows without an event time the others hold.
    pub(crate) fn prune(&self, lookup: &ResolvedLookup, needed: &Needed) -> Result<(Vec<usize>, u64)> {
        let event = &lookup.scan[lookup.roles.event_time];
        let mut kept = Vec::with_capacity(self.pieces.len());
        let mut null_times = 0;
        let mut first = 0;
        for footer in &self.footers {
            let groups = footer.metadata().row_groups();
            let times = FileStatistics::of(footer, event, groups)?;
            let numbers = match lookup.roles.keys.as_slice() {
                [key] if needed.keys.is_some() => key_statistics(footer, &lookup.scan[*key], &lookup.key_types)?,
                _ => None,
            };
            for row_group in 0..groups.len() {
                let time_apart = times
                    .as_ref()
                    .is_some_and(|times| times.outside(lookup, event, row_group, needed.times));
                let key_apart = numbers
                    .as_ref()
                    .zip(needed.keys)
                    .is_some_and(|((least, greatest), keys)| apart(least, greatest, row_group, keys));
                if time_apart || key_apart {
                    null_times += times.as_ref().map_or(0, |times| times.nulls(row_group));
                } else {
                    kept.push(first + row_group);
                }
            }
            first += groups.len();
        }
        Ok((kept, null_times))
    }
}

async fn footer(source: ParquetSource, file: ParquetFile) -> Result<ArrowReaderMetadata> {
    let options = ArrowReaderOptions::new();
    let mut reader = StoreReader::new(&source.store, &file.path, file.size);
    let loaded = ArrowReaderMetadata::load_async(&mut reader, options).await;
    loaded.map_err(|source| Error::File {
        path: file.path.to_string(),
        source,
    })
}

/// Runs of chosen rows and of the rows between them.
fn selection(rows: &[u32], total: usize) -> RowSelection {
    let mut selectors: Vec<RowSelector> = Vec::with_capacity(rows.len() * 2);
    let mut next = 0;
    for row in rows.iter().map(|row| *row as usize) {
        if row > next {
            selectors.push(RowSelector::skip(row - next));
        }
        match selectors.last_mut() {
            Some(last) if !last.skip => last.row_count += 1,
            _ => selectors.push(RowSelector::select(1)),
        }
        next = row + 1;
    }
    if next < total {
        selectors.push(RowSelector::skip(total - next));
    }
    RowSelection::from(selectors)
}

/// The column in the view's type. Files of one table may differ in width; a value that would change is an error.
fn adapt(column: &ArrayRef, field: &Field, view: &str) -> Result<ArrayRef> {
    if column.data_type() == field.data_type() {
        return Ok(column.clone());
    }
    let failed = |source| Error::Cast {
        view: view.to_owned(),
        column: field.name().clone(),
        data_type: field.data_type().clone(),
        source,
    };
    let options = CastOptions {
        safe: false,
        ..Default::default()
    };
    let cast = cast_with_options(column, field.data_type(), &options).map_err(failed)?;
    if time::is_time(field.data_type()) {
        let back = cast_with_options(&cast, column.data_type(), &options).map_err(failed)?;
        if back.to_data() != column.to_data() {
            return Err(failed(ArrowError::CastError(format!(
                "a time of {} would be cut short",
                column.data_type()
            ))));
        }
    }
    Ok(cast)
}

/// What a file's footer says about its event times, by row group.
struct FileStatistics {
    least: ArrayRef,
    greatest: ArrayRef,
    nulls: UInt64Array,
}

impl FileStatistics {
    fn of(footer: &ArrowReaderMetadata, field: &Field, groups: &[RowGroupMetaData]) -> Result<Option<FileStatistics>> {
        let Ok(converter) = StatisticsConverter::try_new(field.name(), footer.schema(), footer.parquet_schema()) else {
            return Ok(None);
        };
        let failed = |source: ParquetError| Error::File {
            path: field.name().clone(),
            source,
        };
        Ok(Some(FileStatistics {
            least: converter.row_group_mins(groups).map_err(failed)?,
            greatest: converter.row_group_maxes(groups).map_err(failed)?,
            nulls: converter.row_group_null_counts(groups).map_err(failed)?,
        }))
    }

    fn nulls(&self, row_group: usize) -> u64 {
        if self.nulls.is_null(row_group) {
            0
        } else {
            self.nulls.value(row_group)
        }
    }

    fn outside(&self, lookup: &ResolvedLookup, field: &Field, row_group: usize, needed: (i64, i64)) -> bool {
        let scaled = |column: &ArrayRef| {
            if !time::is_time(column.data_type()) || self.nulls.is_null(row_group) {
                return None;
            }
            let one = adapt(&column.slice(row_group, 1), field, &lookup.view).ok()?;
            let times = time::to_scale(&one, lookup.scale, "statistics", field.name()).ok()?;
            (times.null_count() == 0).then(|| times.value(0))
        };
        match (scaled(&self.least), scaled(&self.greatest)) {
            (Some(least), Some(greatest)) => greatest < needed.0 || least > needed.1,
            _ => false,
        }
    }
}

/// The least and greatest key of each row group, where keys are numbers whose order is their encoding's.
fn key_statistics(
    footer: &ArrowReaderMetadata,
    field: &Field,
    types: &[DataType],
) -> Result<Option<(Int64Array, Int64Array)>> {
    let ordered = types[0] == DataType::Int64
        || types[0].is_signed_integer()
        || matches!(types[0], DataType::Date32 | DataType::Timestamp(_, _));
    if !ordered {
        return Ok(None);
    }
    let Some(statistics) = FileStatistics::of(footer, field, footer.metadata().row_groups())? else {
        return Ok(None);
    };
    let encoder = KeyEncoder::new(types)?;
    match (
        encoder.encode(&[statistics.least])?,
        encoder.encode(&[statistics.greatest])?,
    ) {
        (EncodedKeys::Numbers(least), EncodedKeys::Numbers(greatest)) => Ok(Some((least, greatest))),
        _ => Ok(None),
    }
}

fn apart(least: &Int64Array, greatest: &Int64Array, row_group: usize, keys: (i64, i64)) -> bool {
    if least.is_null(row_group) || greatest.is_null(row_group) {
        return false;
    }
    greatest.value(row_group) < keys.0 || least.value(row_group) > keys.1
}
