//! Building a training set: pin everything, join the spine with each view, write the parts.
//! `source` plans, `drumlin-asof` joins, `parts` writes. Invariant: rows out equal rows in, and no more than a batch is in memory here.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{Schema, SchemaRef},
};
use datafusion::logical_expr::LogicalPlan;
use drumlin_asof::{AsOfSpec, Lookup};
use drumlin_chunks::{Progress, Task, Unit};
use drumlin_model::{Input, RepoPath, feature::Status};
use drumlin_repo::Snapshot;
use drumlin_tables::Engine;
use futures::TryStreamExt;
use tempfile::NamedTempFile;

use super::{
    parts::PartWriter,
    record::{self, Column, Counts, Options, Part, Spine, SpineSource, TrainingSet, UsedView, ViewCounts},
};
use crate::{
    definition::ViewUse,
    error::{Error, Result},
    registry::Registry,
    source::{self, Unfit, Views},
};

/// What a set is made from, resolved to commits.
pub(crate) struct Pinned {
    pub spine: Spine,
    pub spine_at: Snapshot,
    pub at: Snapshot,
    pub service: Option<String>,
    pub uses: Vec<ViewUse>,
    pub options: Options,
}

/// Checked and ready to run.
pub(crate) struct Prepared {
    pinned: Pinned,
    used: Vec<UsedView>,
    views: Views,
    spine: LogicalPlan,
    spine_inputs: Vec<Input>,
    definition_files: BTreeSet<RepoPath>,
}

/// The parts and counts of a finished run.
pub(crate) struct Built {
    pub parts: Vec<(Part, NamedTempFile)>,
    pub rows: u64,
    pub notices: Vec<String>,
    prepared_id: String,
    pinned: Pinned,
    used: Vec<UsedView>,
    schema: Vec<Column>,
    spine_columns: usize,
    counts: Counts,
}

/// Resolves definitions, sources and spine; reads no rows.
pub(crate) async fn prepare(engine: &Engine, registry: &Registry, pinned: Pinned) -> Result<Prepared> {
    let views = source::resolve_used(engine, &pinned.at, registry, &pinned.uses).await?;
    let used = pinned.uses.iter().map(|used| {
        let view = &views.resolved[&used.view];
        UsedView {
            used: used.clone(),
            hash: view.hash.clone(),
            definition: view.view.clone(),
        }
    });
    let used = used.collect();
    let names = pinned.uses.iter().map(|used| used.view.as_str());
    let definition_files = registry.files_behind(pinned.service.as_deref(), names);
    let (spine, spine_inputs) = match &pinned.spine.source {
        SpineSource::Table(name) => {
            let table = source::table(engine, &pinned.spine_at, name).await?;
            (source::scan_in_order(&table)?, vec![table.input.clone()])
        }
        SpineSource::Sql(query) => {
            let planned = source::plan_sql(engine, &pinned.spine_at, query).await?;
            if let Some(Unfit { why, spine_cure, .. }) = planned.unfit {
                return Err(Error::Input {
                    what: "the spine",
                    value: query.clone(),
                    why,
                    cures: vec![spine_cure],
                });
            }
            (source::with_ties_ordered(planned.plan)?, planned.inputs)
        }
    };
    Ok(Prepared {
        pinned,
        used,
        views,
        spine,
        spine_inputs,
        definition_files,
    })
}

impl Prepared {
    pub fn id(&self) -> String {
        record::id_of(
            &self.pinned.at.commit(),
            &self.pinned.spine,
            &self.used,
            &self.pinned.options,
        )
    }

    /// The spine's tables, the views' tables and the files of their definitions, each with its commit.
    pub fn inputs(&self) -> Vec<Input> {
        let mut inputs = self.spine_inputs.clone();
        inputs.extend(self.views.inputs().flat_map(|(_, inputs)| inputs.iter().cloned()));
        let commit = self.pinned.at.commit();
        inputs.extend(self.definition_files.iter().map(|path| Input {
            name: path.to_string(),
            commit: Some(commit),
            ..Input::default()
        }));
        inputs.sort();
        inputs.dedup();
        inputs
    }
}

/// Runs the join and writes the parts to scratch files.
pub(crate) async fn run(engine: &Engine, prepared: Prepared, progress: &dyn Progress) -> Result<Built> {
    let prepared_id = prepared.id();
    let Prepared {
        pinned,
        used,
        views,
        spine,
        ..
    } = prepared;
    let spine_columns = spine.schema().fields().len();
    let mut spec = AsOfSpec::new(&pinned.options.time);
    spec.threads = engine.options().threads.max(1);
    spec.on_null_time = pinned.options.on_null_time;
    spec.known_at = pinned.options.known_at;
    for used in &pinned.uses {
        let (view, source) = (&views.resolved[&used.view], views.source(&used.view));
        spec.lookups.push(source::lookup(view, source, used)?);
    }
    let shape = Shape::new(&spec, &pinned.options);
    let context = source::context(engine, &pinned.at).await?;
    let task = Task::start(progress, "join", None, Unit::Rows);
    let joined = source::join(&context, spine, spec).await?;
    let schema = shape.keep(&joined.schema);
    let mut writer = PartWriter::new(scratch(engine)?, schema.clone());
    let mut counts = shape.counts();
    for mut stream in joined.streams {
        while let Some(batch) = stream.try_next().await.map_err(Error::query("the as-of join"))? {
            task.advance(batch.num_rows() as u64);
            shape.count(&batch, &mut counts);
            writer.write(project(&batch, &schema)?)?;
        }
    }
    let parts = writer.finish()?;
    let seen = joined.report.counts();
    if seen.spine_rows != parts.rows {
        return Err(Error::RowCount {
            rows_in: seen.spine_rows,
            rows_out: parts.rows,
        });
    }
    for (view, (_, counts)) in seen.views.iter().zip(&mut counts) {
        counts.null_event_times = view.null_event_times;
    }
    let mut notices = joined.notices;
    notices.extend(joined.report.notices());
    let column = |(field, nulls): (&Arc<arrow::datatypes::Field>, &u64)| Column {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
        nulls: *nulls,
    };
    Ok(Built {
        schema: schema.fields().iter().zip(&parts.nulls).map(column).collect(),
        parts: parts.files,
        rows: parts.rows,
        notices,
        prepared_id,
        pinned,
        used,
        spine_columns,
        counts: Counts {
            views: counts.into_iter().collect::<BTreeMap<_, _>>(),
        },
    })
}

impl Built {
    pub fn content(&self) -> String {
        record::content_of(self.parts.iter().map(|(part, _)| part))
    }

    /// Whether a set asks for the same, but for the commits, and holds the same.
    pub fn repeats(&self, set: &TrainingSet) -> bool {
        let same_request = set.spine.source == self.pinned.spine.source
            && set.views == self.used
            && set.options == self.pinned.options;
        same_request && set.content == self.content()
    }

    pub fn set(&self, name: &str) -> TrainingSet {
        TrainingSet {
            format: record::FORMAT,
            name: name.to_owned(),
            id: self.prepared_id.clone(),
            commit: self.pinned.at.commit(),
            spine: self.pinned.spine.clone(),
            service: self.pinned.service.clone(),
            views: self.used.clone(),
            options: self.pinned.options.clone(),
            rows: self.rows,
            content: self.content(),
            parts: self.parts.iter().map(|(part, _)| part.clone()).collect(),
            schema: self.schema.clone(),
            spine_columns: self.spine_columns,
            counts: self.counts.clone(),
        }
    }
}

/// Where parts are written before they go into the repository: the engine's scratch folder.
fn scratch(engine: &Engine) -> Result<PathBuf> {
    Ok(engine.options().spill_folder.clone())
}

/// Which columns of the join are kept, and which say what became of each lookup.
struct Shape {
    dropped: Vec<String>,
    /// The label of each lookup, and its status column.
    statuses: Vec<(String, String)>,
}

impl Shape {
    fn new(spec: &AsOfSpec, options: &Options) -> Self {
        let mut dropped = Vec::new();
        for lookup in &spec.lookups {
            if !options.with_status {
                dropped.push(lookup.about_name("status"));
            }
            if !options.with_event_time {
                dropped.push(lookup.about_name("event_time"));
            }
        }
        let label = |lookup: &Lookup| lookup.prefix.as_ref().unwrap_or(&lookup.view).clone();
        let statuses = spec
            .lookups
            .iter()
            .map(|lookup| (label(lookup), lookup.about_name("status")));
        Shape {
            dropped,
            statuses: statuses.collect(),
        }
    }

    fn keep(&self, schema: &SchemaRef) -> SchemaRef {
        let kept = schema
            .fields()
            .iter()
            .filter(|field| !self.dropped.contains(field.name()));
        Arc::new(Schema::new(kept.cloned().collect::<Vec<_>>()))
    }

    fn counts(&self) -> Vec<(String, ViewCounts)> {
        self.statuses
            .iter()
            .map(|(label, _)| (label.clone(), ViewCounts::default()))
            .collect()
    }

    fn count(&self, batch: &RecordBatch, counts: &mut [(String, ViewCounts)]) {
        for ((_, column), (_, counts)) in self.statuses.iter().zip(counts) {
            let Some(statuses) = batch
                .column_by_name(column)
                .and_then(|array| array.as_string_opt::<i32>().cloned())
            else {
                continue;
            };
            for status in Status::ALL {
                let rows = statuses.iter().filter(|found| *found == Some(status.as_str())).count() as u64;
                if rows > 0 {
                    *counts.statuses.entry(status.as_str().to_owned()).or_default() += rows;
                }
            }
        }
    }
}

fn project(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let indices: Vec<usize> = schema
        .fields()
        .iter()
        .map(|field| batch.schema().index_of(field.name()))
        .collect::<Result<_, _>>()
        .map_err(Error::arrow("the as-of join's columns"))?;
    let columns = indices.into_iter().map(|index| batch.column(index).clone()).collect();
    RecordBatch::try_new(schema.clone(), columns).map_err(Error::arrow("the as-of join's columns"))
}
