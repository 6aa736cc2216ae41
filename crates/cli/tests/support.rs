//! `Place`: a folder of its own for each test, and the program run in it with nothing of the user's environment.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

pub struct Place {
    path: PathBuf,
    /// The folder that goes with the place; none when the place lies in another.
    _folder: Option<tempfile::TempDir>,
}

/// What one run of the program gave.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Place {
    /// An empty folder.
    pub fn empty() -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Place {
            path: folder.path().to_owned(),
            _folder: Some(folder),
        }
    }

    /// A new folder in this place.
    pub fn below(&self, name: &str) -> Place {
        let path = self.file(name);
        fs::create_dir(&path).expect("a folder can be made");
        Place { path, _folder: None }
    }

    /// A repository with nothing in it.
    pub fn repository() -> Place {
        let place = Place::empty();
        place.ok(&["init"]);
        place
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let file = self.file(name);
        fs::create_dir_all(file.parent().expect("a file has a folder")).expect("folders can be made");
        fs::write(file, text).expect("a file can be written");
    }

    pub fn command(&self, words: &[&str]) -> Command {
        command_in(self.path(), words)
    }

    pub fn run(&self, words: &[&str]) -> Ran {
        ran(self.command(words).output().expect("the program starts"))
    }

    /// Runs with `input` as stdin.
    pub fn run_with(&self, words: &[&str], input: &str) -> Ran {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // A program that reads no stdin may have closed it.
        let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
        ran(child.wait_with_output().expect("the program ends"))
    }

    /// Runs what must succeed on a terminal, as when a person watches; gives what the terminal was sent, stdout and stderr
    /// together, with the line ends of a file. Nothing where there is no `script` to make a terminal.
    pub fn watched(&self, words: &[&str], environment: &[(&str, &str)]) -> Option<String> {
        let all = [&[env!("CARGO_BIN_EXE_drumlin")], words].concat();
        let quoted: Vec<String> = all.iter().map(|word| format!("'{word}'")).collect();
        let started = Command::new("script")
            .args(["-qec", &quoted.join(" "), "/dev/null"])
            .current_dir(self.path())
            .env_clear()
            .env("TERM", "xterm")
            .env("DRUMLIN_ACTOR", "tester")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output();
        let output = match started {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            started => started.expect("`script` starts"),
        };
        let ran = ran(output);
        assert_eq!(
            ran.code,
            Some(0),
            "on a terminal, drumlin {words:?} failed:\n{}{}",
            ran.out,
            ran.err
        );
        Some(ran.out.replace("\r\n", "\n"))
    }

    /// Runs what must succeed; gives its stdout.
    pub fn ok(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, Some(0), "drumlin {words:?} failed:\n{}{}", ran.out, ran.err);
        ran.out
    }

    pub fn json(&self, words: &[&str]) -> Value {
        let out = self.ok(&[words, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("drumlin {words:?} printed no JSON ({error}):\n{out}"))
    }

    /// Runs what must fail with `code`; gives its stderr.
    pub fn fails(&self, code: i32, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, Some(code), "drumlin {words:?}:\n{}{}", ran.out, ran.err);
        ran.err
    }

    /// The commit that the current branch is at.
    pub fn head(&self) -> String {
        self.json(&["log", "-n", "1"])[0]["id"]
            .as_str()
            .expect("a commit has an id")
            .to_owned()
    }
}

/// Every file below a folder, with its bytes.
pub fn files_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).expect("a file can be read"));
        }
    }
    files
}

pub fn command_in(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drumlin"));
    command
        .args(words)
        .current_dir(folder)
        .env_clear()
        .env("DRUMLIN_ACTOR", "tester")
        .stdin(Stdio::null());
    command
}

pub fn ran(output: Output) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints UTF-8");
    Ran {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}
