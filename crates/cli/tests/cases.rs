//! Every case of the law, from its file, through the program: tables are made, definitions applied, training sets created,
//! rows served, as a person would do it. `crates/asof` and `crates/features` run the same files through the libraries.

use std::{fs, path::Path, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, RecordBatch},
    compute::{cast, concat_batches},
    datatypes::{DataType, Field, TimeUnit},
    util::display::{ArrayFormatter, FormatOptions},
};
use drumlin_testkit::law::{self, CaseFile, Expected, Request, TableText, View};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use serde_json::Value;

use crate::support::{Place, Ran};

#[path = "../../asof/tests/table.rs"]
mod table;

use table::Table;

/// Where definitions of a request stand; each request writes its own.
const DEFINITIONS: &str = "features/case.yaml";
/// The service that a request's views make up.
const SERVICE: &str = "asked";
/// The commit before rows were appended.
const BEFORE: &str = "before";

/// A case in a repository of its own.
struct Scene<'a> {
    case: &'a CaseFile,
    place: Place,
    appended: bool,
}

/// What a request gave: the training set as the program describes it.
struct Made {
    created: Value,
    rows: RecordBatch,
    file: String,
}

#[test]
fn every_case_of_the_law_is_answered_by_the_program() {
    let cases = law::cases();
    assert_eq!(cases.len(), 38);
    for (name, case) in &cases {
        println!("case {}: {}", case.law, case.title);
        let mut scene = Scene {
            case,
            place: Place::repository(),
            appended: false,
        };
        match &case.online {
            Some(_) => scene.serve(name),
            None => scene.train(name),
        }
    }
}

impl Scene<'_> {
    fn train(&mut self, name: &str) {
        let sets: Vec<&str> = self.case.tables.iter().map(|(table, _)| table.as_str()).collect();
        for table in &sets {
            self.keep(table);
        }
        self.place.ok(&["add", "raw"]);
        self.place.ok(&["commit", "-m", "the tables of the case, as files"]);
        for table in sets.iter().filter(|table| self.is_a_table(table)) {
            self.place
                .ok(&["table", "create", table, "--from", &format!("raw/{table}.parquet")]);
        }
        for (number, request) in self.case.requests.iter().enumerate() {
            let what = format!("{name}, {:?} (the law: {})", request.name, self.case.answer);
            match (&request.expected, self.ask(number, request)) {
                (Expected::Rows(rows), Ok(made)) => {
                    compare(&made.rows, &Table::parse(rows), &what);
                    for notice in &request.notices {
                        let said = made.created["notices"].as_array().expect("a list");
                        let times = said.iter().filter(|said| *said == notice.as_str()).count();
                        assert_eq!(times, 1, "{what}: said {said:?}");
                    }
                }
                (Expected::Summary { sql, rows }, Ok(made)) => {
                    let from = format!("from {:?}", made.file);
                    let query = sql.replace("from result", &from);
                    compare(&self.query(&query), &Table::parse(rows), &what);
                }
                (Expected::Error(text), Err(ran)) => {
                    let said = ran.err.replace('`', "");
                    assert!(said.contains(text.as_str()), "{what}: {}", ran.err);
                    assert_eq!(ran.code, Some(1), "{what}: {}", ran.err);
                    assert!(said.contains("hint: "), "an error says what to do: {said}");
                }
                (_, Ok(made)) => panic!("{what}: an error is wanted, not {:?}", made.rows),
                (_, Err(ran)) => panic!("{what}: {}", ran.err),
            }
        }
        self.rebuilds_alike();
    }

    /// Writes a table of the case to `raw/`.
    fn keep(&self, table: &str) {
        let file = format!("raw/{table}.parquet");
        fs::create_dir_all(self.place.file("raw")).expect("a folder");
        match self.text(table) {
            TableText::Rows(text) if self.is_a_table(table) => {
                write_parquet(&self.place.file(&file), &Table::parse(text).batch());
            }
            TableText::Rows(text) => write_parquet(&self.place.file(&file), &counted(&Table::parse(text).batch())),
            TableText::Sql(query) => {
                self.place
                    .ok(&["sql", query, "--format", "parquet", "--output", &file, "--quiet"]);
            }
        }
    }

    fn text(&self, table: &str) -> &TableText {
        let found = self.case.tables.iter().find(|(name, _)| name == table);
        &found.expect("a table of the case").1
    }

    /// Tables keep instants in microseconds, in UTC: times of other zones and units stay numbers in files, which queries cast.
    fn is_a_table(&self, table: &str) -> bool {
        let TableText::Rows(text) = self.text(table) else {
            return true;
        };
        let plain = |data_type: &DataType| match data_type {
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => zone.as_ref() == "UTC",
            DataType::Timestamp(..) => false,
            _ => true,
        };
        let table = Table::parse(text);
        table.columns.iter().all(|(_, kind)| kind.as_ref().is_none_or(plain))
    }

    /// A query for a table that stays a file.
    fn casting(&self, table: &str) -> String {
        let TableText::Rows(text) = self.text(table) else {
            panic!("a query's rows make a table")
        };
        let columns = Table::parse(text).columns;
        let columns = columns.into_iter().map(|(name, kind)| match kind {
            Some(kind @ DataType::Timestamp(..)) => format!("arrow_cast({name}, '{}') AS {name}", type_text(&kind)),
            _ => name,
        });
        let columns: Vec<String> = columns.collect();
        format!("SELECT {} FROM \"raw/{table}.parquet\"", columns.join(", "))
    }

    /// Applies the request's definitions and makes its training set.
    fn ask(&mut self, number: usize, request: &Request) -> Result<Made, Ran> {
        let place = &self.place;
        place.write(DEFINITIONS, &self.definitions(&request.views));
        let applied = place.run(&["apply"]);
        if applied.code != Some(0) {
            return Err(applied);
        }
        for table in request.views.iter().flat_map(|view| {
            let of_view = |later| (view.view.clone(), later);
            view.appended.iter().map(of_view)
        }) {
            place.ok(&["tag", "create", BEFORE]);
            let file = format!("raw/{}.parquet", table.1);
            place.ok(&["table", "append", &table.0, "--from", &file]);
            self.appended = true;
        }
        let spine = match self.is_a_table(&request.spine) {
            true => request.spine.clone(),
            false => self.casting(&request.spine),
        };
        let name = format!("set{number}");
        let memory = request.memory_limit_mb.map(|limit| format!("{limit}MiB"));
        let mut words = vec!["train", "create", &name, "--json", "--service", SERVICE];
        words.extend(["--spine", &spine, "--time", &request.time]);
        words.extend(["--known-at", request.known_at.as_deref().unwrap_or("none")]);
        let views = &request.views;
        let flags = [
            (request.keep_null_times, "--keep-null-times"),
            (views.iter().any(|view| view.status), "--with-status"),
            (views.iter().any(|view| view.with_event_time), "--with-event-time"),
        ];
        words.extend(flags.iter().filter(|(wanted, _)| *wanted).map(|(_, flag)| *flag));
        if let Some(memory) = &memory {
            words.extend(["--memory", memory]);
        }
        if self.appended && views.iter().all(|view| view.appended.is_empty()) {
            words.extend(["--at", BEFORE]);
        }
        let ran = place.run(&words);
        if ran.code != Some(0) {
            words.retain(|word| *word != "--json");
            return Err(place.run(&words));
        }
        let created: Value = serde_json::from_str(&ran.out).expect("JSON");
        let part = created["set"]["parts"][0]["file"].as_str().expect("a part");
        let file = format!("training/{name}/{part}");
        place.ok(&["restore", &format!("training/{name}")]);
        Ok(Made {
            rows: read_parquet(&place.file(&file)),
            created,
            file,
        })
    }

    /// An entity and a view for each view of the request, and a service of them all.
    fn definitions(&self, views: &[View]) -> String {
        let mut documents: Vec<String> = Vec::new();
        let mut uses = String::new();
        for view in views {
            for document in [self.entity(view), self.view(view)] {
                if !documents.contains(&document) {
                    documents.push(document);
                }
            }
            let alias = view
                .prefix
                .as_ref()
                .map_or(String::new(), |prefix| format!(", as: {prefix}"));
            let keys: Vec<String> = view.keys.iter().map(|(spine, key)| format!("{key}: {spine}")).collect();
            uses += &format!("  - {{view: {}{alias}, keys: {{{}}}}}\n", view.view, keys.join(", "));
        }
        documents.retain(|document| !document.is_empty());
        documents.push(format!("kind: feature_service\nname: {SERVICE}\nviews:\n{uses}"));
        documents.join("---\n")
    }

    /// Nothing for a view without a key.
    fn entity(&self, view: &View) -> String {
        let keys: Vec<String> = view
            .keys
            .iter()
            .map(|(_, key)| format!("{{name: {key}, type: {}}}", self.key_type(&view.view, key)))
            .collect();
        match keys.is_empty() {
            true => String::new(),
            false => format!("kind: entity\nname: of_{}\nkeys: [{}]\n", view.view, keys.join(", ")),
        }
    }

    fn key_type(&self, table: &str, key: &str) -> &'static str {
        let TableText::Rows(text) = self.text(table) else {
            return "int64";
        };
        let columns = Table::parse(text).columns;
        let column = columns
            .into_iter()
            .find(|(name, _)| name == key)
            .expect("the key's column");
        match column.1.expect("a type") {
            DataType::Int64 => "int64",
            DataType::Int32 => "int32",
            DataType::Float64 => "float64",
            DataType::Utf8 => "string",
            other => panic!("no case has a key of {other}"),
        }
    }

    fn view(&self, view: &View) -> String {
        let source = match self.is_a_table(&view.view) {
            true => format!("{{table: {}}}", view.view),
            false => format!("\n  sql: >-\n    {}", self.casting(&view.view)),
        };
        let entities = if view.keys.is_empty() {
            String::new()
        } else {
            format!("of_{}", view.view)
        };
        let mut text = format!(
            "kind: feature_view\nname: {}\nentities: [{entities}]\nsource: {source}\nevent_time: {}\nfeatures: [{}]\n",
            view.view,
            view.event_time,
            view.features.join(", ")
        );
        let options = [
            ("created_time", &view.created_time),
            ("valid_to", &view.valid_to),
            ("tombstone", &view.tombstone),
            ("max_age", &view.max_age),
        ];
        for (name, value) in options {
            text += &value
                .as_ref()
                .map_or(String::new(), |value| format!("{name}: {value}\n"));
        }
        if view.exclusive {
            text += "inclusive: false\n";
        }
        if view.last_non_null {
            text += "nulls: last_non_null\n";
        }
        for (place, window) in view.windows.iter().enumerate() {
            let column = window
                .column
                .as_ref()
                .map_or(String::new(), |name| format!(", column: {name}"));
            text += if place == 0 { "windows:\n" } else { "" };
            text += &format!(
                "  - {{name: {}, function: {}{column}, length: {}, inclusive: {}, label: {}}}\n",
                window.name, window.function, window.length, window.inclusive, window.label
            );
        }
        text
    }

    /// Whatever came later, every set is built again from what pins it, to the byte.
    fn rebuilds_alike(&self) {
        for set in self.place.json(&["train", "list"]).as_array().expect("a list") {
            let name = set["name"].as_str().expect("a name");
            assert_eq!(self.place.json(&["train", "rebuild", name])["equal"], true, "{name}");
        }
    }

    fn query(&self, query: &str) -> RecordBatch {
        let file = self.place.file("answer.parquet");
        let words = ["sql", query, "--format", "parquet", "--output", "answer.parquet"];
        self.place.ok(&words);
        read_parquet(&file)
    }

    /// Writes the rows one after the other, each reaching the online store before the next.
    fn serve(&mut self, name: &str) {
        let online = self.case.online.as_ref().expect("a case of the online store");
        let (place, table) = (&self.place, online.view.view.as_str());
        let TableText::Rows(text) = self.text(table) else {
            panic!("an online case says its rows");
        };
        let rows = Table::parse(text).batch();
        fs::create_dir_all(place.file("raw")).expect("a folder");
        for row in 0..rows.num_rows() {
            write_parquet(&place.file("raw/row.parquet"), &rows.slice(row, 1));
            let verb = if row == 0 { "create" } else { "append" };
            place.ok(&["table", verb, table, "--from", "raw/row.parquet"]);
            if row == 0 {
                place.write(DEFINITIONS, &self.definitions(std::slice::from_ref(&online.view)));
                place.ok(&["apply"]);
            }
            place.ok(&["online", "materialize"]);
        }
        for read in &online.reads {
            let keys = online.view.keys.iter().zip(&read.key);
            let keys: Vec<String> = keys.map(|((key, _), value)| format!("{key}={value}")).collect();
            let mut words = vec!["online", "get", SERVICE, "--now", &read.now];
            words.extend(keys.iter().map(String::as_str));
            let answer = &place.json(&words)[0]["features"];
            assert_eq!(
                answer[format!("{table}__status")],
                read.status.as_str(),
                "{name}: {answer}"
            );
            for (feature, wanted) in &read.features {
                assert_eq!(answer[feature].to_string(), *wanted, "{name}: {feature}");
            }
            place.ok(&["verify", "--now", &read.now]);
        }
        let counted = self.query(&format!("SELECT count(*) AS rows FROM {table}"));
        compare(&counted, &Table::parse(&format!("rows\n{}", online.offline_rows)), name);
    }
}

/// The rows with times as numbers.
fn counted(batch: &RecordBatch) -> RecordBatch {
    let schema = batch.schema();
    let column = |(field, array): (&Arc<Field>, &ArrayRef)| match field.data_type() {
        DataType::Timestamp(..) => (field.name().clone(), cast(array, &DataType::Int64).expect("a number")),
        _ => (field.name().clone(), Arc::clone(array)),
    };
    let columns = schema.fields().iter().zip(batch.columns()).map(column);
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// A type as `arrow_cast` reads it.
fn type_text(kind: &DataType) -> String {
    let DataType::Timestamp(unit, zone) = kind else {
        panic!("{kind} is no time")
    };
    match zone {
        Some(zone) => format!("Timestamp({unit:?}, Some(\"{zone}\"))"),
        None => format!("Timestamp({unit:?}, None)"),
    }
}

fn write_parquet(path: &Path, batch: &RecordBatch) {
    let file = fs::File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(batch).expect("written");
    writer.close().expect("closed");
}

fn read_parquet(path: &Path) -> RecordBatch {
    let file = fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let schema = Arc::clone(reader.schema());
    let batches: Vec<_> = reader
        .build()
        .expect("a reader")
        .collect::<Result<_, _>>()
        .expect("rows");
    concat_batches(&schema, &batches).expect("one batch")
}

/// Names, types where they are given, and every cell. The program gives status and event time for all views or none, so those
/// that a case does not ask for may be there too.
fn compare(result: &RecordBatch, wanted: &Table, what: &str) {
    let schema = result.schema();
    let asked: Vec<&str> = wanted.columns.iter().map(|(name, _)| name.as_str()).collect();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let extra = |name: &str| name.ends_with("__status") || name.ends_with("__event_time");
    let given: Vec<&str> = names.filter(|name| asked.contains(name) || !extra(name)).collect();
    assert_eq!(given, asked, "{what}");
    assert_eq!(result.num_rows(), wanted.rows.len(), "{what}: {result:?}");
    for (position, (name, kind)) in wanted.columns.iter().enumerate() {
        let column = result.column_by_name(name).expect("found above");
        if let Some(kind) = kind {
            assert_eq!(column.data_type(), kind, "{what}: the type of {name}");
        }
        let cells = wanted.column(position, column.data_type());
        assert_eq!(shown(column), shown(&cells), "{what}: column {name}");
    }
}

fn shown(array: &ArrayRef) -> Vec<String> {
    let options = FormatOptions::default().with_null("null");
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options).expect("text");
    (0..array.len()).map(|row| formatter.value(row).to_string()).collect()
}
