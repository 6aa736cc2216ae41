//! A view held against the columns of its source: does everything it names exist, in types that fit?
//! Pure: `source` fetches the columns. What is wrong comes back with the field it is about, so that the file and line can be
//! named. Invariant: a `ResolvedView` is complete: keys, times and features with types, nothing left to guess.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field, Schema};
use drumlin_asof::WindowFunction;
use drumlin_model::names::did_you_mean;

use super::{
    Definition, Entity, FeatureService, FeatureType, FeatureView, Source, ViewUse, parse::suggestion, types::of_arrow,
};

/// A problem of one field of a definition; the registry knows its file and line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub field: String,
    pub message: String,
    pub cure: String,
}

impl Fault {
    fn new(field: impl Into<String>, message: impl Into<String>, cure: impl Into<String>) -> Self {
        Fault {
            field: field.into(),
            message: message.into(),
            cure: cure.into(),
        }
    }
}

/// A view with everything that its entities and its source say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedView {
    pub view: FeatureView,
    /// The hash of what the view and its entities mean.
    pub hash: String,
    pub keys: Vec<ResolvedKey>,
    /// Names and types of the source's columns that are features, in the order of the definition or the source.
    pub features: Vec<(String, FeatureType)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedKey {
    /// As the entity calls it: the spine's and the request's column.
    pub name: String,
    /// As the source calls it.
    pub column: String,
    pub data_type: FeatureType,
}

impl ResolvedView {
    /// The columns of the source that the view reads, each once.
    pub fn columns(&self) -> Vec<String> {
        let view = &self.view;
        let keys = self.keys.iter().map(|key| &key.column);
        let times = [
            Some(&view.event_time),
            view.created_time.as_ref(),
            view.valid_to.as_ref(),
            view.tombstone.as_ref(),
        ]
        .into_iter()
        .flatten();
        let features = self.features.iter().map(|(name, _)| name);
        let aggregated = view.windows.iter().filter_map(|window| window.column.as_ref());
        let mut columns: Vec<String> = Vec::new();
        for column in keys.chain(times).chain(features).chain(aggregated) {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        columns
    }

    /// Everything that a spine can be completed with: features, then windows.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        let features = self.features.iter().map(|(name, _)| name.as_str());
        features.chain(self.view.windows.iter().map(|window| window.name.as_str()))
    }

    pub fn key_types(&self) -> Vec<(String, FeatureType)> {
        self.keys.iter().map(|key| (key.name.clone(), key.data_type)).collect()
    }
}

/// The hash of a view and the entities that give it its keys.
pub fn view_hash(view: &FeatureView, entities: &[&Entity]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(Definition::FeatureView(view.clone()).hash().as_bytes());
    for entity in entities {
        hasher.update(Definition::Entity((*entity).clone()).hash().as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// The view's entities, and its join keys in order.
pub fn entities<'a>(view: &FeatureView, known: &'a BTreeMap<String, Entity>) -> Result<Vec<&'a Entity>, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut found: Vec<&Entity> = Vec::new();
    for name in &view.entities {
        match known.get(name) {
            Some(entity) => found.push(entity),
            None => {
                let cure = suggestion(name, "entities", known.keys().map(String::as_str));
                faults.push(Fault::new(
                    format!("entities.{name}"),
                    format!("there is no entity {name:?}"),
                    cure,
                ));
            }
        }
    }
    let keys: Vec<&str> = found
        .iter()
        .flat_map(|entity| &entity.keys)
        .map(|key| key.name.as_str())
        .collect();
    for (index, key) in keys.iter().enumerate() {
        if keys[..index].contains(key) {
            let message = format!("two entities of {:?} have the key {key:?}", view.name);
            faults.push(Fault::new("entities", message, "rename the key of one of them"));
        }
    }
    let complete = faults.is_empty();
    for name in view
        .keys
        .keys()
        .filter(|name| complete && !keys.contains(&name.as_str()))
    {
        let cure = suggestion(name, "keys", keys.iter().copied());
        faults.push(Fault::new(
            format!("keys.{name}"),
            format!("no entity of {:?} has a key {name:?}", view.name),
            cure,
        ));
    }
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

/// Holds `view` against the columns of its source.
pub fn resolve(
    view: &FeatureView,
    known: &BTreeMap<String, Entity>,
    schema: &Schema,
) -> Result<ResolvedView, Vec<Fault>> {
    let entities = entities(view, known)?;
    let mut checker = Checker {
        view,
        schema,
        faults: Vec::new(),
    };
    let keys = checker.keys(&entities);
    checker.time("event_time", &view.event_time);
    if let Some(column) = &view.created_time {
        checker.time("created_time", column);
    }
    if let Some(column) = &view.valid_to {
        checker.time("valid_to", column);
    }
    checker.tombstone();
    let features = if view.features.is_empty() && view.windows.is_empty() {
        checker.all_features(&keys)
    } else {
        checker.named_features()
    };
    checker.windows(&features);
    checker.online();
    if !checker.faults.is_empty() {
        return Err(checker.faults);
    }
    Ok(ResolvedView {
        view: view.clone(),
        hash: view_hash(view, &entities),
        keys,
        features,
    })
}

struct Checker<'a> {
    view: &'a FeatureView,
    schema: &'a Schema,
    faults: Vec<Fault>,
}

impl<'a> Checker<'a> {
    fn fault(&mut self, field: impl Into<String>, message: impl Into<String>, cure: impl Into<String>) {
        self.faults.push(Fault::new(field, message, cure));
    }

    /// The source, as a sentence names it.
    fn source(&self) -> String {
        match &self.view.source {
            Source::Table(table) => format!("table {table:?}"),
            Source::Sql(_) => "the query".into(),
        }
    }

    fn column(&mut self, name: &str) -> Option<&'a Field> {
        let mut found = self.schema.fields().iter().filter(|field| field.name() == name);
        let first = found.next()?;
        if found.next().is_some() {
            let message = format!("{} has two columns called {name:?}", self.source());
            self.fault("source", message, "select one of them, or rename one with AS");
        }
        Some(first.as_ref())
    }

    fn known(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        self.schema.fields().iter().map(|field| field.name().as_str())
    }

    fn missing(&mut self, field: &str, what: &str, column: &str) {
        let cure = match (did_you_mean(column, self.known()), &self.view.source) {
            (Some(name), _) => format!("did you mean {name:?}?"),
            (None, Source::Sql(_)) => format!(
                "select it AS {column}, or name one of: {}",
                self.known().collect::<Vec<_>>().join(", ")
            ),
            (None, Source::Table(_)) => format!("its columns are {}", self.known().collect::<Vec<_>>().join(", ")),
        };
        let message = format!(
            "{} has no column {column:?}, {what} of view {:?}",
            self.source(),
            self.view.name
        );
        self.fault(field, message, cure);
    }

    fn keys(&mut self, entities: &[&Entity]) -> Vec<ResolvedKey> {
        let mut keys = Vec::new();
        for entity in entities {
            for key in &entity.keys {
                let mapped = self.view.keys.get(&key.name);
                let column = mapped.unwrap_or(&key.name).clone();
                let field = if mapped.is_some() {
                    format!("keys.{}", key.name)
                } else {
                    format!("entities.{}", entity.name)
                };
                self.key_column(&field, entity, key.data_type, &column);
                keys.push(ResolvedKey {
                    name: key.name.clone(),
                    column,
                    data_type: key.data_type,
                });
            }
        }
        keys
    }

    fn key_column(&mut self, field: &str, entity: &Entity, declared: FeatureType, column: &str) {
        let Some(found) = self.column(column) else {
            return self.missing(field, &format!("a key of entity {:?}", entity.name), column);
        };
        if !of_arrow(found.data_type()).is_some_and(|kind| declared.holds(kind)) {
            let message = format!(
                "key column {column:?} of {} is {}, which entity {:?} declares as {declared}",
                self.source(),
                shown(found.data_type()),
                entity.name
            );
            self.fault(
                field,
                message,
                "change the entity's type, or CAST the column in a SQL source",
            );
        }
    }

    fn time(&mut self, field: &str, column: &str) {
        let what = match field {
            "event_time" => "the event time",
            "valid_to" => "the end of validity",
            _ => "the created time",
        };
        let Some(found) = self.column(column) else {
            return self.missing(field, what, column);
        };
        if !matches!(found.data_type(), DataType::Timestamp(..) | DataType::Date32) {
            let message = format!(
                "column {column:?} of {} is {}, not a time",
                self.source(),
                shown(found.data_type())
            );
            self.fault(
                field,
                message,
                "name a timestamp or date column, or CAST it AS TIMESTAMP in a SQL source",
            );
        }
    }

    fn tombstone(&mut self) {
        let Some(column) = &self.view.tombstone else { return };
        let Some(found) = self.column(column) else {
            return self.missing("tombstone", "the tombstone", column);
        };
        if found.data_type() != &DataType::Boolean {
            let message = format!(
                "tombstone {column:?} of {} is {}, not bool",
                self.source(),
                shown(found.data_type())
            );
            self.fault("tombstone", message, "name a column that is true for a deleted entity");
        }
    }

    fn named_features(&mut self) -> Vec<(String, FeatureType)> {
        let view = self.view;
        let mut features = Vec::new();
        for feature in &view.features {
            let field = format!("features.{}", feature.name);
            let Some(found) = self.column(&feature.name) else {
                self.missing(&field, "a feature", &feature.name);
                continue;
            };
            let Some(kind) = of_arrow(found.data_type()) else {
                self.not_a_feature(&field, found);
                continue;
            };
            let declared = feature.data_type.unwrap_or(kind);
            if !fits(declared, kind) {
                let message = format!(
                    "feature {:?} is declared {declared}, but {} has {kind}",
                    feature.name,
                    self.source()
                );
                self.fault(
                    &field,
                    message,
                    format!("declare it {kind}, or CAST it in a SQL source"),
                );
            }
            features.push((feature.name.clone(), declared));
        }
        features
    }

    fn all_features(&mut self, keys: &[ResolvedKey]) -> Vec<(String, FeatureType)> {
        let view = self.view;
        let mut features = Vec::new();
        for found in self.schema.fields() {
            let name = found.name();
            let other = [
                Some(&view.event_time),
                view.created_time.as_ref(),
                view.valid_to.as_ref(),
                view.tombstone.as_ref(),
            ];
            if other.contains(&Some(name)) || keys.iter().any(|key| &key.column == name) {
                continue;
            }
            match of_arrow(found.data_type()) {
                Some(kind) => features.push((name.clone(), kind)),
                None => self.not_a_feature("source", found),
            }
        }
        if features.is_empty() && self.faults.is_empty() {
            let message = format!(
                "{} has no column left to be a feature of {:?}",
                self.source(),
                view.name
            );
            self.fault("source", message, "add a column to the source");
        }
        features
    }

    fn windows(&mut self, features: &[(String, FeatureType)]) {
        let view = self.view;
        for window in &view.windows {
            let field = format!("windows.{}", window.name);
            if features.iter().any(|(name, _)| name == &window.name) {
                let message = format!("{:?} is both a feature and a window of {:?}", window.name, view.name);
                self.fault(&field, message, "give the window another name");
            }
            let Some(name) = &window.column else {
                if window.function != WindowFunction::Count {
                    let message = format!("window {:?} does not say which column it aggregates", window.name);
                    self.fault(&field, message, "write `column: NAME`");
                }
                continue;
            };
            let Some(found) = self.column(name) else {
                self.missing(&field, &format!("which window {:?} aggregates", window.name), name);
                continue;
            };
            if window.function.output(found.data_type()).is_none() {
                let message = format!(
                    "window {:?} needs a number, and column {name:?} of {} is {}",
                    window.name,
                    self.source(),
                    shown(found.data_type())
                );
                self.fault(&field, message, "name a column of numbers, or CAST it in a SQL source");
            }
        }
        if let (Some(_), Some(window)) = (&view.tombstone, view.windows.first()) {
            let message = format!("a window, such as {:?}, does not go with a tombstone", window.name);
            self.fault("tombstone", message, "leave deleted rows out in a SQL source");
        }
    }

    /// The online store keeps rows, not the events of a window.
    fn online(&mut self) {
        let view = self.view;
        if let (true, Some(window)) = (view.online, view.windows.first()) {
            let message = format!("window {:?} is computed for training sets alone", window.name);
            self.fault("online", message, "write `online: false`");
        }
    }

    fn not_a_feature(&mut self, field: &str, found: &Field) {
        let message = format!(
            "column {:?} of {} is {}, which no feature can be",
            found.name(),
            self.source(),
            found.data_type()
        );
        self.fault(
            field,
            message,
            "CAST it in a SQL source, or list the other columns under `features`",
        );
    }
}

/// Whether a feature of the source's type may be declared so: numbers as numbers (each value is checked), the rest as it is.
fn fits(declared: FeatureType, source: FeatureType) -> bool {
    let number = |kind| {
        !matches!(
            kind,
            FeatureType::String | FeatureType::Bool | FeatureType::Timestamp | FeatureType::Date | FeatureType::Binary
        )
    };
    declared == source || number(declared) && number(source)
}

fn shown(data_type: &DataType) -> String {
    of_arrow(data_type).map_or_else(|| data_type.to_string(), |kind| kind.to_string())
}

/// Holds a service against the views that it uses.
pub fn check_service(service: &FeatureService, views: &BTreeMap<String, ResolvedView>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    for used in &service.views {
        let field = format!("views.{}", used.label());
        let Some(view) = views.get(&used.view) else {
            let cure = suggestion(&used.view, "views", views.keys().map(String::as_str));
            faults.push(Fault::new(
                field,
                format!("there is no feature view {:?}", used.view),
                cure,
            ));
            continue;
        };
        faults.extend(check_use(&field, used, view));
        for name in output_names(used, view) {
            if let Some(other) = taken
                .insert(name.clone(), used.label())
                .filter(|_| used.alias.is_none())
            {
                let message = format!("both {other:?} and {:?} give a feature {name:?}", used.label());
                faults.push(Fault::new(
                    field.clone(),
                    message,
                    "give one of the views a prefix with `as: NAME`",
                ));
            }
        }
    }
    faults
}

/// Whether what is asked of a view is there.
pub fn check_use(field: &str, used: &ViewUse, view: &ResolvedView) -> Vec<Fault> {
    let mut faults = Vec::new();
    for name in &used.features {
        if !view.names().any(|known| known == name) {
            let cure = suggestion(name, "its features", view.names());
            faults.push(Fault::new(
                field,
                format!("view {:?} has no feature {name:?}", used.view),
                cure,
            ));
        }
    }
    for name in used.keys.keys() {
        if !view.keys.iter().any(|key| &key.name == name) {
            let cure = suggestion(name, "its keys", view.keys.iter().map(|key| key.name.as_str()));
            faults.push(Fault::new(
                field,
                format!("view {:?} has no key {name:?}", used.view),
                cure,
            ));
        }
    }
    faults
}

/// The columns that a view adds to a training set.
pub fn output_names(used: &ViewUse, view: &ResolvedView) -> Vec<String> {
    let names: Vec<&str> = if used.features.is_empty() {
        view.names().collect()
    } else {
        used.features.iter().map(String::as_str).collect()
    };
    names
        .into_iter()
        .map(|name| match &used.alias {
            Some(alias) => format!("{alias}__{name}"),
            None => name.to_owned(),
        })
        .collect()
}
