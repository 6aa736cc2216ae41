//! The as-of join as a physical operator: reads the spine piece by piece, runs every lookup on each, returns rows in order.
//! `node` plans it; `run` answers one lookup for one piece.
//! Invariant: rows out equal rows in (checked at the end), and memory is bounded: a piece that does not fit is halved and the
//! views are read again for each half, so a smaller limit costs time and never changes an answer.

use std::{fmt, sync::Arc};

use arrow::array::{Array, RecordBatch};
use datafusion::{
    common::tree_node::TreeNodeRecursion,
    error::DataFusionError,
    execution::{
        SendableRecordBatchStream, TaskContext,
        memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation},
    },
    physical_expr::{EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr},
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
        coalesce_partitions::CoalescePartitionsExec,
        execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions},
        sorts::{sort::SortExec, sort_preserving_merge::SortPreservingMergeExec},
        stream::RecordBatchReceiverStreamBuilder,
    },
};
use futures::TryStreamExt;
use tokio::sync::mpsc::Sender;

use crate::{
    error::{Error, Result},
    files::Files,
    report::AsOfReport,
    resolve::{Resolved, ResolvedLookup},
    run::{Answer, SpinePiece, run},
    source::{Side, Source},
    spec::{OnNullTime, ParquetSource},
    spool::Spool,
};

/// Result batches that wait for the consumer.
const OUTPUT_QUEUE: usize = 2;
/// A piece of the spine is not cut below this: then the limit is too small for the join, which says so.
const PIECE_ROWS_MIN: usize = 32;
/// Rows of a piece are numbered in 32 bits.
const PIECE_ROWS_MAX: usize = 1 << 30;
/// The share of the memory limit that a piece of the spine and its answers plan to take.
const SHARE_OF_LIMIT: usize = 2;
/// What a value of no fixed width is taken to need when a piece is cut; its real size is reserved when it is there.
const VARIABLE_WIDTH_BYTES: usize = 32;

/// Joins views to a spine as of the spine's times.
#[derive(Debug)]
pub(crate) struct AsOfJoinExec {
    resolved: Arc<Resolved>,
    report: AsOfReport,
    /// The Parquet source of each lookup; none where its rows come from the next input.
    files: Vec<Option<ParquetSource>>,
    /// The spine, then the query of each lookup that has one.
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    /// The order that each input was planned with.
    orders: Vec<Option<LexOrdering>>,
    properties: Arc<PlanProperties>,
}

impl AsOfJoinExec {
    pub(crate) fn new(
        resolved: Arc<Resolved>,
        report: AsOfReport,
        files: Vec<Option<ParquetSource>>,
        inputs: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(resolved.schema.clone()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let orders = inputs.iter().map(|input| input.output_ordering().cloned()).collect();
        AsOfJoinExec {
            resolved,
            report,
            files,
            inputs,
            orders,
            properties,
        }
    }

    fn with_inputs(&self, inputs: Vec<Arc<dyn ExecutionPlan>>) -> Arc<dyn ExecutionPlan> {
        Arc::new(AsOfJoinExec {
            resolved: self.resolved.clone(),
            report: self.report.clone(),
            files: self.files.clone(),
            inputs,
            orders: self.orders.clone(),
            properties: self.properties.clone(),
        })
    }
}

impl AsOfJoinExec {
    /// The inputs, each in the order that it was planned with. The optimizer may have lost that order: it drops a sort that no
    /// node demands, and it may move a demanded one below a scan that does not keep it. Such an input is sorted again.
    fn ordered_inputs(&self) -> Result<Vec<Arc<dyn ExecutionPlan>>, DataFusionError> {
        let inputs = self.inputs.iter().zip(&self.orders);
        inputs
            .map(|(input, order)| match order {
                Some(order) => ordered(input.clone(), order),
                None => Ok(input.clone()),
            })
            .collect()
    }
}

/// One partition of `input`, sorted.
fn ordered(input: Arc<dyn ExecutionPlan>, order: &LexOrdering) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let sorted = input.equivalence_properties().ordering_satisfy(order.clone())?;
    let parts = input.output_partitioning().partition_count();
    Ok(match (sorted, parts) {
        (true, 1) => input,
        (true, _) => Arc::new(SortPreservingMergeExec::new(order.clone(), input)),
        (false, 1) => Arc::new(SortExec::new(order.clone(), input)),
        (false, _) => Arc::new(SortExec::new(
            order.clone(),
            Arc::new(CoalescePartitionsExec::new(input)),
        )),
    })
}

impl DisplayAs for AsOfJoinExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "AsOfJoinExec: time={}", self.resolved.time)?;
        for (lookup, files) in self.resolved.lookups.iter().zip(&self.files) {
            match files {
                Some(source) => write!(f, ", {} ({} files)", lookup.view, source.files.len())?,
                None => write!(f, ", {} (query)", lookup.view)?,
            }
        }
        Ok(())
    }
}

impl ExecutionPlan for AsOfJoinExec {
    fn name(&self) -> &str {
        "AsOfJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    /// Repartitioning an input would lose its order, which is the answer's order and the order of writing.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.inputs.len()]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        (0..self.inputs.len()).map(|input| input == 0).collect()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion, DataFusionError>,
    ) -> Result<TreeNodeRecursion, DataFusionError> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        Ok(self.with_inputs(children))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        Ok(self.with_inputs(children))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        if partition != 0 {
            return Err(DataFusionError::Internal(format!(
                "an as-of join has one partition, not {partition}"
            )));
        }
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.resolved.schema.clone(), OUTPUT_QUEUE);
        let join = Join {
            resolved: self.resolved.clone(),
            report: self.report.clone(),
            files: self.files.clone(),
            inputs: self.ordered_inputs()?,
            context,
            output: builder.tx(),
            returned: 0,
        };
        builder.spawn(async move { join.run().await.map_err(DataFusionError::from) });
        Ok(builder.build())
    }
}

/// One run of the operator.
struct Join {
    resolved: Arc<Resolved>,
    report: AsOfReport,
    files: Vec<Option<ParquetSource>>,
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    context: Arc<TaskContext>,
    output: Sender<Result<RecordBatch, DataFusionError>>,
    returned: u64,
}

impl Join {
    #[tracing::instrument(name = "as_of_join", level = "debug", skip_all, fields(lookups = self.files.len()))]
    async fn run(mut self) -> Result<()> {
        let sides = self.sides().await?;
        let held = MemoryConsumer::new("AsOfJoin")
            .with_can_spill(false)
            .register(self.context.memory_pool());
        let mut spine = SpineReader::new(
            &self.resolved,
            self.inputs[0].clone(),
            self.context.clone(),
            held.new_empty(),
        );
        while let Some(piece) = spine.next_piece().await? {
            let mut left = vec![piece];
            while let Some(mut piece) = left.pop() {
                match self.answer(&sides, &piece, &held).await {
                    Ok(answers) => {
                        self.report.spine_piece(piece.rows as u64);
                        if !self.emit(&mut piece, answers).await? {
                            return Ok(());
                        }
                    }
                    Err(error) if error.is_exhausted() && piece.rows >= 2 * PIECE_ROWS_MIN => {
                        let (front, back) = halves(piece);
                        left.extend([back, front]);
                    }
                    Err(error) => return Err(error),
                }
            }
            spine.release();
        }
        if spine.read != self.returned {
            return Err(Error::RowCount {
                read: spine.read,
                returned: self.returned,
            });
        }
        Ok(())
    }

    /// Opens every source: footers of files are read, queries are run.
    async fn sides(&self) -> Result<Vec<Side>> {
        let mut queries = self.inputs.iter().skip(1);
        let mut sides = Vec::with_capacity(self.files.len());
        for (lookup, files) in self.resolved.lookups.iter().zip(&self.files) {
            let source = match files {
                Some(files) => Source::Files(Files::open(&lookup.view, files.clone()).await?),
                None => {
                    let query = queries.next().ok_or_else(|| {
                        DataFusionError::Internal("an as-of join has one input per query view".to_owned())
                    })?;
                    Source::Spool(Spool::fill(&lookup.view, query, &self.context).await?)
                }
            };
            sides.push(Side {
                lookup: lookup.clone(),
                source: Arc::new(source),
            });
        }
        Ok(sides)
    }

    async fn answer(&self, sides: &[Side], piece: &SpinePiece, held: &MemoryReservation) -> Result<Vec<Answer>> {
        let mut answers = Vec::with_capacity(sides.len());
        for (position, side) in sides.iter().enumerate() {
            let answer = run(
                side,
                piece,
                self.resolved.time_column,
                self.resolved.threads,
                held.new_empty(),
            )
            .await?;
            self.report.null_event_times(position, answer.null_event_times);
            answers.push(answer);
        }
        Ok(answers)
    }

    /// Sends the piece on, batch by batch; false if nobody listens any more.
    async fn emit(&mut self, piece: &mut SpinePiece, answers: Vec<Answer>) -> Result<bool> {
        let mut first = 0;
        for batch in piece.batches.drain(..) {
            let rows = batch.num_rows();
            let mut columns = batch.columns().to_vec();
            for answer in &answers {
                columns.extend(answer.columns(first, rows)?);
            }
            let joined = RecordBatch::try_new(self.resolved.schema.clone(), columns)?;
            first += rows;
            self.returned += joined.num_rows() as u64;
            if self.output.send(Ok(joined)).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn halves(piece: SpinePiece) -> (SpinePiece, SpinePiece) {
    let middle = piece.rows / 2;
    let mut front = SpinePiece {
        batches: Vec::new(),
        rows: 0,
    };
    let mut back = SpinePiece {
        batches: Vec::new(),
        rows: 0,
    };
    for batch in piece.batches {
        let rows = batch.num_rows();
        let kept = rows.min(middle - front.rows);
        if kept > 0 {
            front.batches.push(batch.slice(0, kept));
            front.rows += kept;
        }
        if kept < rows {
            back.batches.push(batch.slice(kept, rows - kept));
            back.rows += rows - kept;
        }
    }
    (front, back)
}

/// Reads the spine, partition after partition, in pieces that fit the memory limit.
struct SpineReader {
    resolved: Arc<Resolved>,
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    held: MemoryReservation,
    bytes_max: usize,
    /// What a row needs beside itself while it is joined.
    row_bytes: usize,
    partition: usize,
    stream: Option<SendableRecordBatchStream>,
    /// A batch that did not fit the piece before.
    waiting: Option<RecordBatch>,
    read: u64,
}

impl SpineReader {
    fn new(
        resolved: &Arc<Resolved>,
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
        held: MemoryReservation,
    ) -> Self {
        let bytes_max = match context.memory_pool().memory_limit() {
            MemoryLimit::Finite(limit) => limit / SHARE_OF_LIMIT,
            _ => usize::MAX,
        };
        let row_bytes = resolved.lookups.iter().map(|lookup| answer_bytes(lookup)).sum();
        SpineReader {
            resolved: resolved.clone(),
            plan,
            context,
            held,
            bytes_max,
            row_bytes,
            partition: 0,
            stream: None,
            waiting: None,
            read: 0,
        }
    }

    /// The next rows, as many as the limit allows; at least one batch's.
    async fn next_piece(&mut self) -> Result<Option<SpinePiece>> {
        let mut piece = SpinePiece {
            batches: Vec::new(),
            rows: 0,
        };
        let mut planned = 0usize;
        while let Some(batch) = self.next_batch().await? {
            let rows = batch.num_rows();
            let bytes = batch.get_array_memory_size();
            let more = bytes + rows * self.row_bytes;
            let full = planned.saturating_add(more) > self.bytes_max || piece.rows + rows > PIECE_ROWS_MAX;
            if (full || self.held.try_grow(bytes).is_err()) && piece.rows > 0 {
                self.waiting = Some(batch);
                break;
            }
            planned += more;
            self.read += rows as u64;
            piece.rows += rows;
            piece.batches.push(batch);
        }
        Ok((piece.rows > 0).then_some(piece))
    }

    fn release(&mut self) {
        self.held.free();
    }

    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(batch) = self.waiting.take() {
            return Ok(Some(batch));
        }
        loop {
            let Some(stream) = &mut self.stream else {
                if self.partition == self.plan.properties().partitioning.partition_count() {
                    return Ok(None);
                }
                self.stream = Some(self.plan.execute(self.partition, self.context.clone())?);
                self.partition += 1;
                continue;
            };
            let Some(batch) = stream.try_next().await? else {
                self.stream = None;
                continue;
            };
            if batch.num_rows() > 0 {
                self.check_times(&batch)?;
                return Ok(Some(batch));
            }
        }
    }

    fn check_times(&self, batch: &RecordBatch) -> Result<()> {
        let times = batch.column(self.resolved.time_column);
        if self.resolved.on_null_time == OnNullTime::Keep || times.null_count() == 0 {
            return Ok(());
        }
        let row = (0..times.len()).find(|row| times.is_null(*row)).unwrap_or(0);
        Err(Error::NullTime {
            column: self.resolved.time.clone(),
            row: self.read + row as u64,
        })
    }
}

/// What a lookup's answer takes for each row of the spine.
fn answer_bytes(lookup: &ResolvedLookup) -> usize {
    let values = lookup
        .value_types
        .iter()
        .map(|data_type| data_type.primitive_width().unwrap_or(VARIABLE_WIDTH_BYTES) + 1);
    values.sum::<usize>() + (lookup.windows.len() + 2) * 9 + crate::fetch::Chosen::BYTES_PER_ROW
}
