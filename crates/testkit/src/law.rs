//! The law of the as-of join: its cases as their files say them. The format is in `crates/asof/tests/cases/README.md`.
//! Nothing here knows how a case is run: the tests of the operator, of the feature store and of the program each do that.

use std::path::Path;

use crate::yaml::{self, Node, Value};

pub struct CaseFile {
    pub law: u32,
    pub title: String,
    pub answer: String,
    pub kind: String,
    pub tables: Vec<(String, TableText)>,
    pub requests: Vec<Request>,
    /// What a case of kind `online` asks instead.
    pub online: Option<Online>,
}

/// Rows of the view's table are written one after the other; then the online store is read.
pub struct Online {
    pub view: View,
    pub reads: Vec<Read>,
    /// How many rows the offline table keeps.
    pub offline_rows: u64,
}

pub struct Read {
    pub now: String,
    pub key: Vec<String>,
    pub features: Vec<(String, String)>,
    pub status: String,
}

pub enum TableText {
    Rows(String),
    Sql(String),
}

pub struct Request {
    pub name: String,
    pub spine: String,
    pub time: String,
    pub known_at: Option<String>,
    pub keep_null_times: bool,
    pub memory_limit_mb: Option<usize>,
    pub views: Vec<View>,
    pub expected: Expected,
    pub notices: Vec<String>,
}

pub enum Expected {
    Rows(String),
    /// A query over the result, and its rows.
    Summary {
        sql: String,
        rows: String,
    },
    /// What the error says.
    Error(String),
}

pub struct View {
    pub view: String,
    pub prefix: Option<String>,
    /// The spine's column and the view's.
    pub keys: Vec<(String, String)>,
    pub event_time: String,
    pub created_time: Option<String>,
    pub valid_to: Option<String>,
    pub tombstone: Option<String>,
    pub max_age: Option<String>,
    pub exclusive: bool,
    pub last_non_null: bool,
    pub features: Vec<String>,
    pub windows: Vec<Window>,
    pub with_event_time: bool,
    pub status: bool,
    /// Tables whose rows were appended to the view later.
    pub appended: Vec<String>,
}

pub struct Window {
    pub name: String,
    pub function: String,
    pub column: Option<String>,
    pub length: String,
    pub inclusive: bool,
    pub label: bool,
}

/// A table as its text has it: the head's `name: type`, then rows of cells between bars. None is a cell that says `null`.
pub struct Grid {
    pub columns: Vec<(String, Option<String>)>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl Grid {
    pub fn parse(text: &str) -> Grid {
        let mut lines = text
            .lines()
            .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
        let head = lines.next().expect("a table has a head");
        let columns: Vec<_> = head
            .iter()
            .map(|column| match column.split_once(':') {
                Some((name, kind)) => (name.trim().to_owned(), Some(kind.trim().to_owned())),
                None => ((*column).to_owned(), None),
            })
            .collect();
        let cell = |text: &str| (text != "null").then(|| text.to_owned());
        let rows: Vec<Vec<Option<String>>> = lines.map(|line| line.into_iter().map(cell).collect()).collect();
        for row in &rows {
            assert_eq!(row.len(), columns.len(), "a row has as many cells as the head: {row:?}");
        }
        Grid { columns, rows }
    }
}

/// Every case of the law and the name of its file, in the order of their numbers.
pub fn cases() -> Vec<(String, CaseFile)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../asof/tests/cases");
    let entries = std::fs::read_dir(folder).expect("the folder of cases");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, CaseFile::parse(&std::fs::read_to_string(path).expect("text")))
    };
    paths.iter().map(read).collect()
}

impl CaseFile {
    pub fn parse(text: &str) -> CaseFile {
        let mut map = Map::new(&yaml::document(text));
        let tables = map
            .list_of_fields("tables")
            .into_iter()
            .map(|(name, node)| (name, table_text(&node)))
            .collect();
        let requests = map.nodes("requests").iter().map(request).collect();
        let case = CaseFile {
            law: map.text("law").parse().expect("a number"),
            title: map.text("title"),
            answer: map.text("answer"),
            kind: map.text("kind"),
            tables,
            requests,
            online: map.take("reads").map(|reads| online(&mut map, &reads)),
        };
        assert_eq!(
            case.kind == "online",
            case.online.is_some(),
            "reads are of the online store"
        );
        map.nothing_left();
        case
    }
}

fn table_text(node: &Node) -> TableText {
    match &node.value {
        Value::Scalar(text) => TableText::Rows(text.clone()),
        _ => TableText::Sql(Map::new(node).text("sql")),
    }
}

fn online(map: &mut Map, reads: &Node) -> Online {
    let Value::List(reads) = &reads.value else {
        panic!("reads is a list");
    };
    let views = map.nodes("views");
    assert_eq!(views.len(), 1, "an online case has one view");
    Online {
        view: view(&views[0]),
        reads: reads.iter().map(read).collect(),
        offline_rows: map.text("offline_rows").parse().expect("a number"),
    }
}

fn read(node: &Node) -> Read {
    let mut map = Map::new(node);
    let features = map.list_of_fields("features");
    let read = Read {
        now: map.text("now"),
        key: map.texts("key"),
        features: features
            .iter()
            .map(|(name, value)| (name.clone(), scalar(value)))
            .collect(),
        status: map.text("status"),
    };
    map.nothing_left();
    read
}

fn request(node: &Node) -> Request {
    let mut map = Map::new(node);
    let rows = map.optional("rows").map(Expected::Rows);
    let summary = map.optional("summary").map(|sql| Expected::Summary {
        sql,
        rows: map.text("summary_rows"),
    });
    let error = map.optional("error").map(Expected::Error);
    let request = Request {
        name: map.text("name"),
        spine: map.text("spine"),
        time: map.text("time"),
        known_at: map.optional("known_at"),
        keep_null_times: map.optional("on_null_time").is_some_and(|text| text == "keep"),
        memory_limit_mb: map
            .optional("memory_limit_mb")
            .map(|text| text.parse().expect("a number")),
        views: map.nodes("views").iter().map(view).collect(),
        expected: rows
            .or(summary)
            .or(error)
            .expect("a request expects rows, a summary or an error"),
        notices: map.optional("notice").into_iter().collect(),
    };
    map.nothing_left();
    request
}

fn view(node: &Node) -> View {
    let mut map = Map::new(node);
    let view = View {
        view: map.text("view"),
        prefix: map.optional("prefix"),
        keys: map.keys(),
        event_time: map.text("event_time"),
        created_time: map.optional("created_time"),
        valid_to: map.optional("valid_to"),
        tombstone: map.optional("tombstone"),
        max_age: map.optional("max_age"),
        exclusive: map.optional("inclusive").is_some_and(|text| text == "false"),
        last_non_null: map.optional("nulls").is_some_and(|text| text == "last_non_null"),
        features: map.texts("features"),
        windows: map.nodes("windows").iter().map(window).collect(),
        with_event_time: map.flag("with_event_time"),
        status: map.flag("status"),
        appended: map.texts("appended"),
    };
    map.nothing_left();
    view
}

fn window(node: &Node) -> Window {
    let mut map = Map::new(node);
    let window = Window {
        name: map.text("name"),
        function: map.text("function"),
        column: map.optional("column"),
        length: map.text("length"),
        inclusive: map.flag("inclusive"),
        label: map.flag("label"),
    };
    map.nothing_left();
    window
}

/// A map whose fields are taken out one by one, so that what is left over is a mistake in the file.
struct Map {
    fields: Vec<(String, Node)>,
}

impl Map {
    fn new(node: &Node) -> Map {
        let Value::Map(fields) = &node.value else {
            panic!("line {}: a map is wanted", node.line);
        };
        Map { fields: fields.clone() }
    }

    fn take(&mut self, name: &str) -> Option<Node> {
        let position = self.fields.iter().position(|(field, _)| field == name)?;
        Some(self.fields.remove(position).1)
    }

    fn optional(&mut self, name: &str) -> Option<String> {
        self.take(name).map(|node| scalar(&node))
    }

    fn text(&mut self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| panic!("{name} is wanted"))
    }

    fn flag(&mut self, name: &str) -> bool {
        self.optional(name).is_some_and(|text| text == "true")
    }

    fn nodes(&mut self, name: &str) -> Vec<Node> {
        match self.take(name).map(|node| node.value) {
            None => Vec::new(),
            Some(Value::List(nodes)) => nodes,
            Some(_) => panic!("{name} is a list"),
        }
    }

    fn texts(&mut self, name: &str) -> Vec<String> {
        self.nodes(name).iter().map(scalar).collect()
    }

    fn list_of_fields(&mut self, name: &str) -> Vec<(String, Node)> {
        self.take(name).map_or_else(Vec::new, |node| Map::new(&node).fields)
    }

    /// A list of names that are the same on both sides, or a map from the spine's to the view's.
    fn keys(&mut self) -> Vec<(String, String)> {
        let Some(node) = self.take("keys") else {
            return Vec::new();
        };
        match &node.value {
            Value::List(nodes) => nodes.iter().map(|node| (scalar(node), scalar(node))).collect(),
            _ => Map::new(&node)
                .fields
                .iter()
                .map(|(spine, view)| (spine.clone(), scalar(view)))
                .collect(),
        }
    }

    fn nothing_left(&self) {
        let left: Vec<&String> = self.fields.iter().map(|(name, _)| name).collect();
        assert!(left.is_empty(), "nobody reads {left:?}");
    }
}

fn scalar(node: &Node) -> String {
    let Value::Scalar(text) = &node.value else {
        panic!("line {}: a single value is wanted", node.line);
    };
    text.clone()
}
