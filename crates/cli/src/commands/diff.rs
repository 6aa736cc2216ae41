//! `drumlin diff`: which files, which rows of which tables and which definitions differ.

use std::io::{self, Write};

use clap::Args;
use drumlin_model::{RefExpr, RepoPath};
use drumlin_verbs::{Change, DefinitionChange, DefinitionWhat, DiffRequest, FieldChange, FileDiff, TableDiff};

use crate::{
    context::Context,
    error::CommandError,
    ui::{self, BAD, BOLD, FAINT, GOOD, NAME, WARN, count, paint},
};

/// Show how two versions differ: files, table rows, definitions
///
/// Without REFs: the working files against what is staged or committed. With one: that version against the current
/// branch. With two: the first against the second.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin diff\n  drumlin diff --staged\n  drumlin diff v1\n  drumlin diff main fix-weather\n  drumlin diff v1 main --path tables/flights"
)]
pub struct Diff {
    #[arg(value_name = "REF", num_args = 0..=2)]
    refs: Vec<RefExpr>,
    /// What is staged against the checked-out commit
    #[arg(long, conflicts_with = "refs")]
    staged: bool,
    /// Only what stands at or below PATH
    #[arg(long)]
    path: Option<String>,
    /// Name files of tables too, and do not compare rows
    #[arg(long)]
    files_only: bool,
}

/// The most paths listed as text; `--json` has them all.
const SHOWN_MAX: usize = 100;

impl Diff {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let path = self.path.as_deref().map(|path| path.trim_end_matches('/'));
        let request = DiffRequest {
            refs: self.refs,
            staged: self.staged,
            path: path.map(RepoPath::new).transpose()?,
            files_only: self.files_only,
        };
        let diff = cx.desk().await?.diff(request).await?;
        for note in &diff.notes {
            cx.ui.warn(note);
        }
        cx.ui.emit(&diff, |out| {
            if diff.from.is_none() {
                return print_files(out, &diff.files);
            }
            if !diff.files.is_empty() {
                writeln!(out, "{}", paint(BOLD, "Files"))?;
                print_files(out, &diff.files)?;
            }
            if !diff.tables.is_empty() {
                writeln!(out, "{}", paint(BOLD, "Table rows"))?;
                diff.tables.iter().try_for_each(|table| print_table(out, table))?;
            }
            if !diff.definitions.is_empty() {
                writeln!(out, "{}", paint(BOLD, "Definitions"))?;
                print_definitions(out, &diff.definitions)?;
            }
            if diff.files.is_empty() && diff.tables.is_empty() && diff.definitions.is_empty() {
                writeln!(out, "No differences")
            } else {
                Ok(())
            }
        })
    }
}

fn print_table(out: &mut dyn Write, table: &TableDiff) -> io::Result<()> {
    let changed = table
        .changed
        .map(|changed| format!(" {}", paint(WARN, format!("~{}", count(changed)))))
        .unwrap_or_default();
    writeln!(
        out,
        "  {}  {} {}{changed} rows  {}",
        paint(NAME, &table.table),
        paint(GOOD, format!("+{}", count(table.added))),
        paint(BAD, format!("-{}", count(table.removed))),
        paint(
            FAINT,
            format!(
                "({} before, {} after)",
                count(table.rows_before),
                count(table.rows_after)
            )
        )
    )?;
    for change in &table.schema_changes {
        writeln!(out, "      column {change}")?;
    }
    for line in &table.sample {
        writeln!(out, "      {line}")?;
    }
    Ok(())
}

/// One line for each path: what changed, and by how many bytes.
pub fn print_files(out: &mut dyn Write, rows: &[FileDiff]) -> io::Result<()> {
    for row in rows.iter().take(SHOWN_MAX) {
        let (sign, style) = match row.change {
            Change::Added => ("+", GOOD),
            Change::Deleted => ("-", BAD),
            Change::Modified => ("~", WARN),
        };
        let sizes = match (row.size_before, row.size_after) {
            (Some(before), Some(after)) => format!("{} → {}", ui::bytes(before), ui::bytes(after)),
            (Some(size), None) | (None, Some(size)) => ui::bytes(size),
            (None, None) => String::new(),
        };
        writeln!(out, "  {} {}  {}", paint(style, sign), row.path, paint(FAINT, sizes))?;
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

/// Each changed definition, and each changed field of it.
pub fn print_definitions(out: &mut dyn Write, changes: &[DefinitionChange]) -> io::Result<()> {
    for change in changes {
        let (sign, style) = match change.what {
            DefinitionWhat::Added => ("+", GOOD),
            DefinitionWhat::Removed => ("-", BAD),
            DefinitionWhat::Changed { .. } => ("~", WARN),
        };
        let note = if change.meaning { "" } else { "  (no value changes)" };
        writeln!(
            out,
            "  {} {} {}{}",
            paint(style, sign),
            change.kind.replace('_', " "),
            paint(NAME, &change.name),
            paint(FAINT, note)
        )?;
        if let DefinitionWhat::Changed { fields } = &change.what {
            print_fields(out, fields)?;
        }
    }
    Ok(())
}

/// Each field before and after.
pub fn print_fields(out: &mut dyn Write, fields: &[FieldChange]) -> io::Result<()> {
    let show = |value: &Option<serde_json::Value>| value.as_ref().map_or("none".to_owned(), ToString::to_string);
    for field in fields {
        let (before, after) = (show(&field.before), show(&field.after));
        writeln!(out, "      {}: {before} → {after}", field.field)?;
    }
    Ok(())
}
