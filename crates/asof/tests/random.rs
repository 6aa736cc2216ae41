//! Ten thousand random joins against the oracle: keys, ties, nulls, ages, known-at, units, files and queries, small limits.
//! A case is its number: `one_case(n)` runs it again. Numbers that once failed are run first, for ever.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray},
    compute::cast,
    datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit},
};
use drumlin_asof::{AsOfSpec, Feature, FeatureSource, KeyPair, KnownAt, Lookup, OnNullTime, Window, WindowFunction};
use drumlin_model::{Timestamp, feature::Nulls};

use crate::{
    kit,
    oracle::{self, Answer, Known, Question, SpineRow, ViewRow},
};

const CASES: u64 = 10_000;
/// One case in so many has a spine of a few thousand rows and a limit that cuts it into pieces.
const LARGE_EVERY: u64 = 100;
const LIMIT_BYTES: usize = 400_000;
/// Cases that found a fault, with what it was.
const REGRESSIONS: &[u64] = &[];

/// Numbers that depend on the seed alone (splitmix64, https://prng.di.unimi.it/splitmix64.c).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % below
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn maybe<T>(&mut self, null_in: u64, make: impl FnOnce(&mut Dice) -> T) -> Option<T> {
        if self.one_in(null_in) { None } else { Some(make(self)) }
    }
}

/// How keys look on both sides.
#[derive(Clone, Copy, Debug)]
enum KeyKind {
    Integer,
    Text,
    Float,
}

impl KeyKind {
    fn some(dice: &mut Dice) -> Vec<KeyKind> {
        let count = dice.roll(3) as usize;
        let kinds = [KeyKind::Integer, KeyKind::Text, KeyKind::Float];
        (0..count).map(|_| kinds[dice.roll(3) as usize]).collect()
    }
}

/// A generated case, as the oracle and as the operator see it.
struct Case {
    spine: Vec<SpineRow>,
    view: Vec<ViewRow>,
    question: Question,
    keys: Vec<KeyKind>,
    /// Nanoseconds in the unit of the times.
    unit: i64,
    has_created: bool,
    has_valid_to: bool,
    has_deleted: bool,
    large: bool,
}

impl Case {
    fn new(dice: &mut Dice, large: bool) -> Case {
        let keys = KeyKind::some(dice);
        let unit = [1_000_000_000, 1_000_000, 1_000, 1][dice.roll(4) as usize];
        let span = 2 + dice.roll(40);
        let spread = 1 + dice.roll(4);
        let has_created = dice.one_in(2);
        let has_valid_to = dice.one_in(4);
        let windowed = dice.one_in(4);
        let has_deleted = !windowed && dice.one_in(3);
        // Times lie on both sides of 1970, and ages and windows are whole microseconds.
        let time = |dice: &mut Dice| (dice.roll(span) as i64 - span as i64 / 2) * unit.max(1_000);
        let key = |dice: &mut Dice| dice.maybe(12, |dice| dice.roll(spread).to_string());
        let spine_rows = if large { 1_500 + dice.roll(2_000) } else { dice.roll(25) };
        let view_rows = dice.roll(if large { 120 } else { 40 });
        let spine = (0..spine_rows)
            .map(|_| SpineRow {
                keys: keys.iter().map(|_| key(dice)).collect(),
                time: dice.maybe(15, time),
            })
            .collect();
        let view = (0..view_rows)
            .map(|_| ViewRow {
                keys: keys.iter().map(|_| key(dice)).collect(),
                event: dice.maybe(15, time),
                created: if has_created { dice.maybe(15, time) } else { None },
                valid_to: if has_valid_to { dice.maybe(3, time) } else { None },
                deleted: has_deleted && dice.one_in(4),
                values: vec![
                    dice.maybe(3, |dice| dice.roll(1_000).to_string()),
                    dice.maybe(3, |dice| format!("v{}", dice.roll(1_000))),
                ],
                number: dice.maybe(5, |dice| (dice.roll(2_000) as f64 - 1_000.0) / 8.0),
            })
            .collect();
        let micro = unit.max(1_000);
        let length = |dice: &mut Dice| (1 + dice.roll(span) as i64) * micro;
        let question = Question {
            max_age: dice.maybe(2, length),
            inclusive: !dice.one_in(3),
            known: match dice.roll(3) {
                0 if has_created => Known::Row,
                1 if has_created => Known::At(time(dice)),
                _ => Known::Ignored,
            },
            last_non_null: dice.one_in(3),
            windows: (0..if windowed { 1 + dice.roll(2) } else { 0 })
                .map(|_| oracle::Window {
                    length: length(dice),
                    inclusive: dice.one_in(2),
                    label: dice.one_in(3),
                })
                .collect(),
        };
        Case {
            spine,
            view,
            question,
            keys,
            unit,
            has_created,
            has_valid_to,
            has_deleted,
            large,
        }
    }

    fn times(&self, times: impl Iterator<Item = Option<i64>>) -> ArrayRef {
        let unit = match self.unit {
            1_000_000_000 => TimeUnit::Second,
            1_000_000 => TimeUnit::Millisecond,
            1_000 => TimeUnit::Microsecond,
            _ => TimeUnit::Nanosecond,
        };
        let numbers: Int64Array = times.map(|time| time.map(|time| time / self.unit)).collect();
        cast(&numbers, &DataType::Timestamp(unit, Some("UTC".into()))).expect("times")
    }

    /// A key column; the spine's is one width, the view's another.
    fn key(&self, position: usize, texts: Vec<Option<&String>>, spine: bool) -> ArrayRef {
        let texts: ArrayRef = Arc::new(texts.into_iter().collect::<StringArray>());
        let data_type = match (self.keys[position], spine) {
            (KeyKind::Integer, true) => DataType::Int32,
            (KeyKind::Integer, false) => DataType::Int64,
            (KeyKind::Text, true) => DataType::Utf8,
            (KeyKind::Text, false) => DataType::Utf8View,
            (KeyKind::Float, true) => DataType::Float32,
            (KeyKind::Float, false) => DataType::Float64,
        };
        let column = cast(&texts, &data_type).expect("keys");
        if !matches!(self.keys[position], KeyKind::Float) || !spine {
            return column;
        }
        // The spine says zero with a sign.
        let floats = column.as_primitive::<arrow::datatypes::Float32Type>();
        Arc::new(floats.unary::<_, arrow::datatypes::Float32Type>(|value| if value == 0.0 { -0.0 } else { value }))
    }

    fn spine_batch(&self) -> RecordBatch {
        let numbers: Int64Array = (0..self.spine.len() as i64).collect();
        let mut columns: Vec<(String, ArrayRef)> = vec![("row".to_owned(), Arc::new(numbers))];
        for position in 0..self.keys.len() {
            let texts = self.spine.iter().map(|row| row.keys[position].as_ref()).collect();
            columns.push((format!("k{position}"), self.key(position, texts, true)));
        }
        columns.push(("t".to_owned(), self.times(self.spine.iter().map(|row| row.time))));
        batch(columns)
    }

    fn view_batch(&self) -> RecordBatch {
        let rows = &self.view;
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        for position in 0..self.keys.len() {
            let texts = rows.iter().map(|row| row.keys[position].as_ref()).collect();
            columns.push((format!("id{position}"), self.key(position, texts, false)));
        }
        columns.push(("e".to_owned(), self.times(rows.iter().map(|row| row.event))));
        let integers: Int64Array = rows
            .iter()
            .map(|row| {
                row.values[0]
                    .as_ref()
                    .map(|value| value.parse::<i64>().expect("a number"))
            })
            .collect();
        columns.push(("a".to_owned(), Arc::new(integers)));
        let texts: StringArray = rows.iter().map(|row| row.values[1].as_ref()).collect();
        columns.push(("b".to_owned(), Arc::new(texts)));
        let numbers: Float64Array = rows.iter().map(|row| row.number).collect();
        columns.push(("x".to_owned(), Arc::new(numbers)));
        columns.push(("c".to_owned(), self.times(rows.iter().map(|row| row.created))));
        columns.push(("v".to_owned(), self.times(rows.iter().map(|row| row.valid_to))));
        let deleted: BooleanArray = rows.iter().map(|row| Some(row.deleted)).collect();
        columns.push(("d".to_owned(), Arc::new(deleted)));
        batch(columns)
    }

    fn lookup(&self, source: FeatureSource) -> Lookup {
        let mut lookup = Lookup::new("view", "e", source);
        let pair = |position: usize| KeyPair {
            spine: format!("k{position}"),
            feature: format!("id{position}"),
        };
        lookup.keys = (0..self.keys.len()).map(pair).collect();
        lookup.created_time = self.has_created.then(|| "c".to_owned());
        lookup.valid_to = self.has_valid_to.then(|| "v".to_owned());
        lookup.deleted = self.has_deleted.then(|| "d".to_owned());
        lookup.max_age = self.question.max_age.map(|age| kit::length(age / 1_000));
        lookup.inclusive = self.question.inclusive;
        lookup.nulls = if self.question.last_non_null {
            Nulls::LastNonNull
        } else {
            Nulls::Row
        };
        lookup.features = vec![Feature::new("a"), Feature::new("b")];
        lookup.with_event_time = true;
        lookup.with_status = true;
        for (position, window) in self.question.windows.iter().enumerate() {
            for (name, function) in FUNCTIONS {
                lookup.windows.push(Window {
                    name: format!("{name}{position}"),
                    function,
                    column: Some("x".to_owned()),
                    length: kit::length(window.length / 1_000),
                    inclusive: window.inclusive,
                    label: window.label,
                    description: None,
                });
            }
        }
        lookup
    }
}

const FUNCTIONS: [(&str, WindowFunction); 5] = [
    ("count", WindowFunction::Count),
    ("sum", WindowFunction::Sum),
    ("mean", WindowFunction::Mean),
    ("least", WindowFunction::Min),
    ("greatest", WindowFunction::Max),
];

fn batch(columns: Vec<(String, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| Field::new(name, column.data_type().clone(), true))
        .collect();
    RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns.into_iter().map(|(_, column)| column).collect(),
    )
    .expect("a batch")
}

/// Cuts a batch at random places.
fn cut(dice: &mut Dice, batch: &RecordBatch, rows_max: u64) -> Vec<RecordBatch> {
    let mut cuts = Vec::new();
    let mut first = 0;
    while first < batch.num_rows() {
        let rows = (1 + dice.roll(rows_max) as usize).min(batch.num_rows() - first);
        cuts.push(batch.slice(first, rows));
        first += rows;
    }
    cuts
}

/// The result's rows as the oracle says them.
fn answers(result: &RecordBatch, windows: usize, unit: i64) -> Vec<Answer> {
    let column = |name: &str| result.column_by_name(name).expect("a column").clone();
    let text = |name: &str| cast(&column(name), &DataType::Utf8).expect("text");
    let (a, b, status) = (text("a"), text("b"), text("view__status"));
    let events = cast(&column("view__event_time"), &DataType::Int64).expect("times");
    let string = |array: &ArrayRef, row: usize| {
        let strings = array.as_string::<i32>();
        strings.is_valid(row).then(|| strings.value(row).to_string())
    };
    let float = |name: String, row: usize| {
        let column = column(&name);
        let floats = column.as_primitive::<Float64Type>();
        floats.is_valid(row).then(|| floats.value(row))
    };
    let one = |row: usize| Answer {
        values: vec![string(&a, row), string(&b, row)],
        event: events
            .is_valid(row)
            .then(|| events.as_primitive::<Int64Type>().value(row) * unit),
        status: oracle_status(&string(&status, row).expect("a status")),
        windows: (0..windows)
            .map(|window| {
                let count = column(&format!("count{window}"));
                let number = |name: &str| float(format!("{name}{window}"), row);
                (
                    count.as_primitive::<Int64Type>().value(row),
                    number("sum"),
                    number("mean"),
                    number("least"),
                    number("greatest"),
                )
            })
            .collect(),
    };
    (0..result.num_rows()).map(one).collect()
}

fn oracle_status(text: &str) -> &'static str {
    ["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE", "DELETED"]
        .into_iter()
        .find(|known| *known == text)
        .expect("a known status")
}

/// Runs a case and returns in how many pieces its spine was joined.
async fn one_case(number: u64) -> u64 {
    let mut dice = Dice(number);
    let case = Case::new(&mut dice, number.is_multiple_of(LARGE_EVERY));
    let context = kit::context(case.large.then_some(LIMIT_BYTES));
    let (spine, view) = (case.spine_batch(), case.view_batch());
    let files = dice.one_in(2);
    let view_batches = cut(&mut dice, &view, 12);
    let source = if files {
        let group_rows = 1 + dice.roll(6) as usize;
        FeatureSource::Parquet(kit::parquet(&view.schema(), &view_batches, group_rows, &[]).await)
    } else {
        FeatureSource::Query(Box::new(kit::scan(&context, &view.schema(), view_batches)))
    };
    let schema: SchemaRef = spine.schema();
    let spine_batches = cut(&mut dice, &spine, if case.large { 300 } else { 9 });
    let mut spec = AsOfSpec::new("t");
    spec.on_null_time = OnNullTime::Keep;
    spec.threads = 1 + dice.roll(3) as usize;
    spec.known_at = match case.question.known {
        Known::Ignored => KnownAt::None,
        Known::Row => KnownAt::Row,
        Known::At(time) => KnownAt::Time(Timestamp::from_micros(time / 1_000)),
    };
    spec.lookups = vec![case.lookup(source)];
    let plan = kit::scan(&context, &schema, spine_batches);
    let what = format!(
        "case {number}: {:?}, keys {:?}, unit {}, files {files}",
        case.question, case.keys, case.unit
    );
    let (result, counts) = kit::run(&context, plan, spec)
        .await
        .unwrap_or_else(|error| panic!("{what}: {error:?}"));
    assert_eq!(result.num_rows(), spine.num_rows(), "{what}");
    for (position, column) in spine.columns().iter().enumerate() {
        assert_eq!(
            result.column(position).to_data(),
            column.to_data(),
            "{what}: the spine is untouched"
        );
    }
    let found = answers(&result, case.question.windows.len(), case.unit);
    for (row, (found, spine)) in found.iter().zip(&case.spine).enumerate() {
        let mut wanted = oracle::answer(spine, &case.view, &case.question);
        wanted.values.resize(2, None);
        assert_eq!(
            *found, wanted,
            "{what}: spine row {row}, {:?} at {:?}",
            spine.keys, spine.time
        );
    }
    let nulls = case.view.iter().filter(|row| row.event.is_none()).count() as u64;
    if case.spine.is_empty() {
        return 0;
    }
    assert_eq!(
        counts.views[0].null_event_times, nulls,
        "{what}: rows without an event time are counted"
    );
    counts.spine_pieces
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_random_joins_agree_with_the_oracle() {
    for number in REGRESSIONS {
        one_case(*number).await;
    }
    let mut in_pieces = 0;
    for number in 0..CASES {
        in_pieces += u64::from(one_case(number).await > 1);
    }
    assert!(
        in_pieces > CASES / LARGE_EVERY / 2,
        "only {in_pieces} spines did not fit their limit"
    );
}
