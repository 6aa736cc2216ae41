//! One story, in which every verb speaks once or more. The text of each step, its JSON and every help page are held as
//! snapshots, and each JSON is held against the published schema of its verb.
//! `INSTA_UPDATE=always cargo test -p drumlin-cli story` writes the snapshots anew.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use drumlin_model::Verb;
use serde_json::Value;

use crate::{
    schema::Schema,
    support::{Place, Ran},
};

/// A step of the story.
enum Step {
    /// A file is written.
    Write(&'static str, &'static str),
    /// The program is run with these words, and stdin.
    Run(&'static [&'static str], &'static str),
}

use Step::{Run, Write as File};

const FLIGHTS: &str =
    "id,carrier,at,delay\n1,UA,2024-01-01T06:00:00Z,4\n2,AA,2024-01-01T07:00:00Z,-2\n3,UA,2024-01-01T09:00:00Z,11\n";
const MORE: &str = "id,carrier,at,delay\n4,AA,2024-01-02T06:00:00Z,0\n";
const CORRECTED: &str = "id,carrier,at,delay\n1,UA,2024-01-01T06:00:00Z,5\n";
const WEATHER: &str =
    "carrier,at,wind\nUA,2024-01-01T05:30:00Z,12\nUA,2024-01-01T08:30:00Z,18\nAA,2024-01-01T05:00:00Z,7\n";
const FEATURES: &str = "kind: entity\nname: carrier\nkeys: [{name: carrier, type: string}]\n---\nkind: feature_view\nname: wind\n\
                        description: Wind where the carrier flies\nentity: carrier\nsource: {table: weather}\nevent_time: at\nonline: true\n---\n\
                        kind: feature_service\nname: delay\nviews: [wind]\n";

const STORY: &[Step] = &[
    Run(&["init"], ""),
    Run(&["config", "set", "threads", "2"], ""),
    Run(&["config", "set", "color", "never"], ""),
    Run(&["config", "list"], ""),
    Run(&["config", "get", "color"], ""),
    Run(&["config", "unset", "color"], ""),
    File("raw/flights.csv", FLIGHTS),
    File("raw/weather.csv", WEATHER),
    Run(&["status"], ""),
    Run(&["add", "raw"], ""),
    Run(&["diff", "--staged"], ""),
    Run(&["commit", "-m", "raw data"], ""),
    Run(&["clone", ".", "../copy"], ""),
    Run(
        &["table", "create", "flights", "--from", "raw/flights.csv", "--key", "id"],
        "",
    ),
    Run(&["table", "create", "weather", "--from", "raw/weather.csv@main"], ""),
    Run(&["tag", "create", "v1"], ""),
    File("more.csv", MORE),
    File("corrected.csv", CORRECTED),
    Run(&["table", "append", "flights", "--from", "more.csv"], ""),
    Run(&["table", "upsert", "flights", "--from", "corrected.csv"], ""),
    Run(&["table", "delete", "flights", "--where", "id = 2", "--dry-run"], ""),
    Run(&["table", "delete", "flights", "--where", "id = 2"], ""),
    Run(&["table", "list"], ""),
    Run(&["table", "show", "flights"], ""),
    Run(&["table", "history", "flights"], ""),
    Run(
        &[
            "sql",
            "SELECT carrier, count(*) AS flights FROM flights@v1 GROUP BY carrier ORDER BY carrier",
        ],
        "",
    ),
    File("features/delay.yaml", FEATURES),
    Run(&["apply", "--dry-run"], ""),
    Run(&["apply"], ""),
    Run(&["feature", "list"], ""),
    Run(&["feature", "show", "wind"], ""),
    Run(&["feature", "search", "wind"], ""),
    Run(
        &[
            "train",
            "create",
            "delays",
            "--spine",
            "flights",
            "--time",
            "at",
            "--service",
            "delay",
            "--with-status",
        ],
        "",
    ),
    Run(&["train", "list"], ""),
    Run(&["train", "show", "delays"], ""),
    Run(&["train", "rebuild", "delays"], ""),
    Run(&["online", "materialize"], ""),
    Run(&["online", "get", "delay", "carrier=UA"], ""),
    Run(
        &["online", "push", "wind"],
        "{\"carrier\": \"AA\", \"event_time\": \"2024-01-01T09:00:00Z\", \"wind\": 9}\n",
    ),
    Run(&["online", "list"], ""),
    Run(&["verify"], ""),
    Run(&["checkout", "-b", "storm"], ""),
    File("weather.csv", "carrier,at,wind\nUA,2024-01-01T05:30:00Z,30\n"),
    Run(&["table", "overwrite", "weather", "--from", "weather.csv"], ""),
    Run(
        &[
            "train",
            "create",
            "delays",
            "--spine",
            "flights",
            "--time",
            "at",
            "--service",
            "delay",
            "--with-status",
            "--replace",
        ],
        "",
    ),
    Run(&["train", "diff", "delays@main", "delays@storm"], ""),
    Run(&["diff", "main", "storm"], ""),
    Run(&["checkout", "main"], ""),
    Run(&["merge", "storm"], ""),
    Run(&["undo"], ""),
    Run(&["cherry-pick", "storm~1"], ""),
    Run(&["revert", "main"], ""),
    Run(&["reset", "main~1", "--dry-run"], ""),
    Run(&["reset", "main~1"], ""),
    Run(&["branch", "create", "old", "--at", "v1"], ""),
    Run(&["branch", "rename", "old", "older"], ""),
    Run(&["branch", "list"], ""),
    Run(&["branch", "delete", "older"], ""),
    Run(&["branch", "delete", "main"], ""),
    Run(&["tag", "list"], ""),
    Run(&["tag", "delete", "v1", "--dry-run"], ""),
    Run(&["tag", "delete", "v1"], ""),
    Run(&["show"], ""),
    Run(&["show", "raw@main"], ""),
    Run(&["show", "raw/flights.csv@main"], ""),
    Run(&["restore", "raw/flights.csv"], ""),
    Run(&["log", "-n", "3"], ""),
    Run(&["op", "log", "-n", "3"], ""),
    Run(&["lineage", "training/delays"], ""),
    Run(&["lineage", "raw/weather.csv", "--impact"], ""),
    Run(&["fsck"], ""),
    Run(&["show", "nowhere"], ""),
];

/// The verb of a step's words.
fn verb(words: &[&str]) -> Verb {
    let two = words[..words.len().min(2)].join(" ");
    Verb::parse(&two)
        .or_else(|| Verb::parse(words[0]))
        .unwrap_or_else(|| panic!("{words:?} is no verb"))
}

/// Plays the story, with `more` words at each step; gives what each step said.
fn play(more: &[&str]) -> Vec<(&'static [&'static str], Ran)> {
    let folder = Place::empty();
    let place = folder.below("repository");
    let mut said = Vec::new();
    for step in STORY {
        match step {
            File(name, text) => place.write(name, text),
            Run(words, input) => {
                let all = [*words, more].concat();
                let mut ran = place.run_with(&all, input);
                let folder = folder.path().to_string_lossy();
                ran.out = ran.out.replace(&*folder, "FOLDER");
                ran.err = ran.err.replace(&*folder, "FOLDER");
                said.push((*words, ran));
            }
        }
    }
    said
}

/// Gives names to what differs from run to run: ids by the order in which they are first seen, times, and lengths of files,
/// since a time is written in more or fewer digits.
#[derive(Default)]
struct Redact {
    ids: BTreeMap<String, usize>,
}

/// Ids are shown whole, or by this many of their first digits.
const SHORT_LEN: usize = 12;
/// The shape of the ids that the table library gives to files.
const UUID: &str = "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh";
const TIME: &str = "dddd-dd-ddTdd:dd:dd";
/// The units of lengths for people.
const UNITS: [&str; 3] = [" B", " kB", " MB"];
/// The fields of lengths, and of the present, for programs.
const LENGTHS: [&str; 5] = [
    "\"bytes\": ",
    "\"size\": ",
    "\"size_before\": ",
    "\"size_after\": ",
    "\"now\": ",
];

impl Redact {
    fn text(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let number = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(rest.len());
            let is_length = number > 0
                && (UNITS.iter().any(|unit| rest[number..].starts_with(unit))
                    || LENGTHS.iter().any(|field| out.ends_with(field)));
            let len = if let Some(len) = time_len(rest) {
                out.push_str("TIME");
                len
            } else if fits(UUID, rest) {
                out.push_str(&self.name(&rest[..UUID.len()]));
                UUID.len()
            } else if is_id(&rest[..word]) {
                out.push_str(&self.name(&rest[..SHORT_LEN]));
                out.push_str(if word > SHORT_LEN { "…" } else { "" });
                word
            } else if is_length {
                out.push_str("SIZE");
                number
            } else {
                let len = word.max(first.len_utf8());
                out.push_str(&rest[..len]);
                len
            };
            rest = &rest[len..];
        }
        out
    }

    fn name(&mut self, id: &str) -> String {
        let next = self.ids.len() + 1;
        format!("ID{}", *self.ids.entry(id.to_owned()).or_insert(next))
    }
}

/// Whether a word is the hash of something, or the start of one.
fn is_id(word: &str) -> bool {
    word.len() >= SHORT_LEN
        && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && word.bytes().any(|b| b.is_ascii_lowercase())
}

/// Whether a text starts in a shape: `d` is a digit, `h` one of a hash, the others are themselves.
fn fits(shape: &str, text: &str) -> bool {
    text.len() >= shape.len()
        && shape.bytes().zip(text.bytes()).all(|(wanted, byte)| match wanted {
            b'd' => byte.is_ascii_digit(),
            b'h' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            other => byte == other,
        })
}

/// The length of the time at the start of a text, if it is a time of today: those of the data are earlier.
fn time_len(text: &str) -> Option<usize> {
    if !fits(TIME, text) || &text[..4] < "2025" {
        return None;
    }
    let more = text[TIME.len()..].find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let zone = usize::from(text[TIME.len() + more..].starts_with('Z'));
    Some(TIME.len() + more + zone)
}

/// One page: each step's words, what it said, and its exit code when that is not 0.
fn page(said: &[(&'static [&'static str], Ran)]) -> String {
    let mut redact = Redact::default();
    let mut page = String::new();
    for (words, ran) in said {
        let _ = writeln!(page, "$ drumlin {}", words.join(" "));
        page.push_str(&redact.text(&ran.out));
        for line in redact.text(&ran.err).lines() {
            let _ = writeln!(page, "! {line}");
        }
        if ran.code != Some(0) {
            let _ = writeln!(page, "exit {}", ran.code.unwrap_or(-1));
        }
        page.push('\n');
    }
    page
}

#[test]
fn the_story_in_text() {
    insta::assert_snapshot!("story", page(&play(&[])));
}

#[test]
fn the_story_in_json() {
    let said = play(&["--json"]);
    let mut unread: Vec<Verb> = Verb::ALL.to_vec();
    for (words, ran) in &said {
        let verb = verb(words);
        unread.retain(|other| *other != verb);
        if verb == Verb::Sql {
            continue;
        }
        let (name, text) = if ran.out.is_empty() {
            ("error".to_owned(), &ran.err)
        } else {
            (verb.identifier(), &ran.out)
        };
        check(&name, text, words);
    }
    assert_eq!(unread, Vec::<Verb>::new(), "the story leaves these out");
    insta::assert_snapshot!("story_json", page(&said));
}

/// Holds what was printed against the published schema of that name.
fn check(name: &str, text: &str, words: &[&str]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/reference/schemas/{name}.json"));
    // A test of the verbs says which have none.
    let Ok(schema) = fs::read_to_string(&file) else { return };
    let root: Value = serde_json::from_str(&schema).expect("a schema is JSON");
    let answer: Value =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("drumlin {words:?}: {error}:\n{text}"));
    let wrong = Schema { root: &root }.faults(&root, &answer, "$");
    assert!(
        wrong.is_empty(),
        "drumlin {words:?} is not what {name}.json says:\n{}\n{text}",
        wrong.join("\n")
    );
}

#[test]
fn every_help_page() {
    let place = Place::empty();
    let mut pages = crate::words::verbs(&place);
    pages.push((String::new(), place.ok(&["--help"])));
    pages.sort();
    let mut page = String::new();
    for (verb, help) in pages {
        let _ = writeln!(page, "$ drumlin {verb} --help\n{help}");
    }
    insta::assert_snapshot!("help", page);
}
