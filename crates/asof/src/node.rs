//! The as-of join as a node of a logical plan, and the planner that turns it into `AsOfJoinExec`.
//! A caller makes an `AsOfJoin`, puts its plan in a query, and runs it in a session that `with_as_of` made ready.

use std::{
    any::Any,
    cmp::Ordering,
    collections::HashSet,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::{
    catalog::Session,
    common::{DFSchema, DFSchemaRef, DataFusionError},
    execution::{
        context::QueryPlanner,
        session_state::{SessionState, SessionStateBuilder},
    },
    logical_expr::{
        Expr, Extension, InvariantLevel, LogicalPlan, UserDefinedLogicalNode,
        physical_planning_context::PhysicalPlanningContext,
    },
    physical_plan::ExecutionPlan,
    physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner},
};

use crate::{
    error::Result,
    exec::AsOfJoinExec,
    report::AsOfReport,
    resolve::Resolved,
    spec::{AsOfSpec, FeatureSource},
};

/// A checked as-of join: a plan for any query, and what there is to say about it.
#[derive(Clone, Debug)]
pub struct AsOfJoin {
    node: Arc<AsOfNode>,
}

impl AsOfJoin {
    /// Checks columns, types, names and options; reads nothing. The spine's order is its plan's order: partition after
    /// partition, so plan it with one partition (or sorted) where that order has to be the same every time.
    pub fn new(spine: LogicalPlan, spec: AsOfSpec) -> Result<Self> {
        let node = AsOfNode::new(spine, spec, AsOfReport::default())?;
        Ok(AsOfJoin { node: Arc::new(node) })
    }

    pub fn schema(&self) -> SchemaRef {
        self.node.resolved.schema.clone()
    }

    /// What a user should be told once, such as times without a zone.
    pub fn notices(&self) -> &[String] {
        &self.node.resolved.notices
    }

    /// Counts that fill in while the plan runs.
    pub fn report(&self) -> AsOfReport {
        self.node.report.clone()
    }

    pub fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: self.node })
    }
}

/// The session's state with a planner that knows `AsOfJoin`.
pub fn with_as_of(state: SessionState) -> SessionState {
    SessionStateBuilder::new_from_existing(state)
        .with_query_planner(Arc::new(AsOfQueryPlanner))
        .build()
}

struct AsOfNode {
    spec: AsOfSpec,
    resolved: Arc<Resolved>,
    report: AsOfReport,
    /// The spine, then the plan of each lookup that has one.
    inputs: Vec<LogicalPlan>,
    schema: DFSchemaRef,
}

impl AsOfNode {
    fn new(spine: LogicalPlan, mut spec: AsOfSpec, report: AsOfReport) -> Result<Self> {
        let sources: Vec<SchemaRef> = spec.lookups.iter().map(|lookup| schema_of(&lookup.source)).collect();
        let spine_schema = spine.schema().as_arrow().clone();
        let resolved = Resolved::new(&spec, &spine_schema, &sources)?;
        let mut inputs = vec![spine];
        for (lookup, resolved) in spec.lookups.iter_mut().zip(&resolved.lookups) {
            if let FeatureSource::Query(plan) = &mut lookup.source {
                **plan = project(plan, &resolved.needed())?;
                inputs.push((**plan).clone());
            }
        }
        let schema = Arc::new(output_schema(&inputs[0], &resolved.schema)?);
        report.expect_views(resolved.lookups.iter().map(|lookup| lookup.view.clone()));
        Ok(AsOfNode {
            spec,
            resolved: Arc::new(resolved),
            report,
            inputs,
            schema,
        })
    }
}

fn schema_of(source: &FeatureSource) -> SchemaRef {
    match source {
        FeatureSource::Parquet(parquet) => parquet.schema.clone(),
        FeatureSource::Query(plan) => Arc::new(plan.schema().as_arrow().clone()),
    }
}

/// The plan without the columns that the lookup does not read.
fn project(plan: &LogicalPlan, names: &[String]) -> Result<LogicalPlan, DataFusionError> {
    let columns: HashSet<&str> = names.iter().map(String::as_str).collect();
    let schema = plan.schema();
    let exprs: Vec<Expr> = schema
        .columns()
        .into_iter()
        .filter(|column| columns.contains(column.name.as_str()))
        .map(Expr::Column)
        .collect();
    if exprs.len() == schema.fields().len() {
        return Ok(plan.clone());
    }
    datafusion::logical_expr::LogicalPlanBuilder::from(plan.clone())
        .project(exprs)?
        .build()
}

/// The spine's fields keep their qualifiers; the lookups' have none.
fn output_schema(spine: &LogicalPlan, schema: &Schema) -> Result<DFSchema, DataFusionError> {
    let spine_schema = spine.schema();
    let qualified = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(position, field)| {
            let qualifier = (position < spine_schema.fields().len())
                .then(|| spine_schema.qualified_field(position).0.cloned())
                .flatten();
            (qualifier, field.clone())
        })
        .collect();
    DFSchema::new_with_metadata(qualified, schema.metadata().clone())
}

impl fmt::Debug for AsOfNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_for_explain(f)
    }
}

impl UserDefinedLogicalNode for AsOfNode {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        "AsOfJoin"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        self.inputs.iter().collect()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn check_invariants(&self, _check: InvariantLevel) -> Result<(), DataFusionError> {
        Ok(())
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "AsOfJoin: time={}", self.spec.time)?;
        for lookup in &self.spec.lookups {
            write!(f, ", {}", lookup.view)?;
            if let Some(prefix) = &lookup.prefix {
                write!(f, " as {prefix}")?;
            }
        }
        Ok(())
    }

    fn with_exprs_and_inputs(
        &self,
        _exprs: Vec<Expr>,
        inputs: Vec<LogicalPlan>,
    ) -> Result<Arc<dyn UserDefinedLogicalNode>, DataFusionError> {
        let mut inputs = inputs.into_iter();
        let spine = inputs
            .next()
            .ok_or_else(|| DataFusionError::Internal("an as-of join has a spine".to_owned()))?;
        let mut spec = self.spec.clone();
        for lookup in &mut spec.lookups {
            if let FeatureSource::Query(plan) = &mut lookup.source {
                **plan = inputs
                    .next()
                    .ok_or_else(|| DataFusionError::Internal("an as-of join has one plan per query view".to_owned()))?;
            }
        }
        Ok(Arc::new(AsOfNode::new(spine, spec, self.report.clone())?))
    }

    fn dyn_hash(&self, mut state: &mut dyn Hasher) {
        self.inputs.hash(&mut state);
        format!("{:?}", self.spec).hash(&mut state);
    }

    fn dyn_eq(&self, other: &dyn UserDefinedLogicalNode) -> bool {
        self.dyn_ord(other) == Some(Ordering::Equal)
    }

    fn dyn_ord(&self, other: &dyn UserDefinedLogicalNode) -> Option<Ordering> {
        let other = other.as_any().downcast_ref::<AsOfNode>()?;
        if self.inputs != other.inputs {
            return self.inputs.partial_cmp(&other.inputs).filter(|order| order.is_ne());
        }
        Some(format!("{:?}", self.spec).cmp(&format!("{:?}", other.spec)))
    }
}

#[derive(Debug)]
struct AsOfQueryPlanner;

#[async_trait]
impl QueryPlanner for AsOfQueryPlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(AsOfExtensionPlanner)]);
        planner.create_physical_plan(plan, session).await
    }
}

struct AsOfExtensionPlanner;

#[async_trait]
impl ExtensionPlanner for AsOfExtensionPlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>, DataFusionError> {
        let Some(node) = node.as_any().downcast_ref::<AsOfNode>() else {
            return Ok(None);
        };
        let files = node
            .spec
            .lookups
            .iter()
            .map(|lookup| match &lookup.source {
                FeatureSource::Parquet(parquet) => Some(parquet.clone()),
                FeatureSource::Query(_) => None,
            })
            .collect();
        let exec = AsOfJoinExec::new(
            node.resolved.clone(),
            node.report.clone(),
            files,
            physical_inputs.to_vec(),
        );
        Ok(Some(Arc::new(exec)))
    }
}
