//! `Ui`: everything that a command shows: text or JSON on stdout; progress, notes and errors on stderr.
//! Invariant: with `--json`, stdout holds JSON and nothing else.

use std::{
    io::{self, IsTerminal, Write},
    sync::Mutex,
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use drumlin_chunks::{Progress, Unit};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::error::{CommandError, kind_name};

/// How much is said, and in which form.
#[derive(Clone, Copy, Debug, Default)]
pub struct UiOptions {
    pub json: bool,
    pub quiet: bool,
}

#[derive(Debug)]
pub struct Ui {
    pub options: UiOptions,
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
        Self { options }
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

    pub fn error(&self, error: &CommandError) {
        let mut err = anstream::stderr().lock();
        // Nothing can be done for a person whose stderr is closed.
        let _ = if self.options.json {
            let value = serde_json::json!({
                "error": { "kind": kind_name(error.kind), "message": error.to_string(), "hint": error.hint() }
            });
            writeln!(err, "{value}")
        } else {
            let hint = error
                .hint()
                .map(|hint| format!("\n{} {hint}", paint(NAME, "hint:")))
                .unwrap_or_default();
            writeln!(err, "{} {error}{hint}", paint(BAD.bold(), "error:"))
        };
    }

    /// Progress bars for long work; silent unless a person watches.
    pub fn progress(&self) -> Bars {
        let shown = !self.options.quiet && !self.options.json && io::stderr().is_terminal();
        Bars {
            shown,
            bar: Mutex::new(None),
        }
    }
}

/// A reader that has seen enough (`| head`) is no failure.
fn allow_closed_pipe(written: io::Result<()>) -> Result<(), CommandError> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| CommandError::io("cannot write the result", error)),
    }
}

/// One bar at a time, with rate and time left.
pub struct Bars {
    shown: bool,
    bar: Mutex<Option<ProgressBar>>,
}

/// Work that ends sooner than this shows no bar.
const BAR_DELAY: Duration = Duration::from_millis(120);

impl Progress for Bars {
    fn start(&self, task: &str, total: Option<u64>, unit: Unit) {
        tracing::info!(task, total, ?unit, "begins");
        if !self.shown {
            return;
        }
        let counts = match unit {
            Unit::Bytes => "{bytes}/{total_bytes}  {bytes_per_sec}",
            Unit::Files | Unit::Rows | Unit::Items => "{human_pos}/{human_len}  {per_sec}",
        };
        let template = match total {
            Some(_) => format!("{{msg}} [{{bar:32.cyan}}] {counts}  {{eta}} left"),
            None => format!(
                "{{msg}} {{spinner}} {}",
                counts.replace("/{total_bytes}", "").replace("/{human_len}", "")
            ),
        };
        let bar = total
            .map_or_else(ProgressBar::new_spinner, ProgressBar::new)
            .with_message(task.to_owned());
        bar.set_style(
            ProgressStyle::with_template(&template)
                .expect("the template is ours")
                .progress_chars("█▌ "),
        );
        bar.enable_steady_tick(BAR_DELAY);
        *self.bar.lock().expect("no holder panics") = Some(bar);
    }

    fn grow(&self, by: u64) {
        if let Some(bar) = &*self.bar.lock().expect("no holder panics") {
            bar.inc_length(by);
        }
    }

    fn advance(&self, by: u64) {
        if let Some(bar) = &*self.bar.lock().expect("no holder panics") {
            bar.inc(by);
        }
    }

    fn finish(&self) {
        tracing::info!("is over");
        if let Some(bar) = self.bar.lock().expect("no holder panics").take() {
            bar.finish_and_clear();
        }
    }
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
