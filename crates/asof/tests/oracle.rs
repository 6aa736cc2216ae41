//! The law, word for word, in the slowest way: every spine row against every row of the view.
//! It knows nothing of Arrow, units, files or memory; `random` compares the operator with it.

/// A spine row: nothing matches a missing key or time.
pub struct SpineRow {
    pub keys: Vec<Option<String>>,
    pub time: Option<i64>,
}

/// A row of the view; its place in the list is its order of writing. Times count nanoseconds.
pub struct ViewRow {
    pub keys: Vec<Option<String>>,
    pub event: Option<i64>,
    /// None: nobody knows.
    pub created: Option<i64>,
    pub valid_to: Option<i64>,
    pub deleted: bool,
    pub values: Vec<Option<String>>,
    /// What windows aggregate.
    pub number: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
pub enum Known {
    Ignored,
    Row,
    At(i64),
}

#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub length: i64,
    pub inclusive: bool,
    pub label: bool,
}

#[derive(Debug)]
pub struct Question {
    pub max_age: Option<i64>,
    pub inclusive: bool,
    pub known: Known,
    pub last_non_null: bool,
    pub windows: Vec<Window>,
}

pub type Total = (i64, Option<f64>, Option<f64>, Option<f64>, Option<f64>);

#[derive(Debug, PartialEq)]
pub struct Answer {
    pub values: Vec<Option<String>>,
    pub event: Option<i64>,
    pub status: &'static str,
    /// Count, sum, mean, least, greatest of each window.
    pub windows: Vec<Total>,
}

pub fn answer(spine: &SpineRow, view: &[ViewRow], question: &Question) -> Answer {
    let features = view.first().map_or(0, |row| row.values.len());
    let candidates = candidates(spine, view, question);
    let young = |row: &&(usize, &ViewRow)| match (question.max_age, spine.time, row.1.event) {
        (Some(age), Some(time), Some(event)) => event >= time - age,
        _ => true,
    };
    let picked = greatest(candidates.iter().filter(young));
    let mut values = vec![None; features];
    for (feature, value) in values.iter_mut().enumerate() {
        let answers = |row: &&(usize, &ViewRow)| row.1.deleted || row.1.values[feature].is_some();
        let row = match question.last_non_null {
            true => greatest(candidates.iter().filter(young).filter(answers)),
            false => picked,
        };
        *value = row
            .filter(|row| !row.1.deleted)
            .and_then(|row| row.1.values[feature].clone());
    }
    let status = match picked {
        None if candidates.is_empty() => "NOT_FOUND",
        None => "OUTSIDE_MAX_AGE",
        Some((_, row)) if row.deleted => "DELETED",
        Some(_) if values.iter().all(Option::is_none) => "NULL_VALUE",
        Some(_) => "PRESENT",
    };
    let windows = question
        .windows
        .iter()
        .map(|window| aggregate(spine, view, question, *window))
        .collect();
    Answer {
        values,
        event: picked.and_then(|row| row.1.event),
        status,
        windows,
    }
}

fn same_keys(spine: &SpineRow, row: &ViewRow) -> bool {
    spine
        .keys
        .iter()
        .zip(&row.keys)
        .all(|(left, right)| left.is_some() && left == right)
}

/// The candidates but for `max_age`, with their order of writing.
fn candidates<'a>(spine: &SpineRow, view: &'a [ViewRow], question: &Question) -> Vec<(usize, &'a ViewRow)> {
    let Some(time) = spine.time else {
        return Vec::new();
    };
    let fits = |row: &ViewRow| {
        let Some(event) = row.event else {
            return false;
        };
        let past = if question.inclusive {
            event <= time
        } else {
            event < time
        };
        let valid = row.valid_to.is_none_or(|end| time < end);
        same_keys(spine, row) && past && valid && known(row, time, question.known)
    };
    view.iter().enumerate().filter(|(_, row)| fits(row)).collect()
}

fn known(row: &ViewRow, time: i64, known: Known) -> bool {
    match known {
        Known::Ignored => true,
        Known::Row => row.created.is_some_and(|created| created <= time),
        Known::At(at) => row.created.is_some_and(|created| created <= at),
    }
}

fn greatest<'a>(rows: impl Iterator<Item = &'a (usize, &'a ViewRow)>) -> Option<&'a (usize, &'a ViewRow)> {
    rows.max_by_key(|(written, row)| (row.event, row.created.unwrap_or(i64::MIN), *written))
}

fn aggregate(spine: &SpineRow, view: &[ViewRow], question: &Question, window: Window) -> Total {
    let Some(time) = spine.time else {
        return (0, None, None, None, None);
    };
    let inside = |row: &&ViewRow| {
        let Some(event) = row.event else {
            return false;
        };
        let in_window = if window.label {
            time <= event && event <= time + window.length
        } else {
            time - window.length <= event && (event < time || (window.inclusive && event == time))
        };
        let known_at = if window.label && matches!(question.known, Known::Row) {
            Known::Ignored
        } else {
            question.known
        };
        in_window && same_keys(spine, row) && known(row, time, known_at)
    };
    let numbers: Vec<f64> = view.iter().filter(inside).filter_map(|row| row.number).collect();
    if numbers.is_empty() {
        return (0, None, None, None, None);
    }
    let sum: f64 = numbers.iter().sum();
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (
        numbers.len() as i64,
        Some(sum),
        Some(sum / numbers.len() as f64),
        Some(least),
        Some(greatest),
    )
}
