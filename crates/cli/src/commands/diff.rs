//! `drumlin diff`: which files, which rows of which tables and which definitions differ.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use clap::Args;
use drumlin_features::Registry;
use drumlin_model::{EntryKind, RefExpr, RepoPath, path::PathError};
use drumlin_repo::{PathDiff, Snapshot};
use drumlin_tables::{Engine, RowDiff};
use drumlin_worktree::{ChangeKind, Side, WorkingCopy};
use futures::TryStreamExt;
use serde::Serialize;
use serde_json::json;

use crate::{
    commands::{apply, status::word},
    context::{self, Context},
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

#[derive(Serialize)]
pub struct DiffRow {
    pub path: RepoPath,
    pub change: &'static str,
    pub size_before: Option<u64>,
    pub size_after: Option<u64>,
}

impl DiffRow {
    pub fn of(diff: &PathDiff) -> DiffRow {
        let kind = match (&diff.before, &diff.after) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Deleted,
            _ => ChangeKind::Modified,
        };
        let size = |placed: &Option<drumlin_model::Placed>| placed.as_ref().map(|placed| placed.entry.size());
        DiffRow {
            path: diff.path.clone(),
            change: word(kind),
            size_before: size(&diff.before),
            size_after: size(&diff.after),
        }
    }
}

impl Diff {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        match self.refs.as_slice() {
            [] => self.working(cx, &copy).await,
            [from] => {
                let (from, to) = (copy.repo().snapshot(from).await?, context::snapshot(&copy, None).await?);
                self.versions(cx, &copy, from, to).await
            }
            [from, to, ..] => {
                let (from, to) = (copy.repo().snapshot(from).await?, copy.repo().snapshot(to).await?);
                self.versions(cx, &copy, from, to).await
            }
        }
    }

    fn scope(&self) -> Result<Option<RepoPath>, PathError> {
        self.path
            .as_deref()
            .map(|path| RepoPath::new(path.trim_end_matches('/')))
            .transpose()
    }

    async fn working(&self, cx: &Context<'_>, copy: &WorkingCopy) -> Result<(), CommandError> {
        let side = if self.staged { Side::Staged } else { Side::Unstaged };
        let scope = self.scope()?;
        let size = |kind: &Option<EntryKind>| {
            kind.as_ref().and_then(|kind| {
                if let EntryKind::File(file) = kind {
                    Some(file.size)
                } else {
                    None
                }
            })
        };
        let rows: Vec<DiffRow> = copy
            .diff(&[copy.folder().to_path_buf()], side)
            .await?
            .into_iter()
            .filter(|changed| scope.as_ref().is_none_or(|scope| changed.path.is_within(scope)))
            .map(|changed| DiffRow {
                change: word(changed.kind),
                size_before: size(&changed.before),
                size_after: size(&changed.after),
                path: changed.path,
            })
            .collect();
        cx.ui.emit(&json!({ "files": rows }), |out| print_rows(out, &rows))
    }

    async fn versions(
        &self,
        cx: &Context<'_>,
        copy: &WorkingCopy,
        from: Snapshot,
        to: Snapshot,
    ) -> Result<(), CommandError> {
        let engine = cx.engine(copy)?;
        let scope = self.scope()?;
        let all: Vec<DiffRow> = copy
            .repo()
            .diff(from.tree(), to.tree())
            .await?
            .map_ok(|diff| DiffRow::of(&diff))
            .try_collect()
            .await?;
        let all = all.into_iter().filter(|row| {
            scope
                .as_ref()
                .is_none_or(|scope| row.path.is_within(scope) || scope.is_within(&row.path))
        });
        let (mut files, mut tables) = (Vec::new(), BTreeMap::new());
        let roots = if self.files_only {
            Vec::new()
        } else {
            table_roots(&engine, &from, &to).await?
        };
        for row in all {
            match roots.iter().find(|root| row.path.is_within(root)) {
                Some(root) => _ = tables.insert(root.clone(), ()),
                None => files.push(row),
            }
        }
        let mut rows = Vec::new();
        for table in tables.into_keys() {
            rows.push(engine.table_diff(&from, &to, &table, &cx.ui.progress()).await?);
        }
        // What stands in a version may have been broken by hand: then its definitions count as none.
        let (before, after) = (
            Registry::load(&from).await.unwrap_or_default(),
            Registry::load(&to).await.unwrap_or_default(),
        );
        let (definitions, _) = drumlin_features::apply::compare(&before, &after);
        let value = json!({
            "from": from.commit(), "to": to.commit(), "files": files, "tables": rows.iter().map(table_json).collect::<Vec<_>>(),
            "definitions": definitions,
        });
        cx.ui.emit(&value, |out| {
            if !files.is_empty() {
                writeln!(out, "{}", paint(BOLD, "Files"))?;
                print_rows(out, &files)?;
            }
            if !rows.is_empty() {
                writeln!(out, "{}", paint(BOLD, "Table rows"))?;
                rows.iter().try_for_each(|table| print_table(out, table))?;
            }
            if !definitions.is_empty() {
                writeln!(out, "{}", paint(BOLD, "Definitions"))?;
                apply::print_changes(out, &definitions)?;
            }
            if files.is_empty() && rows.is_empty() {
                writeln!(out, "No differences")
            } else {
                Ok(())
            }
        })
    }
}

/// The tables of either version.
async fn table_roots(engine: &Engine, from: &Snapshot, to: &Snapshot) -> Result<Vec<RepoPath>, CommandError> {
    let mut roots = engine.table_paths(from).await?;
    roots.extend(engine.table_paths(to).await?);
    roots.sort();
    roots.dedup();
    Ok(roots)
}

fn table_json(table: &RowDiff) -> serde_json::Value {
    json!({
        "table": table.path, "key": table.key, "rows_before": table.rows_before, "rows_after": table.rows_after,
        "added": table.added, "removed": table.removed, "changed": table.changed, "schema_changes": table.schema_changes,
        "sample": table.sample,
    })
}

fn print_table(out: &mut dyn Write, table: &RowDiff) -> io::Result<()> {
    let changed = table
        .changed
        .map(|changed| format!(" {}", paint(WARN, format!("~{}", count(changed)))))
        .unwrap_or_default();
    writeln!(
        out,
        "  {}  {} {}{changed} rows  {}",
        paint(NAME, &table.path),
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
pub fn print_rows(out: &mut dyn Write, rows: &[DiffRow]) -> io::Result<()> {
    for row in rows.iter().take(SHOWN_MAX) {
        let (sign, style) = match row.change {
            "added" => ("+", GOOD),
            "deleted" => ("-", BAD),
            _ => ("~", WARN),
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
