//! `Place`: a folder of its own for each test, and the program run in it with nothing of the user's environment.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

pub struct Place {
    folder: tempfile::TempDir,
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
        Place {
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
        }
    }

    /// A repository with nothing in it.
    pub fn repository() -> Place {
        let place = Place::empty();
        place.ok(&["init"]);
        place
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
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
