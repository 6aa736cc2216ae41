//! Where a view's rows come from: its table's files at a commit, or its query planned at that commit.
//! `training`, `online` and `apply` work with what it gives; they ask the tables' crate for nothing but engines and errors.
//! Invariant: everything is read at the one snapshot that was handed in, and a view's source is opened once for a request.

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::SchemaRef;
use datafusion::{
    common::tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    dataframe::DataFrame,
    error::DataFusionError,
    execution::{SendableRecordBatchStream, SessionStateBuilder},
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, SortExpr, Volatility, col},
    prelude::SessionContext,
};
use drumlin_asof::{AsOfJoin, AsOfReport, AsOfSpec, Feature, FeatureSource, KeyPair, Lookup, Window, with_as_of};
use drumlin_model::{Cure, Input};
use drumlin_repo::Snapshot;
use drumlin_tables::Engine;

use crate::{
    definition::{
        FeatureView, Kind, Source, ViewUse,
        check::{self, Fault, ResolvedView},
        parse::Problem,
        types::to_arrow,
    },
    error::{Error, Result},
    registry::Registry,
    scan::Table,
};

/// Views of a registry, each held against its source.
#[derive(Clone, Debug, Default)]
pub struct Views {
    pub resolved: BTreeMap<String, ResolvedView>,
    /// The source of each view, as it was opened to hold the view against it.
    sources: BTreeMap<String, ResolvedSource>,
}

impl Views {
    fn insert(&mut self, view: ResolvedView, source: ResolvedSource) {
        let name = view.view.name.clone();
        self.sources.insert(name.clone(), source);
        self.resolved.insert(name, view);
    }

    /// What each view reads, by the view's name.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, &[Input])> {
        self.sources
            .iter()
            .map(|(view, source)| (view.as_str(), source.inputs()))
    }

    /// The opened source of a view that was resolved.
    pub(crate) fn source(&self, view: &str) -> &ResolvedSource {
        &self.sources[view]
    }
}

/// A view's source at a commit: opened once, for the view's check and for all that reads its rows afterwards.
#[derive(Clone, Debug)]
pub(crate) enum ResolvedSource {
    Table(Table),
    Query(PlannedSql),
}

impl ResolvedSource {
    async fn open(engine: &Engine, snapshot: &Snapshot, source: &Source) -> Result<Self> {
        Ok(match source {
            Source::Table(name) => ResolvedSource::Table(table(engine, snapshot, name).await?),
            Source::Sql(query) => ResolvedSource::Query(plan_sql(engine, snapshot, query).await?),
        })
    }

    /// The table; none when the source is a query.
    pub fn table(&self) -> Option<&Table> {
        match self {
            ResolvedSource::Table(table) => Some(table),
            ResolvedSource::Query(_) => None,
        }
    }

    pub fn inputs(&self) -> &[Input] {
        match self {
            ResolvedSource::Table(table) => std::slice::from_ref(&table.input),
            ResolvedSource::Query(planned) => &planned.inputs,
        }
    }

    fn schema(&self) -> SchemaRef {
        match self {
            ResolvedSource::Table(table) => table.schema.clone(),
            ResolvedSource::Query(planned) => Arc::new(planned.plan.schema().as_arrow().clone()),
        }
    }
}

/// Holds every view and service of `registry` against the tables of `snapshot`; all that is wrong comes back at once.
pub async fn resolve_all(engine: &Engine, snapshot: &Snapshot, registry: &Registry) -> Result<Views> {
    let (mut views, mut problems) = (Views::default(), Vec::new());
    for view in registry.views() {
        match resolve(engine, snapshot, registry, view).await {
            Ok((resolved, source)) => views.insert(resolved, source),
            Err(Error::Definitions { problems: found }) => problems.extend(found),
            Err(error) => return Err(error),
        }
    }
    if problems.is_empty() {
        problems = check_services(registry, &views);
    }
    if problems.is_empty() {
        Ok(views)
    } else {
        Err(Error::Definitions { problems })
    }
}

/// What is wrong with services, once all their views are right.
fn check_services(registry: &Registry, views: &Views) -> Vec<Problem> {
    let services = registry.services();
    services
        .flat_map(|service| {
            let faults = check::check_service(service, &views.resolved);
            registry.problems(Kind::FeatureService, &service.name, faults)
        })
        .collect()
}

/// The views that `uses` name, each held against its source.
pub async fn resolve_used(
    engine: &Engine,
    snapshot: &Snapshot,
    registry: &Registry,
    uses: &[ViewUse],
) -> Result<Views> {
    let mut views = Views::default();
    for used in uses {
        let view = registry.view(&used.view)?;
        if !views.resolved.contains_key(&view.name) {
            let (resolved, source) = resolve(engine, snapshot, registry, view).await?;
            views.insert(resolved, source);
        }
        let resolved = &views.resolved[&view.name];
        if let Some(Fault { message, cure, .. }) = check::check_use("", used, resolved).into_iter().next() {
            return Err(Error::Input {
                what: "the view",
                value: used.label().to_owned(),
                why: message,
                cures: vec![Cure::say(cure)],
            });
        }
    }
    Ok(views)
}

/// One view and its source. `Error::Definitions` says what is wrong with the view.
async fn resolve(
    engine: &Engine,
    snapshot: &Snapshot,
    registry: &Registry,
    view: &FeatureView,
) -> Result<(ResolvedView, ResolvedSource)> {
    let wrong = |faults| Error::Definitions {
        problems: registry.problems(Kind::FeatureView, &view.name, faults),
    };
    let source = match ResolvedSource::open(engine, snapshot, &view.source).await {
        Ok(source) => source,
        Err(error) => return Err(wrong(vec![about_the_source(error)?])),
    };
    if let ResolvedSource::Query(PlannedSql { unfit: Some(unfit), .. }) = &source {
        return Err(wrong(vec![Fault {
            field: "source".into(),
            message: format!("the query of view {:?} {}", view.name, unfit.why),
            cure: unfit.view_cure.into(),
        }]));
    }
    let resolved = check::resolve(view, registry.entities(), &source.schema()).map_err(wrong)?;
    Ok((resolved, source))
}

/// A missing table or a bad query is a fault of the definition; anything else is an error as it is.
fn about_the_source(error: Error) -> Result<Fault> {
    let Error::Tables(source) = &error else {
        return Err(error);
    };
    let ours = matches!(
        source.as_ref(),
        drumlin_tables::Error::NoTable { .. }
            | drumlin_tables::Error::TableName { .. }
            | drumlin_tables::Error::Query { .. }
            | drumlin_tables::Error::NotAQuery
            | drumlin_tables::Error::TableFeature { .. }
    );
    if !ours {
        return Err(error);
    }
    // A problem of a definition is text for whoever wrote the file.
    let cure = match source.cures().into_iter().next() {
        Some(Cure::DidYouMean { name }) => format!("did you mean {name:?}?"),
        Some(Cure::Choose { what, one_of }) => format!("{what}: one of {}", one_of.join(", ")),
        Some(Cure::Say { text }) => text,
        _ => "try the query by itself first".into(),
    };
    Ok(Fault {
        field: "source".into(),
        message: source.to_string(),
        cure,
    })
}

fn input_of(table: &drumlin_tables::TableAt) -> Input {
    Input {
        name: table.path.to_string(),
        commit: Some(table.commit),
        version: Some(table.version.to_string()),
        ..Input::default()
    }
}

/// A table's files at the snapshot, in the order of writing.
pub(crate) async fn table(engine: &Engine, snapshot: &Snapshot, name: &str) -> Result<Table> {
    let found = engine.table_at(snapshot, name).await?;
    let files = found.files.iter().map(|file| file.file.clone()).collect();
    let input = input_of(&found);
    Ok(Table {
        name: found.name,
        input,
        schema: found.schema,
        store: found.store,
        files,
    })
}

/// A query planned at a snapshot, and what it reads.
#[derive(Clone, Debug)]
pub(crate) struct PlannedSql {
    pub plan: LogicalPlan,
    pub inputs: Vec<Input>,
    pub unfit: Option<Unfit>,
}

/// Why a query means something else tomorrow, or on another machine: it is neither a view nor a spine.
#[derive(Clone, Debug)]
pub(crate) struct Unfit {
    pub why: String,
    pub view_cure: &'static str,
    pub spine_cure: Cure,
}

/// What mends a query that calls a function whose answer changes.
const OF_CHANGING: &str = "write the value out, or compare with a column";

pub(crate) async fn plan_sql(engine: &Engine, snapshot: &Snapshot, query: &str) -> Result<PlannedSql> {
    let planned = engine.query_at(query, snapshot).await?;
    let inputs = planned.reads().iter().map(drumlin_tables::Read::to_input).collect();
    let plan = planned.frame().logical_plan().clone();
    let pinned = planned
        .reads()
        .iter()
        .find_map(|read| Some((&read.name, read.name.rsplit_once('@')?.1)));
    let pinned = pinned.map(|(name, at)| Unfit {
        why: format!("names a ref: {name}"),
        view_cure: "name the table alone: a view reads the commit that it is used at",
        spine_cure: Cure::give("at", at),
    });
    let unfit = match pinned {
        Some(unfit) => Some(unfit),
        None => changing_function(&plan)?.map(|name| Unfit {
            why: format!("calls {name}(), which answers differently each time"),
            view_cure: OF_CHANGING,
            spine_cure: Cure::say(OF_CHANGING),
        }),
    };
    Ok(PlannedSql { plan, inputs, unfit })
}

/// A function of a plan whose answer depends on more than its arguments: `now()`, `random()`.
fn changing_function(plan: &LogicalPlan) -> Result<Option<String>> {
    let mut found = None;
    let mut look = |expr: &Expr| {
        if let Expr::ScalarFunction(call) = expr
            && call.func.signature().volatility != Volatility::Immutable
        {
            found = Some(call.func.name().to_owned());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    };
    plan.apply_with_subqueries(|node| node.apply_expressions(|expr| expr.apply(&mut look)))
        .map_err(Error::query("the query's functions"))?;
    Ok(found)
}

/// The plan with the rows that its ORDER BY leaves tied put in the order of all their columns, so that threads and memory do
/// not show in what comes out. A query without an order has the one in which a single part gives its rows (`context`).
pub(crate) fn with_ties_ordered(plan: LogicalPlan) -> Result<LogicalPlan> {
    ties_ordered(plan).map_err(Error::query("the order of the spine"))
}

fn ties_ordered(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    match plan {
        LogicalPlan::Sort(mut sort) => {
            let fields = sort.input.schema().iter();
            let sortable = fields.filter(|(_, field)| !field.data_type().is_nested());
            let ties: Vec<SortExpr> = sortable
                .map(|(qualifier, field)| Expr::from((qualifier, field)).sort(true, true))
                .collect();
            sort.expr.extend(ties);
            Ok(LogicalPlan::Sort(sort))
        }
        LogicalPlan::Limit(_) | LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => Ok(plan
            .map_children(|child| ties_ordered(child).map(Transformed::yes))?
            .data),
        other => Ok(other),
    }
}

/// A session in which a plan runs as one part: rows come in one order and floats are summed in one sequence, whatever the
/// number of cores.
pub(crate) async fn context(engine: &Engine, snapshot: &Snapshot) -> Result<SessionContext> {
    let state = engine.context(snapshot).await?.state();
    let config = state.config().clone().with_target_partitions(1);
    let builder = SessionStateBuilder::new_from_existing(state).with_config(config);
    Ok(SessionContext::new_with_state(builder.build()))
}

/// A view's query with its rows in a total order (event time, created time, every other column), so that rows which tie are
/// ranked alike whenever and wherever the query runs: a query's rows have no order of writing of their own.
pub(crate) fn ordered_query(view: &ResolvedView, planned: &PlannedSql) -> Result<LogicalPlan> {
    let columns = view.columns();
    let first = [Some(&view.view.event_time), view.view.created_time.as_ref()]
        .into_iter()
        .flatten();
    let exact = |name: &String| col(datafusion::common::Column::new_unqualified(name));
    let sort: Vec<SortExpr> = first.chain(&columns).map(|name| exact(name).sort(true, true)).collect();
    let wanted: Vec<Expr> = columns.iter().map(exact).collect();
    let builder = LogicalPlanBuilder::from(planned.plan.clone())
        .project(wanted)
        .and_then(|builder| builder.sort(sort));
    builder
        .and_then(LogicalPlanBuilder::build)
        .map_err(Error::query(format!("view {:?}", view.view.name)))
}

/// What the as-of join looks up for one view of a service.
pub(crate) fn lookup(view: &ResolvedView, source: &ResolvedSource, used: &ViewUse) -> Result<Lookup> {
    let source = match source {
        ResolvedSource::Table(table) => FeatureSource::Parquet(table.parquet_source()),
        ResolvedSource::Query(planned) => FeatureSource::Query(Box::new(ordered_query(view, planned)?)),
    };
    let definition = &view.view;
    let key = |key: &check::ResolvedKey| KeyPair {
        spine: used.keys.get(&key.name).unwrap_or(&key.name).clone(),
        feature: key.column.clone(),
    };
    let place = |name: &String| used.features.iter().position(|wanted| wanted == name);
    let wanted = |name: &String| used.features.is_empty() || place(name).is_some();
    let features = view.features.iter().filter(|(name, _)| wanted(name));
    let mut features: Vec<Feature> = features
        .map(|(name, kind)| Feature {
            column: name.clone(),
            data_type: Some(to_arrow(*kind)),
        })
        .collect();
    let windows = definition.windows.iter().filter(|window| wanted(&window.name));
    let mut windows: Vec<Window> = windows.cloned().collect();
    // Asked for by name, features come in the order in which they were asked for, and so do windows after them.
    features.sort_by_key(|feature| place(&feature.column));
    windows.sort_by_key(|window| place(&window.name));
    Ok(Lookup {
        prefix: used.alias.clone(),
        keys: view.keys.iter().map(key).collect(),
        created_time: definition.created_time.clone(),
        valid_to: definition.valid_to.clone(),
        deleted: definition.tombstone.clone(),
        max_age: definition.max_age,
        inclusive: definition.inclusive,
        nulls: definition.nulls,
        features,
        windows,
        with_event_time: true,
        with_status: true,
        ..Lookup::new(used.label(), definition.event_time.clone(), source)
    })
}

/// A joined plan that is ready to run.
pub(crate) struct Joined {
    pub schema: SchemaRef,
    pub notices: Vec<String>,
    pub report: AsOfReport,
    /// One after the other they are the rows in the spine's order.
    pub streams: Vec<SendableRecordBatchStream>,
}

/// Joins `spine` with the lookups of `spec` and starts the plan.
pub(crate) async fn join(context: &SessionContext, spine: LogicalPlan, spec: AsOfSpec) -> Result<Joined> {
    let joined = AsOfJoin::new(spine, spec)?;
    let (schema, notices, report) = (joined.schema(), joined.notices().to_vec(), joined.report());
    let frame = DataFrame::new(with_as_of(context.state()), joined.into_plan());
    let streams = frame
        .execute_stream_partitioned()
        .await
        .map_err(Error::query("the as-of join"))?;
    Ok(Joined {
        schema,
        notices,
        report,
        streams,
    })
}

/// A plan that scans a table in the order of writing.
pub(crate) fn scan_in_order(table: &Table) -> Result<LogicalPlan> {
    let provider = table.ordered(table.schema.clone())?;
    let source = datafusion::datasource::provider_as_source(provider);
    let scan = LogicalPlanBuilder::scan("spine", source, None).and_then(LogicalPlanBuilder::build);
    scan.map_err(Error::query(format!("table {:?}", table.name)))
}

/// The rows of a plan, one stream after the other in the order that the plan gives them.
pub(crate) async fn run(
    context: &SessionContext,
    plan: LogicalPlan,
    what: &str,
) -> Result<Vec<SendableRecordBatchStream>> {
    let frame = DataFrame::new(context.state(), plan);
    frame.execute_stream_partitioned().await.map_err(Error::query(what))
}
