//! Real processes, really killed (SIGKILL), at moments that a seed chooses. After each, before anything is run again: `fsck`
//! passes, and whatever was acknowledged is there byte for byte. And what was killed can be run again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::process::ExitStatusExt,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::support::{Place, files_below, ran};

/// Kept, so that a failure can be looked at again; moments still vary with the machine.
const SEED: u64 = 20_131_231;
/// Processes that were still running when they were killed: what the test goes on for.
const KILLS: usize = 40;
/// A machine so fast that few are caught must not keep the test going for ever.
const ROUNDS_MAX: usize = 150;
const SIGKILL: i32 = 9;

/// How a process that was to be killed ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// It was running until it was killed.
    Killed,
    /// It had ended by itself, and well: what it did is acknowledged.
    Acknowledged,
}

/// Starts the program and kills it after a while.
fn killed(place: &Place, words: &[&str], after: Duration) -> End {
    let mut child = place
        .command(words)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    thread::sleep(after);
    // One that has ended, and waits to be asked how, takes a signal without harm.
    child.kill().expect("a child can be killed");
    let ended = child.wait_with_output().expect("a killed child ends");
    match (ended.status.signal(), ended.status.success()) {
        (Some(SIGKILL), _) => End::Killed,
        (None, true) => End::Acknowledged,
        _ => panic!("drumlin {words:?} failed of itself: {:?}", ran(ended)),
    }
}

/// How long the verb takes here when nobody kills it.
fn usual(place: &Place, words: &[&str]) -> Duration {
    let start = Instant::now();
    place.ok(words);
    start.elapsed()
}

/// A definition with a maximal age that no round had before.
fn definition(hours: usize) -> String {
    format!(
        "kind: entity\nname: city\nkeys: [{{name: city, type: string}}]\n---\nkind: feature_view\nname: rain\n\
         entity: city\nsource: {{table: rain}}\nevent_time: at\nmax_age: {hours}h\n"
    )
}

fn rows(place: &Place) -> usize {
    let out = place.ok(&["sql", "SELECT count(*) FROM rain", "--format", "csv"]);
    out.lines().last().and_then(|line| line.parse().ok()).expect("a count")
}

/// What a round does, and kills.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verb {
    Add,
    Append,
    Commit,
    Apply,
    Materialize,
}

const VERBS: [Verb; 5] = [Verb::Add, Verb::Append, Verb::Commit, Verb::Apply, Verb::Materialize];

/// A repository, and all that the program has said is in it.
struct Kept {
    place: Place,
    /// A working copy that only reads, so that nothing of the other's is mistaken for what the repository holds.
    reader: Place,
    /// Every file that was made, by path: what `data` would hold if nothing had been killed.
    made: BTreeMap<String, Vec<u8>>,
    /// Whose `add` was acknowledged. Their files are gone: only the repository has them.
    staged: BTreeSet<String>,
    /// Whose commit is on the branch.
    committed: BTreeSet<String>,
    rows: usize,
    /// The definition that is applied.
    applied: String,
    usual: BTreeMap<&'static str, Duration>,
}

impl Kept {
    /// A repository with a table, a feature view over it and a file.
    fn new() -> Kept {
        let (place, reader) = (Place::repository(), Place::empty());
        place.write("rows.csv", "city,at,mm\noslo,2024-01-01T00:00:00Z,1\n");
        place.ok(&["table", "create", "rain", "--from", "rows.csv"]);
        let applied = definition(1);
        place.write("features/rain.yaml", &applied);
        place.ok(&["apply"]);
        place.write("data/first.bin", "first");
        let usual = [
            ("add", usual(&place, &["add", "data/first.bin"])),
            ("commit", usual(&place, &["commit", "-m", "first"])),
            (
                "append",
                usual(&place, &["table", "append", "rain", "--from", "rows.csv"]),
            ),
            ("materialize", usual(&place, &["online", "materialize"])),
        ];
        let copy = reader.file("copy");
        place.ok(&["clone", ".", copy.to_str().expect("a temporary path is text")]);
        Kept {
            made: BTreeMap::from([("data/first.bin".to_owned(), b"first".to_vec())]),
            staged: BTreeSet::new(),
            committed: BTreeSet::from(["data/first.bin".to_owned()]),
            rows: rows(&place),
            applied,
            usual: BTreeMap::from(usual),
            place,
            reader,
        }
    }

    /// Does one thing, kills it, and finds everything that was acknowledged; how it ended.
    fn round(&mut self, round: usize, random: &mut StdRng) -> End {
        let verb = VERBS[round % VERBS.len()];
        let (name, defined) = (format!("data/{round}.bin"), definition(round + 2));
        let message = format!("round {round}");
        let (words, usual): (Vec<&str>, &str) = match verb {
            Verb::Add => (vec!["add", &name], "add"),
            Verb::Append => (vec!["table", "append", "rain", "--from", "rows.csv"], "append"),
            Verb::Commit => (vec!["commit", "-m", &message], "commit"),
            Verb::Apply => (vec!["apply"], "append"),
            Verb::Materialize => (vec!["online", "materialize"], "materialize"),
        };
        match verb {
            Verb::Add => self.make(&name, random),
            Verb::Commit => {
                self.make(&name, random);
                self.place.ok(&["add", &name]);
                self.acknowledge(&name);
            }
            Verb::Apply => self.place.write("features/rain.yaml", &defined),
            Verb::Append | Verb::Materialize => {}
        }
        let before = self.place.head();
        let moment = self.usual[usual].mul_f64(random.random_range(0.0..1.1));
        let end = killed(&self.place, &words, moment);
        let moved = self.place.head() != before;
        let moves = matches!(verb, Verb::Append | Verb::Commit | Verb::Apply);
        assert!(moves || !moved, "round {round}: {words:?} moved the branch");
        assert!(
            moved || !moves || end == End::Killed,
            "round {round}: {words:?} was acknowledged and is gone"
        );
        match verb {
            Verb::Add if end == End::Acknowledged => self.acknowledge(&name),
            Verb::Append if moved => self.rows += 1,
            Verb::Commit if moved => self.committed.append(&mut self.staged),
            Verb::Apply if moved => self.applied = defined,
            _ => {}
        }
        let when = format!("round {round}, {words:?}: {end:?}");
        self.check(&when);
        self.settle(&when);
        end
    }

    /// What was killed may have moved the branch without the working copy, or stopped while that was to follow: `status`
    /// says so, and what it says to type mends it, with nothing lost.
    fn settle(&self, when: &str) {
        let status = self.place.json(&["status"]);
        if status["behind"] == true || !status["interrupted"].is_null() {
            self.place.ok(&["checkout", "main"]);
            self.check(&format!("{when}, then checkout"));
        }
    }

    /// Makes a file of bytes that are nowhere yet.
    fn make(&mut self, name: &str, random: &mut StdRng) {
        let mut body = vec![0; 200_000];
        random.fill(body.as_mut_slice());
        fs::write(self.place.file(name), &body).expect("a file can be written");
        self.made.insert(name.to_owned(), body);
    }

    /// An `add` was acknowledged, so the file may go: whatever reads it later has it from the repository.
    fn acknowledge(&mut self, name: &str) {
        fs::remove_file(self.place.file(name)).expect("a file can be removed");
        self.staged.insert(name.to_owned());
    }

    /// Finds all that was acknowledged, and runs nothing that could mend it.
    fn check(&self, when: &str) {
        let fsck = self.place.run(&["fsck"]);
        assert_eq!(fsck.code, Some(0), "{when}: fsck:\n{}{}", fsck.out, fsck.err);
        assert_eq!(rows(&self.place), self.rows, "{when}: rows");
        let verify = self.place.run(&["verify"]);
        assert_eq!(verify.code, Some(0), "{when}: verify:\n{}{}", verify.out, verify.err);
        let status = self.place.json(&["status"]);
        let staged = status["staged"].as_array().expect("a list");
        for name in &self.staged {
            assert!(
                staged.iter().any(|change| change["path"] == name.as_str()),
                "{when}: {name} was added and is not staged:\n{status}"
            );
        }
        self.compare(when);
    }

    /// Brings everything into a folder where nothing of it is, and compares each byte.
    fn compare(&self, when: &str) {
        let copy = self.reader.file("copy");
        for folder in ["data", "features"] {
            fs::remove_dir_all(copy.join(folder)).expect("a folder can be removed");
        }
        let copy_words = copy.to_str().expect("a temporary path is text");
        self.reader
            .ok(&["-C", copy_words, "restore", "--source", "main", "data", "features"]);
        let found = files_below(&copy.join("data"));
        for name in &self.committed {
            let body = found.get(&copy.join(name));
            assert!(body == self.made.get(name), "{when}: {name} is not what was committed");
        }
        // An `add` that was killed may have staged its file, which the next commit then takes along: whole, or not at all.
        for (path, body) in &found {
            let name = path.strip_prefix(&copy).expect("it is in the folder");
            let made = name.to_str().and_then(|name| self.made.get(name));
            assert!(Some(body) == made, "{when}: {} is not what was added", name.display());
        }
        let applied = fs::read_to_string(copy.join("features/rain.yaml")).expect("definitions are text");
        assert_eq!(applied, self.applied, "{when}: what is applied");
    }

    /// Runs again whatever was killed: it goes on from where it stood.
    fn finish(mut self) {
        let kept: BTreeSet<String> = self.committed.union(&self.staged).cloned().collect();
        for name in self.made.keys().filter(|name| !kept.contains(*name)) {
            self.place.ok(&["add", name]);
        }
        let status = self.place.json(&["status"]);
        if !status["staged"].as_array().expect("a list").is_empty() {
            self.place.ok(&["commit", "-m", "the rest"]);
        }
        self.staged.clear();
        self.committed.extend(self.made.keys().cloned());
        self.applied = fs::read_to_string(self.place.file("features/rain.yaml")).expect("definitions are text");
        self.place.ok(&["apply"]);
        self.place.ok(&["online", "materialize"]);
        self.place.ok(&["verify"]);
        self.check("at the end");
        self.place.ok(&["checkout", "main", "--force"]);
        assert_eq!(files_below(&self.place.file("data")).len(), self.made.len());
    }
}

#[test]
fn killed_at_any_moment() {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut kept = Kept::new();
    let (mut round, mut kills) = (0, 0);
    while kills < KILLS {
        assert!(
            round < ROUNDS_MAX,
            "only {kills} of {round} processes were caught running"
        );
        kills += usize::from(kept.round(round, &mut random) == End::Killed);
        round += 1;
    }
    println!("{kills} of {round} processes were running when they were killed");
    kept.finish();
}
