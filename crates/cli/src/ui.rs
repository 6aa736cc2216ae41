//! `Ui`: everything that a command shows: text or JSON on stdout; progress, notes and errors on stderr.
//! Invariant: with `--json`, stdout holds JSON and nothing else.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use drumlin_model::{CommitId, RefName};
use drumlin_verbs::{ErrorAnswer, ErrorView};
use serde::Serialize;

use crate::{cures, error::CommandError, progress::Bars};

/// How much is said, and in which form.
#[derive(Clone, Copy, Debug, Default)]
pub struct UiOptions {
    pub json: bool,
    pub quiet: bool,
}

#[derive(Debug, Default)]
pub struct Ui {
    pub options: UiOptions,
    /// The words of the verb at hand, such as `table create`: an error's cures are said in its terms.
    verb: String,
}

pub const GOOD: Style = AnsiColor::Green.on_default();
pub const BAD: Style = AnsiColor::Red.on_default();
pub const WARN: Style = AnsiColor::Yellow.on_default();
pub const NAME: Style = AnsiColor::Cyan.on_default();
pub const FAINT: Style = Style::new().dimmed();
pub const BOLD: Style = Style::new().bold();

/// `text` in a style; the stream drops the codes where colors are not wanted.
pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

impl Ui {
    pub fn new(options: UiOptions) -> Self {
        Self {
            options,
            verb: String::new(),
        }
    }

    /// The same, for the verb of these words.
    #[must_use]
    pub fn of_verb(self, verb: String) -> Self {
        Self { verb, ..self }
    }

    /// The result of a command: `value` with `--json`, else what `text` writes.
    pub fn emit<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), CommandError> {
        let written = if self.options.json {
            self.emit_json(value)
        } else {
            self.emit_text(text)
        };
        allow_closed_pipe(written)
    }

    fn emit_json<T: Serialize>(&self, value: &T) -> io::Result<()> {
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, value)?;
        out.write_all(b"\n")?;
        out.flush()
    }

    fn emit_text(&self, text: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        if self.options.quiet {
            return Ok(());
        }
        let mut out = io::BufWriter::new(anstream::stdout().lock());
        text(&mut out)?;
        out.flush()
    }

    /// One line for a person, on stderr; nothing with `--quiet` or `--json`.
    pub fn note(&self, text: impl std::fmt::Display) {
        if !self.options.quiet && !self.options.json {
            // A closed stderr is no reason to fail.
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }

    pub fn warn(&self, text: impl std::fmt::Display) {
        if !self.options.json {
            let _ = writeln!(anstream::stderr(), "{} {text}", paint(WARN, "warning:"));
        }
    }

    /// What is wrong, and what mends it in the words of `program`.
    pub fn error(&self, program: &clap::Command, error: &CommandError) {
        let at_hand = cures::command_of(program, &self.verb);
        let cures = error.cures();
        let hints: Vec<String> = cures.iter().map(|cure| cures::text(cure, program, at_hand)).collect();
        let mut err = anstream::stderr().lock();
        // Nothing can be done for a person whose stderr is closed.
        let _ = if self.options.json {
            let view = ErrorView {
                kind: error.kind.into(),
                message: error.to_string(),
                hint: hints.into_iter().next(),
                cures,
            };
            serde_json::to_writer(&mut err, &ErrorAnswer { error: view })
                .map_err(io::Error::from)
                .and_then(|()| writeln!(err))
        } else {
            let hints: String = hints
                .iter()
                .map(|hint| format!("\n{} {hint}", paint(NAME, "hint:")))
                .collect();
            writeln!(err, "{} {error}{hints}", paint(BAD.bold(), "error:"))
        };
    }

    /// Progress bars for long work; silent unless a person watches.
    pub fn progress(&self) -> Bars {
        let shown = !self.options.quiet && !self.options.json && io::stderr().is_terminal();
        Bars::new(shown)
    }
}

/// A reader that has seen enough (`| head`) is no failure.
fn allow_closed_pipe(written: io::Result<()>) -> Result<(), CommandError> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| CommandError::io("cannot write the result", error)),
    }
}

/// What is checked out: a branch, else the commit itself.
pub fn label(branch: Option<&RefName>, commit: CommitId) -> String {
    branch.map_or_else(|| commit.to_string(), RefName::to_string)
}

/// `12.3 MB`, for people.
pub fn bytes(count: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{count} B")
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

/// `336,776`, for people.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 file`, `2 files`.
pub fn plural(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(number))
}
