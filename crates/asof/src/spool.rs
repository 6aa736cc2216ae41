//! The rows of a query view, kept while the spine is joined to them: in memory as far as that is granted, then in a file.
//! A query runs once, whatever the number of the spine's pieces; its rows' order of writing is the order they came in.
//! Invariant: a spooled batch is never changed, and comes back equal to what was put in.

use std::{
    fmt,
    fs::File,
    io::{Cursor, Write},
    os::unix::fs::FileExt,
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, RecordBatch, UInt32Array},
    compute::take,
    datatypes::Field,
    ipc::{reader::StreamReader, writer::StreamWriter},
};
use datafusion::{
    error::DataFusionError,
    execution::{
        SpillFile, SpillWriter, TaskContext,
        memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation},
    },
    physical_plan::ExecutionPlan,
};
use futures::TryStreamExt;

use crate::{
    columns::Columns,
    error::{Error, Result},
};

/// The share of the memory limit that spools keep to; the rest is for the spine and the picked values.
const SHARE_OF_LIMIT: usize = 4;

pub(crate) struct Spool {
    view: String,
    batches: Vec<Spooled>,
    rows: u64,
    file: Option<Spill>,
    granted: MemoryReservation,
    granted_max: usize,
}

struct Spooled {
    first: u64,
    place: Place,
}

enum Place {
    Memory(RecordBatch),
    File { offset: u64, len: usize },
}

struct Spill {
    /// Keeps the file; it is deleted with this.
    spill: Arc<dyn SpillFile>,
    len: u64,
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spool({}, {} rows)", self.view, self.rows)
    }
}

impl Spool {
    /// Runs the query to its end, partition after partition, so that the order is that of the plan.
    pub(crate) async fn fill(view: &str, plan: &Arc<dyn ExecutionPlan>, context: &Arc<TaskContext>) -> Result<Self> {
        let pool = context.memory_pool();
        let granted = MemoryConsumer::new(format!("AsOfJoin[{view}]"))
            .with_can_spill(true)
            .register(pool);
        let granted_max = match pool.memory_limit() {
            MemoryLimit::Finite(limit) => limit / SHARE_OF_LIMIT,
            _ => usize::MAX,
        };
        let mut spool = Spool {
            view: view.to_owned(),
            batches: Vec::new(),
            rows: 0,
            file: None,
            granted,
            granted_max,
        };
        let mut writer: Option<Box<dyn SpillWriter>> = None;
        for partition in 0..plan.properties().partitioning.partition_count() {
            let mut stream = plan.execute(partition, context.clone())?;
            while let Some(batch) = stream.try_next().await? {
                spool.push(batch, context, &mut writer)?;
            }
        }
        Ok(spool)
    }

    pub(crate) fn pieces(&self) -> usize {
        self.batches.len()
    }

    pub(crate) fn first(&self, piece: usize) -> u64 {
        self.batches[piece].first
    }

    pub(crate) fn end(&self, piece: usize) -> u64 {
        self.batches.get(piece + 1).map_or(self.rows, |next| next.first)
    }

    /// How many pieces start at or before the position.
    pub(crate) fn pieces_up_to(&self, position: u64) -> usize {
        self.batches.partition_point(|batch| batch.first <= position)
    }

    /// Some columns of a piece; of chosen rows if given.
    pub(crate) fn read(&self, piece: usize, fields: &[Arc<Field>], rows: Option<&[u32]>) -> Result<Columns> {
        let batch = match &self.batches[piece].place {
            Place::Memory(batch) => batch.clone(),
            Place::File { offset, len } => self.load(*offset, *len)?,
        };
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(fields.len());
        for field in fields {
            arrays.push(batch.column(batch.schema().index_of(field.name())?).clone());
        }
        let Some(rows) = rows else {
            return Ok(Columns {
                arrays,
                rows: batch.num_rows(),
            });
        };
        let indices = UInt32Array::from(rows.to_vec());
        let arrays = arrays
            .iter()
            .map(|array| take(array, &indices, None))
            .collect::<Result<_, _>>()?;
        Ok(Columns {
            arrays,
            rows: rows.len(),
        })
    }

    fn push(
        &mut self,
        batch: RecordBatch,
        context: &Arc<TaskContext>,
        writer: &mut Option<Box<dyn SpillWriter>>,
    ) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let rows = batch.num_rows() as u64;
        let bytes = batch.get_array_memory_size();
        let fits = self.file.is_none()
            && self.granted.size().saturating_add(bytes) <= self.granted_max
            && self.granted.try_grow(bytes).is_ok();
        let place = if fits {
            Place::Memory(batch)
        } else {
            self.store(&batch, context, writer)?
        };
        self.batches.push(Spooled {
            first: self.rows,
            place,
        });
        self.rows += rows;
        Ok(())
    }

    /// Appends the batch to the file, as a stream of its own, so that it can be read alone.
    fn store(
        &mut self,
        batch: &RecordBatch,
        context: &Arc<TaskContext>,
        writer: &mut Option<Box<dyn SpillWriter>>,
    ) -> Result<Place> {
        let mut bytes = Vec::new();
        let mut stream = StreamWriter::try_new(&mut bytes, &batch.schema())?;
        stream.write(batch)?;
        stream.finish()?;
        if self.file.is_none() {
            let description = format!("the rows of view {}", self.view);
            let spill = context.runtime_env().disk_manager.create_tmp_file(&description)?;
            *writer = Some(spill.open_writer()?);
            self.file = Some(Spill { spill, len: 0 });
        }
        let (Some(spill), Some(writer)) = (&mut self.file, writer) else {
            return Err(DataFusionError::Internal("a spill file has a writer".to_owned()).into());
        };
        let failed = |source| Error::Spill {
            view: self.view.clone(),
            source,
        };
        writer.write_all(&bytes).and_then(|()| writer.flush()).map_err(failed)?;
        let place = Place::File {
            offset: spill.len,
            len: bytes.len(),
        };
        spill.len += bytes.len() as u64;
        Ok(place)
    }

    fn load(&self, offset: u64, len: usize) -> Result<RecordBatch> {
        let failed = |source| Error::Spill {
            view: self.view.clone(),
            source,
        };
        let path = self.file.as_ref().and_then(|spill| spill.spill.path());
        let path = path.ok_or_else(|| failed(std::io::Error::other("the spill storage is not a local folder")))?;
        let mut bytes = vec![0; len];
        File::open(path)
            .and_then(|file| file.read_exact_at(&mut bytes, offset))
            .map_err(failed)?;
        let mut reader = StreamReader::try_new(Cursor::new(bytes), None)?;
        let batch = reader.next().transpose()?;
        batch.ok_or_else(|| DataFusionError::Internal("a spooled stream holds one batch".to_owned()).into())
    }
}
