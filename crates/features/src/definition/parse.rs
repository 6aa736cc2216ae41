//! From a file of YAML to definitions, strictly: every unknown key and wrong value is a `Problem` with its place and cure.
//! Neighbours: `yaml` gives the nodes; `check` finds what only the tables can tell.

use std::{collections::BTreeMap, fmt, str::FromStr};

use drumlin_asof::{Window, WindowFunction};
use drumlin_model::{RepoPath, feature::TextError, names::did_you_mean};

use super::{
    About, Definition, Entity, Feature, FeatureService, FeatureView, JoinKey, Kind, Nulls, Place, Source, ViewUse,
    yaml::{self, Field, Node, Spot, Value},
};

/// The longest name, in bytes: it becomes part of column names.
const NAME_LEN_MAX: usize = 100;

/// Something wrong with a definition: where, what, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub file: RepoPath,
    pub spot: Spot,
    pub message: String,
    pub cure: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}; {}",
            self.file, self.spot.line, self.spot.column, self.message, self.cure
        )
    }
}

/// A definition and where it stands.
#[derive(Clone, Debug)]
pub struct Placed {
    pub definition: Definition,
    pub place: Place,
}

/// Everything that a file defines, and everything that is wrong with it.
pub fn parse_file(file: &RepoPath, text: &str) -> (Vec<Placed>, Vec<Problem>) {
    let mut problems = Vec::new();
    let documents = match yaml::documents(text) {
        Ok(documents) => documents,
        Err(fault) => {
            let yaml::Fault { spot, message, cure } = fault;
            return (
                Vec::new(),
                vec![Problem {
                    file: file.clone(),
                    spot,
                    message,
                    cure,
                }],
            );
        }
    };
    let mut placed = Vec::new();
    for document in &documents {
        let before = problems.len();
        let mut reader = Reader {
            file,
            problems: &mut problems,
            spots: BTreeMap::new(),
        };
        let definition = reader.definition(document);
        let place = Place {
            file: file.clone(),
            at: document.spot,
            fields: reader.spots,
        };
        if let (Some(definition), true) = (definition, problems.len() == before) {
            placed.push(Placed { definition, place });
        }
    }
    (placed, problems)
}

/// `did you mean "x"?` when something is close, else the list of what there is.
pub fn suggestion<'a>(text: &str, plural: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(name) = did_you_mean(text, known.clone()) {
        return format!("did you mean {name:?}?");
    }
    let known: Vec<&str> = known.into_iter().collect();
    if known.is_empty() {
        format!("there are no {plural}")
    } else {
        format!("{plural} are {}", known.join(", "))
    }
}

struct Reader<'a> {
    file: &'a RepoPath,
    problems: &'a mut Vec<Problem>,
    spots: BTreeMap<String, Spot>,
}

/// The fields of one map that nobody has asked for yet.
struct Fields<'a> {
    what: String,
    at: Spot,
    left: Vec<&'a Field>,
    asked: Vec<&'static str>,
    /// Names that were needed and are not there.
    lacking: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    fn take(&mut self, name: &'static str) -> Option<&'a Field> {
        self.asked.push(name);
        let index = self.left.iter().position(|field| field.name == name)?;
        Some(self.left.remove(index))
    }
}

impl<'a> Reader<'a> {
    fn problem(&mut self, spot: Spot, message: impl Into<String>, cure: impl Into<String>) {
        self.problems.push(Problem {
            file: self.file.clone(),
            spot,
            message: message.into(),
            cure: cure.into(),
        });
    }

    fn fields<'n>(&mut self, what: impl Into<String>, node: &'n Node) -> Option<Fields<'n>> {
        let what = what.into();
        let Value::Map(fields) = &node.value else {
            self.problem(
                node.spot,
                format!("{what} must be a map; here is {}", node.value.noun()),
                "write `key: value` lines",
            );
            return None;
        };
        Some(Fields {
            what,
            at: node.spot,
            left: fields.iter().collect(),
            asked: Vec::new(),
            lacking: Vec::new(),
        })
    }

    /// Reports each field that nobody asked for, and each needed field that is missing. A field that looks like a needed one
    /// misspelled is reported once, as the first kind.
    fn finish(&mut self, mut fields: Fields<'_>) {
        for field in fields.left {
            let meant = did_you_mean(&field.name, fields.asked.iter().copied());
            fields.lacking.retain(|name| meant != Some(*name));
            let message = format!("unknown key {:?} in {}", field.name, fields.what);
            self.problem(
                field.spot,
                message,
                suggestion(&field.name, "its keys", fields.asked.iter().copied()),
            );
        }
        for name in fields.lacking {
            self.problem(
                fields.at,
                format!("{} lacks {name:?}", fields.what),
                format!("write `{name}: ...`"),
            );
        }
    }

    fn definition(&mut self, document: &Node) -> Option<Definition> {
        let mut fields = self.fields("a definition", document)?;
        let kinds = || Kind::ALL.iter().map(|kind| kind.as_str());
        let Some(field) = fields.take("kind") else {
            let cure = format!(
                "write `kind: NAME` first (kinds are {})",
                kinds().collect::<Vec<_>>().join(", ")
            );
            self.problem(document.spot, "a definition must say its kind", cure);
            return None;
        };
        let text = self.text("kind", &field.node)?;
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.as_str() == text) else {
            self.problem(
                field.node.spot,
                format!("{text:?} is not a kind"),
                suggestion(text, "kinds", kinds()),
            );
            return None;
        };
        let name = self
            .required(&mut fields, "name")
            .and_then(|node| self.name("name", node));
        fields.what = match &name {
            Some(name) => format!("{kind} {name:?}"),
            None => kind.to_string(),
        };
        let name = name.unwrap_or_default();
        let about = self.about(&mut fields);
        let definition = match kind {
            Kind::Entity => Definition::Entity(self.entity(name, about, &mut fields)),
            Kind::FeatureView => Definition::FeatureView(self.view(name, about, &mut fields)),
            Kind::FeatureService => Definition::FeatureService(self.service(name, about, &mut fields)),
        };
        self.finish(fields);
        Some(definition)
    }

    fn about(&mut self, fields: &mut Fields<'_>) -> About {
        About {
            description: fields
                .take("description")
                .and_then(|field| self.text("description", &field.node))
                .map(str::to_owned),
            owner: fields
                .take("owner")
                .and_then(|field| self.text("owner", &field.node))
                .map(str::to_owned),
            tags: fields
                .take("tags")
                .map(|field| self.tags(&field.node))
                .unwrap_or_default(),
        }
    }

    fn entity(&mut self, name: String, about: About, fields: &mut Fields<'_>) -> Entity {
        let mut keys: Vec<JoinKey> = Vec::new();
        let node = self.required(fields, "keys");
        for item in node.map(|node| self.items("keys", node)).unwrap_or_default() {
            let Some(mut fields) = self.fields("a key", item) else {
                continue;
            };
            let name = self
                .required(&mut fields, "name")
                .and_then(|node| self.name("name", node));
            let kind = self
                .required(&mut fields, "type")
                .and_then(|node| self.parsed("type", node));
            self.finish(fields);
            let (Some(name), Some(data_type)) = (name, kind) else {
                continue;
            };
            if keys.iter().any(|key| key.name == name) {
                self.problem(item.spot, format!("key {name:?} stands here twice"), "keep one");
            }
            self.spots.insert(format!("keys.{name}"), item.spot);
            keys.push(JoinKey { name, data_type });
        }
        if let (Some(node), true) = (node, keys.is_empty()) {
            self.problem(
                node.spot,
                "an entity needs a key",
                "write `keys: [{name: id, type: string}]`",
            );
        }
        Entity { name, keys, about }
    }

    fn view(&mut self, name: String, about: About, fields: &mut Fields<'_>) -> FeatureView {
        let source = self.required(fields, "source").and_then(|node| self.source(node));
        let event_time = self
            .required(fields, "event_time")
            .and_then(|node| self.column("event_time", node));
        let windows = fields
            .take("windows")
            .map(|field| self.windows(&field.node))
            .unwrap_or_default();
        FeatureView {
            name,
            entities: self.entities(fields),
            keys: fields
                .take("keys")
                .map(|field| self.names_by_name("keys", &field.node))
                .unwrap_or_default(),
            source: source.unwrap_or(Source::Table(String::new())),
            event_time: event_time.unwrap_or_default(),
            created_time: fields
                .take("created_time")
                .and_then(|field| self.column("created_time", &field.node)),
            tombstone: fields
                .take("tombstone")
                .and_then(|field| self.column("tombstone", &field.node)),
            valid_to: fields
                .take("valid_to")
                .and_then(|field| self.column("valid_to", &field.node)),
            max_age: fields
                .take("max_age")
                .and_then(|field| self.parsed("max_age", &field.node)),
            inclusive: fields
                .take("inclusive")
                .and_then(|field| self.flag("inclusive", &field.node))
                .unwrap_or(true),
            nulls: fields
                .take("nulls")
                .and_then(|field| self.nulls(&field.node))
                .unwrap_or_default(),
            features: fields
                .take("features")
                .map(|field| self.features(&field.node))
                .unwrap_or_default(),
            online: fields
                .take("online")
                .and_then(|field| self.flag("online", &field.node))
                .unwrap_or(windows.is_empty()),
            windows,
            about,
        }
    }

    fn entities(&mut self, fields: &mut Fields<'_>) -> Vec<String> {
        let (one, many) = (fields.take("entity"), fields.take("entities"));
        if let (Some(one), Some(_)) = (one, many) {
            self.problem(
                one.spot,
                "both `entity` and `entities` are given",
                "keep one of the two",
            );
        }
        let mut names: Vec<String> = Vec::new();
        let nodes = match (one, many) {
            (Some(field), _) => vec![&field.node],
            (None, Some(field)) => self.items("entities", &field.node),
            (None, None) => {
                let cure = "write `entity: NAME`, or `entities: []` for a global view without a key";
                self.problem(fields.at, format!("{} must name its entity", fields.what), cure);
                Vec::new()
            }
        };
        for node in nodes {
            let Some(name) = self.name("entity", node) else {
                continue;
            };
            if names.contains(&name) {
                self.problem(node.spot, format!("entity {name:?} stands here twice"), "keep one");
            }
            self.spots.insert(format!("entities.{name}"), node.spot);
            names.push(name);
        }
        names
    }

    fn source(&mut self, node: &Node) -> Option<Source> {
        let mut fields = self.fields("source", node)?;
        let (table, sql) = (fields.take("table"), fields.take("sql"));
        self.finish(fields);
        match (table, sql) {
            (Some(field), None) => {
                self.spots.insert("source".into(), field.node.spot);
                self.text("table", &field.node)
                    .map(|text| Source::Table(text.to_owned()))
            }
            (None, Some(field)) => {
                self.spots.insert("source".into(), field.node.spot);
                self.text("sql", &field.node).map(|text| Source::Sql(text.to_owned()))
            }
            _ => {
                let cure = "write `source: {table: NAME}` or `source: {sql: SELECT ...}`";
                self.problem(node.spot, "a source is either a table or a query", cure);
                None
            }
        }
    }

    fn features(&mut self, node: &Node) -> Vec<Feature> {
        let mut features: Vec<Feature> = Vec::new();
        for item in self.items("features", node) {
            let feature = match &item.value {
                Value::Scalar { .. } => self.column("feature", item).map(|name| Feature {
                    name,
                    data_type: None,
                    description: None,
                }),
                _ => self.feature(item),
            };
            let Some(feature) = feature else { continue };
            if features.iter().any(|other| other.name == feature.name) {
                self.problem(
                    item.spot,
                    format!("feature {:?} stands here twice", feature.name),
                    "keep one",
                );
            }
            self.spots.insert(format!("features.{}", feature.name), item.spot);
            features.push(feature);
        }
        features
    }

    fn feature(&mut self, node: &Node) -> Option<Feature> {
        let mut fields = self.fields("a feature", node)?;
        let name = self
            .required(&mut fields, "name")
            .and_then(|node| self.column("name", node));
        let data_type = fields.take("type").and_then(|field| self.parsed("type", &field.node));
        let description = fields
            .take("description")
            .and_then(|field| self.text("description", &field.node));
        let description = description.map(str::to_owned);
        self.finish(fields);
        Some(Feature {
            name: name?,
            data_type,
            description,
        })
    }

    fn windows(&mut self, node: &Node) -> Vec<Window> {
        let mut windows: Vec<Window> = Vec::new();
        for item in self.items("windows", node) {
            let Some(window) = self.window(item) else { continue };
            if windows.iter().any(|other| other.name == window.name) {
                self.problem(
                    item.spot,
                    format!("window {:?} stands here twice", window.name),
                    "keep one",
                );
            }
            self.spots.insert(format!("windows.{}", window.name), item.spot);
            windows.push(window);
        }
        windows
    }

    fn window(&mut self, node: &Node) -> Option<Window> {
        let mut fields = self.fields("a window", node)?;
        let name = self
            .required(&mut fields, "name")
            .and_then(|node| self.column("name", node));
        let function = self
            .required(&mut fields, "function")
            .and_then(|node| self.function(node));
        let what = format!("the length of window {:?}", name.as_deref().unwrap_or_default());
        let length = self
            .required(&mut fields, "length")
            .and_then(|node| self.parsed(&what, node));
        let column = fields
            .take("column")
            .and_then(|field| self.column("column", &field.node));
        let mut flag = |name| {
            let given = fields.take(name).and_then(|field| self.flag(name, &field.node));
            given.unwrap_or(false)
        };
        let (inclusive, label) = (flag("inclusive"), flag("label"));
        let description = fields
            .take("description")
            .and_then(|field| self.text("description", &field.node))
            .map(str::to_owned);
        self.finish(fields);
        Some(Window {
            name: name?,
            function: function?,
            column,
            length: length?,
            inclusive,
            label,
            description,
        })
    }

    fn function(&mut self, node: &Node) -> Option<WindowFunction> {
        let text = self.text("function", node)?;
        let known = WindowFunction::ALL.map(WindowFunction::as_str);
        let found = WindowFunction::ALL
            .into_iter()
            .find(|function| function.as_str() == text);
        if found.is_none() {
            let message = format!("`function` cannot be {text:?}");
            self.problem(node.spot, message, suggestion(text, "functions", known));
        }
        found
    }

    fn service(&mut self, name: String, about: About, fields: &mut Fields<'_>) -> FeatureService {
        let mut views: Vec<ViewUse> = Vec::new();
        let node = self.required(fields, "views");
        for item in node.map(|node| self.items("views", node)).unwrap_or_default() {
            let view = match &item.value {
                Value::Scalar { .. } => self.name("view", item).map(ViewUse::of),
                _ => self.view_use(item),
            };
            let Some(view) = view else { continue };
            if views.iter().any(|other| other.label() == view.label()) {
                let cure = "give each its own name with `as: NAME`";
                self.problem(item.spot, format!("{:?} stands here twice", view.label()), cure);
            }
            self.spots.insert(format!("views.{}", view.label()), item.spot);
            views.push(view);
        }
        if let (Some(node), true) = (node, views.is_empty()) {
            self.problem(node.spot, "a feature service needs a view", "write `views: [NAME]`");
        }
        FeatureService { name, views, about }
    }

    fn view_use(&mut self, node: &Node) -> Option<ViewUse> {
        let mut fields = self.fields("a view of a service", node)?;
        let view = self
            .required(&mut fields, "view")
            .and_then(|node| self.name("view", node));
        let alias = fields.take("as").and_then(|field| self.name("as", &field.node));
        let mut features = Vec::new();
        if let Some(field) = fields.take("features") {
            for item in self.items("features", &field.node) {
                features.extend(self.column("feature", item));
            }
        }
        let keys = fields
            .take("keys")
            .map(|field| self.names_by_name("keys", &field.node))
            .unwrap_or_default();
        self.finish(fields);
        Some(ViewUse {
            view: view?,
            alias,
            features,
            keys,
        })
    }

    fn required<'n>(&mut self, fields: &mut Fields<'n>, name: &'static str) -> Option<&'n Node> {
        let found = fields.take(name);
        if let Some(field) = found {
            self.spots.insert(name.to_owned(), field.node.spot);
            return Some(&field.node);
        }
        fields.lacking.push(name);
        None
    }

    fn text<'n>(&mut self, what: &str, node: &'n Node) -> Option<&'n str> {
        self.spots.entry(what.to_owned()).or_insert(node.spot);
        match &node.value {
            Value::Scalar { text, .. } if !node.value.is_nothing() => Some(text),
            value => {
                self.problem(
                    node.spot,
                    format!("`{what}` must be text; here is {}", value.noun()),
                    format!("write `{what}: TEXT`"),
                );
                None
            }
        }
    }

    /// A name of our own: it becomes part of column names.
    fn name(&mut self, what: &str, node: &Node) -> Option<String> {
        let text = self.text(what, node)?;
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let holds = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if starts && holds && text.len() <= NAME_LEN_MAX && !text.contains("__") {
            return Some(text.to_owned());
        }
        let cure = format!("use letters, digits and single '_', a letter first, at most {NAME_LEN_MAX}");
        self.problem(node.spot, format!("{text:?} cannot be a name"), cure);
        None
    }

    /// The name of a column of the source: whatever the source calls it.
    fn column(&mut self, what: &str, node: &Node) -> Option<String> {
        let text = self.text(what, node)?;
        if text.is_empty() {
            self.problem(node.spot, format!("`{what}` is empty"), "name a column of the source");
            return None;
        }
        Some(text.to_owned())
    }

    fn parsed<T: FromStr<Err = TextError>>(&mut self, what: &str, node: &Node) -> Option<T> {
        let text = self.text(what, node)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(node.spot, format!("`{what}` {error}"), error.cure.clone());
                None
            }
        }
    }

    fn flag(&mut self, what: &str, node: &Node) -> Option<bool> {
        match &node.value {
            Value::Scalar { text, plain: true } if text == "true" => Some(true),
            Value::Scalar { text, plain: true } if text == "false" => Some(false),
            _ => {
                self.problem(
                    node.spot,
                    format!("`{what}` must be true or false"),
                    format!("write `{what}: true`"),
                );
                None
            }
        }
    }

    fn nulls(&mut self, node: &Node) -> Option<Nulls> {
        match self.text("nulls", node)? {
            "row" => Some(Nulls::Row),
            "last_non_null" => Some(Nulls::LastNonNull),
            text => {
                let cure = suggestion(text, "choices", ["row", "last_non_null"]);
                self.problem(node.spot, format!("`nulls` cannot be {text:?}"), cure);
                None
            }
        }
    }

    fn items<'n>(&mut self, what: &str, node: &'n Node) -> Vec<&'n Node> {
        match &node.value {
            Value::List(items) => items.iter().collect(),
            value => {
                self.problem(
                    node.spot,
                    format!("`{what}` must be a list; here is {}", value.noun()),
                    format!("write `{what}: [...]`"),
                );
                Vec::new()
            }
        }
    }

    fn names_by_name(&mut self, what: &str, node: &Node) -> BTreeMap<String, String> {
        let Value::Map(fields) = &node.value else {
            let message = format!("`{what}` must be a map; here is {}", node.value.noun());
            self.problem(node.spot, message, format!("write `{what}: {{key: column}}`"));
            return BTreeMap::new();
        };
        let mut names = BTreeMap::new();
        for field in fields {
            self.spots.insert(format!("{what}.{}", field.name), field.spot);
            if let Some(column) = self.column(&field.name, &field.node) {
                names.insert(field.name.clone(), column);
            }
        }
        names
    }

    /// Tags are a map, or a list of bare words.
    fn tags(&mut self, node: &Node) -> BTreeMap<String, String> {
        match &node.value {
            Value::List(items) => items
                .iter()
                .filter_map(|item| Some((self.text("tags", item)?.to_owned(), String::new())))
                .collect(),
            _ => self.names_by_name("tags", node),
        }
    }
}
