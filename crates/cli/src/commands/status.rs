//! `drumlin status`.

use std::io::{self, Write};

use clap::Args;
use drumlin_verbs::{PathChange, StatusAnswer, StatusRequest};

use crate::{
    context::Context,
    error::CommandError,
    ui::{BAD, FAINT, GOOD, NAME, WARN, paint},
};

/// Show what is staged, changed and untracked
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin status\n  drumlin status --json")]
pub struct Status {}

/// Paths that each part of the page shows at most; `--json` has them all.
const SHOWN_MAX: usize = 20;

impl Status {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let state = cx.desk().await?.status(StatusRequest {}).await?;
        cx.ui.emit(&state, |out| show(out, &state))
    }
}

fn show(out: &mut dyn Write, state: &StatusAnswer) -> io::Result<()> {
    match &state.branch {
        Some(branch) => writeln!(out, "On branch {} at {}", paint(NAME, branch), state.commit.short())?,
        None => writeln!(out, "At commit {}, on no branch", paint(NAME, state.commit.short()))?,
    }
    if let Some(target) = &state.interrupted {
        writeln!(
            out,
            "{} a checkout of {target} was interrupted; run it again: drumlin checkout {target}",
            paint(WARN, "!")
        )?;
    }
    if let (true, Some(branch)) = (state.behind, &state.branch) {
        writeln!(
            out,
            "The branch has moved on; see it here with: drumlin checkout {branch}"
        )?;
    }
    section(
        out,
        "Staged for the next commit (drumlin commit -m MESSAGE):",
        &state.staged,
        GOOD,
    )?;
    section(
        out,
        "Changed (drumlin add PATH, or drumlin restore PATH):",
        &state.unstaged,
        BAD,
    )?;
    let untracked: Vec<_> = state.untracked.iter().map(|path| (path.to_string(), "")).collect();
    lines(out, "Untracked (drumlin add PATH):", &untracked, FAINT)?;
    for reason in state.unkeepable.iter().take(SHOWN_MAX) {
        writeln!(out, "{} {reason}", paint(WARN, "cannot be kept:"))?;
    }
    if state.staged.is_empty() && state.unstaged.is_empty() && state.untracked.is_empty() {
        writeln!(out, "Nothing to commit")?;
    }
    Ok(())
}

fn section(out: &mut dyn Write, title: &str, changes: &[PathChange], style: anstyle::Style) -> io::Result<()> {
    let rows: Vec<_> = changes
        .iter()
        .map(|changed| (changed.path.to_string(), changed.change.as_str()))
        .collect();
    lines(out, title, &rows, style)
}

fn lines(out: &mut dyn Write, title: &str, rows: &[(String, &str)], style: anstyle::Style) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    for (path, word) in rows.iter().take(SHOWN_MAX) {
        let word = if word.is_empty() {
            String::new()
        } else {
            format!("{word:<9} ")
        };
        writeln!(out, "  {}", paint(style, format!("{word}{path}")))?;
    }
    if rows.len() > SHOWN_MAX {
        writeln!(
            out,
            "  {}",
            paint(FAINT, format!("… and {} more", rows.len() - SHOWN_MAX))
        )?;
    }
    Ok(())
}
