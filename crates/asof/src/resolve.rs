//! A request checked against the columns that exist: which columns are read, in which types, and what comes out.
//! `spec` is what was asked; `node` and `exec` work with what is resolved here.
//! Invariant: everything that can be refused without reading a row is refused here.

use std::{collections::HashSet, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use drumlin_model::feature::Nulls;

use crate::{
    error::{Error, Result},
    key,
    spec::{AsOfSpec, FeatureSource, KnownAt, Lookup, OnNullTime, Window, WindowFunction},
    time::{self, Scale},
};

/// A request whose columns, types and names are known to be right.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) time: String,
    pub(crate) time_column: usize,
    pub(crate) on_null_time: OnNullTime,
    pub(crate) threads: usize,
    pub(crate) lookups: Vec<Arc<ResolvedLookup>>,
    /// The spine's fields, then each lookup's.
    pub(crate) schema: SchemaRef,
    pub(crate) notices: Vec<String>,
}

/// One lookup, with columns as positions.
#[derive(Debug)]
pub(crate) struct ResolvedLookup {
    pub(crate) view: String,
    /// Positions of the key columns in the spine.
    pub(crate) spine_keys: Vec<usize>,
    /// The type in which each key is compared.
    pub(crate) key_types: Vec<DataType>,
    pub(crate) scale: Scale,
    pub(crate) event_type: DataType,
    pub(crate) known_at: KnownAt,
    pub(crate) max_age: Option<i128>,
    pub(crate) inclusive: bool,
    pub(crate) nulls: Nulls,
    /// The columns that are read of every row, and what each is for.
    pub(crate) scan: Vec<Arc<Field>>,
    pub(crate) roles: Roles,
    /// The columns that are read of the picked rows.
    pub(crate) values: Vec<Arc<Field>>,
    /// The declared types of `values`.
    pub(crate) value_types: Vec<DataType>,
    pub(crate) windows: Vec<ResolvedWindow>,
    pub(crate) with_event_time: bool,
    pub(crate) with_status: bool,
}

/// Positions in `ResolvedLookup::scan`.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    pub(crate) keys: Vec<usize>,
    pub(crate) event_time: usize,
    pub(crate) created_time: Option<usize>,
    pub(crate) valid_to: Option<usize>,
    pub(crate) deleted: Option<usize>,
    /// With `Nulls::LastNonNull`, where each feature is, to see its nulls.
    pub(crate) features: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct ResolvedWindow {
    pub(crate) name: String,
    pub(crate) function: WindowFunction,
    /// Position in `ResolvedLookup::scan`.
    pub(crate) column: Option<usize>,
    pub(crate) length: i128,
    pub(crate) inclusive: bool,
    pub(crate) label: bool,
    pub(crate) output: DataType,
}

impl Resolved {
    /// `sources` are the schemas of the lookups' sources, in their order.
    pub(crate) fn new(spec: &AsOfSpec, spine: &Schema, sources: &[SchemaRef]) -> Result<Self> {
        let time_column = column_of(spine, "the spine", &spec.time)?;
        let time_type = spine.field(time_column).data_type();
        require_time("the spine", &spec.time, time_type)?;
        let mut fields = spine.fields().to_vec();
        let mut seen = HashSet::new();
        if let Some(twice) = fields.iter().find(|field| !seen.insert(field.name())) {
            return Err(Error::SpineTwice {
                column: twice.name().clone(),
            });
        }
        let mut lookups = Vec::with_capacity(spec.lookups.len());
        let mut notices = Vec::new();
        if time::is_naive(time_type) {
            notices.push(format!(
                "times without a zone in column {:?} of the spine are read as UTC",
                spec.time
            ));
        }
        for (lookup, source) in spec.lookups.iter().zip(sources) {
            let resolved = ResolvedLookup::new(lookup, spec, spine, time_type, source)?;
            if time::is_naive(&resolved.event_type) {
                notices.push(format!(
                    "times without a zone in view {:?} are read as UTC",
                    lookup.view
                ));
            }
            resolved.add_outputs(lookup, &mut fields)?;
            lookups.push(Arc::new(resolved));
        }
        notices.dedup();
        Ok(Resolved {
            time: spec.time.clone(),
            time_column,
            on_null_time: spec.on_null_time,
            threads: spec.threads.max(1),
            lookups,
            schema: Arc::new(Schema::new_with_metadata(fields, spine.metadata().clone())),
            notices,
        })
    }
}

impl ResolvedLookup {
    fn new(lookup: &Lookup, spec: &AsOfSpec, spine: &Schema, time_type: &DataType, source: &SchemaRef) -> Result<Self> {
        let owner = format!("view {:?}", lookup.view);
        let mut columns = ScanColumns {
            owner: &owner,
            source,
            fields: Vec::new(),
        };
        let event_time = columns.time(&lookup.event_time)?;
        let mut roles = Roles {
            event_time,
            ..Roles::default()
        };
        roles.created_time = lookup
            .created_time
            .as_deref()
            .map(|name| columns.time(name))
            .transpose()?;
        roles.valid_to = lookup.valid_to.as_deref().map(|name| columns.time(name)).transpose()?;
        roles.deleted = lookup
            .deleted
            .as_deref()
            .map(|name| columns.tombstones(&lookup.view, name))
            .transpose()?;
        let (spine_keys, key_types) = resolve_keys(lookup, spine, &mut columns, &mut roles)?;
        let mut times = vec![time_type];
        for position in [Some(event_time), roles.created_time, roles.valid_to]
            .into_iter()
            .flatten()
        {
            times.push(source.field_with_name(columns.fields[position].name())?.data_type());
        }
        let scale = Scale::of(times);
        require_created(lookup, spec)?;
        let windows = resolve_windows(lookup, &mut columns, scale)?;
        let (values, value_types) = resolve_features(lookup, &mut columns, &mut roles)?;
        Ok(ResolvedLookup {
            view: lookup.view.clone(),
            spine_keys,
            key_types,
            scale,
            event_type: columns.fields[event_time].data_type().clone(),
            known_at: spec.known_at,
            max_age: lookup.max_age.map(|age| scale.length(age)),
            inclusive: lookup.inclusive,
            nulls: lookup.nulls,
            scan: columns.fields,
            roles,
            values,
            value_types,
            windows,
            with_event_time: lookup.with_event_time,
            with_status: lookup.with_status,
        })
    }

    pub(crate) fn owner(&self) -> String {
        format!("view {:?}", self.view)
    }

    /// Whether a row counts from its event time on, for good, and that is all there is to it.
    pub(crate) fn is_plain(&self) -> bool {
        let Roles {
            created_time,
            valid_to,
            deleted,
            ..
        } = &self.roles;
        let own_times = created_time.is_some() || valid_to.is_some() || deleted.is_some();
        !own_times && self.known_at == KnownAt::None && self.nulls == Nulls::Row && self.windows.is_empty()
    }

    /// Whether a window's totals are those of floats.
    pub(crate) fn is_float(&self, window: &ResolvedWindow) -> bool {
        window
            .column
            .is_some_and(|position| self.scan[position].data_type().is_floating())
    }

    /// The names of all columns that this lookup reads.
    pub(crate) fn needed(&self) -> Vec<String> {
        self.scan
            .iter()
            .chain(&self.values)
            .map(|field| field.name().clone())
            .collect()
    }

    /// How many columns this lookup adds.
    pub(crate) fn width(&self) -> usize {
        self.values.len() + self.windows.len() + usize::from(self.with_event_time) + usize::from(self.with_status)
    }

    fn add_outputs(&self, lookup: &Lookup, fields: &mut Vec<Arc<Field>>) -> Result<()> {
        let mut taken: HashSet<String> = fields.iter().map(|field| field.name().clone()).collect();
        let mut add = |name: String, data_type: DataType, nullable: bool, like: Option<&Field>| {
            if !taken.insert(name.clone()) {
                return Err(Error::NameTaken {
                    view: lookup.view.clone(),
                    column: name,
                });
            }
            let metadata = like.map(|field| field.metadata().clone()).unwrap_or_default();
            fields.push(Arc::new(Field::new(name, data_type, nullable).with_metadata(metadata)));
            Ok(())
        };
        for (field, data_type) in self.values.iter().zip(&self.value_types) {
            add(lookup.output_name(field.name()), data_type.clone(), true, Some(field))?;
        }
        for window in &self.windows {
            let nullable = window.function != WindowFunction::Count;
            add(lookup.output_name(&window.name), window.output.clone(), nullable, None)?;
        }
        if self.with_event_time {
            add(lookup.about_name("event_time"), self.event_type.clone(), true, None)?;
        }
        if self.with_status {
            add(lookup.about_name("status"), DataType::Utf8, false, None)?;
        }
        Ok(())
    }
}

/// The columns that a lookup reads of every row, each once.
struct ScanColumns<'a> {
    owner: &'a str,
    source: &'a Schema,
    fields: Vec<Arc<Field>>,
}

impl ScanColumns<'_> {
    fn add(&mut self, name: &str) -> Result<usize> {
        let field = &self.source.fields()[column_of(self.source, self.owner, name)?];
        if let Some(position) = self.fields.iter().position(|known| known.name() == name) {
            return Ok(position);
        }
        self.fields.push(field.clone());
        Ok(self.fields.len() - 1)
    }

    fn time(&mut self, name: &str) -> Result<usize> {
        let position = self.add(name)?;
        require_time(self.owner, name, self.fields[position].data_type())?;
        Ok(position)
    }

    fn tombstones(&mut self, view: &str, name: &str) -> Result<usize> {
        let position = self.add(name)?;
        match self.fields[position].data_type() {
            DataType::Boolean => Ok(position),
            other => Err(Error::NotABoolean {
                view: view.to_owned(),
                column: name.to_owned(),
                data_type: other.clone(),
            }),
        }
    }
}

fn column_of(schema: &Schema, owner: &str, name: &str) -> Result<usize> {
    schema.index_of(name).map_err(|_| Error::UnknownColumn {
        owner: owner.to_owned(),
        column: name.to_owned(),
        available: schema.fields().iter().map(|field| field.name().clone()).collect(),
    })
}

fn require_time(owner: &str, column: &str, data_type: &DataType) -> Result<()> {
    if time::is_time(data_type) {
        return Ok(());
    }
    Err(Error::NotATime {
        owner: owner.to_owned(),
        column: column.to_owned(),
        data_type: data_type.clone(),
    })
}

fn require_created(lookup: &Lookup, spec: &AsOfSpec) -> Result<()> {
    let from_files = match &lookup.source {
        FeatureSource::Parquet(source) => source.files.iter().all(|file| file.written.is_some()),
        FeatureSource::Query(_) => false,
    };
    if spec.known_at == KnownAt::None || lookup.created_time.is_some() || from_files {
        return Ok(());
    }
    Err(Error::NoCreatedTime {
        view: lookup.view.clone(),
    })
}

fn resolve_keys(
    lookup: &Lookup,
    spine: &Schema,
    columns: &mut ScanColumns<'_>,
    roles: &mut Roles,
) -> Result<(Vec<usize>, Vec<DataType>)> {
    let mut spine_keys = Vec::with_capacity(lookup.keys.len());
    let mut key_types = Vec::with_capacity(lookup.keys.len());
    for pair in &lookup.keys {
        let spine_key = column_of(
            spine,
            &format!("the spine, which view {:?} is joined to,", lookup.view),
            &pair.spine,
        )?;
        let feature_key = columns.add(&pair.feature)?;
        let spine_type = spine.field(spine_key).data_type();
        let feature_type = columns.fields[feature_key].data_type();
        let common = key::common_type(spine_type, feature_type).ok_or_else(|| Error::KeyTypes {
            view: lookup.view.clone(),
            spine_column: pair.spine.clone(),
            spine_type: spine_type.clone(),
            feature_column: pair.feature.clone(),
            feature_type: feature_type.clone(),
        })?;
        spine_keys.push(spine_key);
        key_types.push(common);
        roles.keys.push(feature_key);
    }
    Ok((spine_keys, key_types))
}

fn resolve_features(
    lookup: &Lookup,
    columns: &mut ScanColumns<'_>,
    roles: &mut Roles,
) -> Result<(Vec<Arc<Field>>, Vec<DataType>)> {
    let mut values = Vec::with_capacity(lookup.features.len());
    let mut types = Vec::with_capacity(lookup.features.len());
    for feature in &lookup.features {
        let field = &columns.source.fields()[column_of(columns.source, columns.owner, &feature.column)?];
        types.push(feature.data_type.clone().unwrap_or_else(|| field.data_type().clone()));
        values.push(field.clone());
        if lookup.nulls == Nulls::LastNonNull {
            roles.features.push(columns.add(&feature.column)?);
        }
    }
    Ok((values, types))
}

fn resolve_windows(lookup: &Lookup, columns: &mut ScanColumns<'_>, scale: Scale) -> Result<Vec<ResolvedWindow>> {
    if !lookup.windows.is_empty() && lookup.deleted.is_some() {
        return Err(Error::WindowOverTombstones {
            view: lookup.view.clone(),
        });
    }
    lookup
        .windows
        .iter()
        .map(|window| resolve_window(lookup, window, columns, scale))
        .collect()
}

fn resolve_window(
    lookup: &Lookup,
    window: &Window,
    columns: &mut ScanColumns<'_>,
    scale: Scale,
) -> Result<ResolvedWindow> {
    let column = window.column.as_deref().map(|name| columns.add(name)).transpose()?;
    let output = match (window.function, column) {
        (WindowFunction::Count, _) => DataType::Int64,
        (_, None) => {
            return Err(Error::NoWindowColumn {
                view: lookup.view.clone(),
                window: window.name.clone(),
            });
        }
        (function, Some(position)) => {
            let field = &columns.fields[position];
            function.output(field.data_type()).ok_or_else(|| Error::NotANumber {
                view: lookup.view.clone(),
                window: window.name.clone(),
                column: field.name().clone(),
                data_type: field.data_type().clone(),
            })?
        }
    };
    Ok(ResolvedWindow {
        name: window.name.clone(),
        function: window.function,
        column,
        length: scale.length(window.length),
        inclusive: window.inclusive,
        label: window.label,
        output,
    })
}
