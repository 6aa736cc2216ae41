//! What an as-of join is asked: the spine's columns, the lookups (one per view and alias), and where their rows are.
//! Pure values; `resolve` checks them against the columns that exist and says what comes out, `node` plans them.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::logical_expr::LogicalPlan;
use drumlin_model::{
    Timestamp,
    feature::{Length, Nulls},
};
use object_store::{ObjectStore, path::Path};
use serde::{Deserialize, Serialize};

/// Which rows count as known: the filter comes before the ranking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownAt {
    /// Every row, whenever it was written.
    #[default]
    None,
    /// Only rows created at or before the spine row's own time.
    Row,
    /// Only rows created at or before this time.
    Time(Timestamp),
}

/// What to do with a spine row that has no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNullTime {
    #[default]
    Error,
    /// Keep the row with null features.
    Keep,
}

/// One request: a spine and the lookups to join to it.
#[derive(Clone, Debug)]
pub struct AsOfSpec {
    /// The spine's time column.
    pub time: String,
    pub on_null_time: OnNullTime,
    pub known_at: KnownAt,
    pub lookups: Vec<Lookup>,
    /// How many tasks read a Parquet source at once.
    pub threads: usize,
}

impl AsOfSpec {
    /// Two readers keep two cores busy; more only helps with more cores.
    pub const THREADS_DEFAULT: usize = 2;

    pub fn new(time: impl Into<String>) -> Self {
        AsOfSpec {
            time: time.into(),
            on_null_time: OnNullTime::default(),
            known_at: KnownAt::default(),
            lookups: Vec::new(),
            threads: Self::THREADS_DEFAULT,
        }
    }
}

/// One column of the spine and the column of the view that it has to equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyPair {
    pub spine: String,
    pub feature: String,
}

impl KeyPair {
    pub fn same(name: impl Into<String>) -> Self {
        let name = name.into();
        KeyPair {
            spine: name.clone(),
            feature: name,
        }
    }
}

/// A column of the view that is wanted beside the spine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Feature {
    /// The column in the source; its name in the result is this, with the lookup's prefix before it.
    pub column: String,
    /// The declared type, when it is not the source's own. A value that does not fit is an error.
    pub data_type: Option<DataType>,
}

impl Feature {
    pub fn new(column: impl Into<String>) -> Self {
        Feature {
            column: column.into(),
            data_type: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowFunction {
    Count,
    Sum,
    Mean,
    Min,
    Max,
}

impl WindowFunction {
    pub const ALL: [WindowFunction; 5] = [
        WindowFunction::Count,
        WindowFunction::Sum,
        WindowFunction::Mean,
        WindowFunction::Min,
        WindowFunction::Max,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            WindowFunction::Count => "count",
            WindowFunction::Sum => "sum",
            WindowFunction::Mean => "mean",
            WindowFunction::Min => "min",
            WindowFunction::Max => "max",
        }
    }

    /// The result's type for a column: sums of integers stay 64-bit integers, extremes keep the column's type. None for a column
    /// that it cannot aggregate.
    pub fn output(self, column: &DataType) -> Option<DataType> {
        let float = matches!(column, DataType::Float32 | DataType::Float64);
        Some(match self {
            WindowFunction::Count => DataType::Int64,
            _ if !column.is_integer() && !float => return None,
            WindowFunction::Mean => DataType::Float64,
            WindowFunction::Min | WindowFunction::Max => column.clone(),
            WindowFunction::Sum if float => DataType::Float64,
            WindowFunction::Sum => DataType::Int64,
        })
    }
}

/// A feature that aggregates the events in a window that ends, or (a label) begins, at the spine row's time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The name in the result, before the prefix.
    pub name: String,
    pub function: WindowFunction,
    /// The column that is aggregated; `Count` without a column counts rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    pub length: Length,
    /// A feature's window is [t - length, t), or [t - length, t] when inclusive.
    pub inclusive: bool,
    /// A label's window is [t, t + length]: the only thing that may look ahead, because it says so. `KnownAt::Row` does not
    /// apply to it.
    pub label: bool,
    /// For people; the join does not look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// One view looked up under one name.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The view's name, for messages and for `<view>__status`.
    pub view: String,
    /// Put, with two underscores, before every column of this lookup. Needed when a view is looked up twice.
    pub prefix: Option<String>,
    /// Empty: a global view, looked up by time alone.
    pub keys: Vec<KeyPair>,
    pub event_time: String,
    /// When the row became known. Without it the time at which its Parquet file was written serves.
    pub created_time: Option<String>,
    /// With it, rows answer for the half-open interval [event_time, valid_to); null means "still valid".
    pub valid_to: Option<String>,
    /// A boolean column: true marks a tombstone.
    pub deleted: Option<String>,
    pub max_age: Option<Length>,
    /// Whether an event exactly at the spine row's time counts.
    pub inclusive: bool,
    pub nulls: Nulls,
    pub features: Vec<Feature>,
    pub windows: Vec<Window>,
    /// Add `<view>__event_time`: the picked row's event time.
    pub with_event_time: bool,
    /// Add `<view>__status`.
    pub with_status: bool,
    pub source: FeatureSource,
}

impl Lookup {
    pub fn new(view: impl Into<String>, event_time: impl Into<String>, source: FeatureSource) -> Self {
        Lookup {
            view: view.into(),
            prefix: None,
            keys: Vec::new(),
            event_time: event_time.into(),
            created_time: None,
            valid_to: None,
            deleted: None,
            max_age: None,
            inclusive: true,
            nulls: Nulls::default(),
            features: Vec::new(),
            windows: Vec::new(),
            with_event_time: false,
            with_status: false,
            source,
        }
    }

    /// The name of a feature in the result.
    pub fn output_name(&self, column: &str) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}__{column}"),
            None => column.to_owned(),
        }
    }

    /// The names of the columns about the lookup itself: `<view>__status`, or `<prefix>__status` with a prefix.
    pub fn about_name(&self, what: &str) -> String {
        format!("{}__{what}", self.prefix.as_deref().unwrap_or(&self.view))
    }
}

/// Where a view's rows are.
#[derive(Clone, Debug)]
pub enum FeatureSource {
    /// Parquet files in the order of writing: only keys and times are read for all rows, values for the winners alone.
    Parquet(ParquetSource),
    /// Any query. Its rows' order of writing is its own order: plan it so that this is deterministic.
    Query(Box<LogicalPlan>),
}

/// Parquet files of one table, in the order of writing.
#[derive(Clone, Debug)]
pub struct ParquetSource {
    pub store: Arc<dyn ObjectStore>,
    /// The table's schema; a column that an older file lacks is null there.
    pub schema: SchemaRef,
    pub files: Vec<ParquetFile>,
}

/// A file of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParquetFile {
    pub path: Path,
    /// In bytes.
    pub size: u64,
    /// When its rows became known, for views without a created-time column; none where nobody knows.
    pub written: Option<Timestamp>,
}
