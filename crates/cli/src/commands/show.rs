//! `drumlin show`.

use clap::Args;
use drumlin_model::{EntryKind, RepoPath};
use futures::{StreamExt, TryStreamExt};
use serde_json::json;
use std::io::Write;

use crate::{
    commands::diff::{DiffRow, print_rows},
    context::{self, Context},
    error::CommandError,
    ui::{self, FAINT, NAME, paint},
};

/// Show a commit, or what stands at a path of one
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin show\n  drumlin show v1\n  drumlin show raw/planes.csv@v1\n  drumlin show --cat raw/airlines.csv@main~2"
)]
pub struct Show {
    /// REF, or PATH@REF
    #[arg(value_name = "REF | PATH@REF")]
    what: Option<String>,
    /// Write the file's bytes to stdout
    #[arg(long)]
    cat: bool,
}

/// The most changed paths that one commit's page lists.
const CHANGES_SHOWN_MAX: usize = 50;

impl Show {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        match self.what.as_deref().and_then(|what| what.rsplit_once('@')) {
            Some((path, at)) => self.path(cx, path, at).await,
            None if self.cat => {
                Err(CommandError::invalid("--cat needs PATH@REF").with_hint("drumlin show --cat PATH@main"))
            }
            None => self.commit(cx).await,
        }
    }

    async fn commit(&self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let at = self.what.as_deref().map(str::parse).transpose()?;
        let snapshot = context::snapshot(&copy, at.as_ref()).await?;
        let commit = copy.repo().commit_info(snapshot.commit()).await?;
        let mut changes = Vec::new();
        if let Some(parent) = commit.parents.first() {
            let before = copy.repo().commit_info(*parent).await?.tree;
            let diff = copy.repo().diff(before, commit.tree).await?;
            changes = diff
                .take(CHANGES_SHOWN_MAX + 1)
                .map_ok(|change| DiffRow::of(&change))
                .try_collect()
                .await?;
        }
        let more = changes.len() > CHANGES_SHOWN_MAX;
        changes.truncate(CHANGES_SHOWN_MAX);
        let value = json!({ "id": snapshot.commit(), "commit": &*commit, "changes": changes, "more_changes": more });
        cx.ui.emit(&value, |out| {
            let provenance = &commit.provenance;
            writeln!(out, "commit    {}", paint(NAME, snapshot.commit()))?;
            for parent in &commit.parents {
                writeln!(out, "parent    {parent}")?;
            }
            writeln!(out, "tree      {}", commit.tree)?;
            writeln!(out, "time      {}", provenance.finished)?;
            writeln!(out, "by        {} with `{}`", provenance.actor, provenance.operation)?;
            if let Some(code) = &provenance.code {
                writeln!(
                    out,
                    "code      git {}{}",
                    code.git_commit,
                    if code.dirty { " (dirty)" } else { "" }
                )?;
            }
            for input in &provenance.inputs {
                let at = input
                    .commit
                    .map(|commit| format!("@{}", commit.short()))
                    .unwrap_or_default();
                let into: Vec<_> = input.into.iter().map(|path| path.as_str()).collect();
                let into = if into.is_empty() {
                    String::new()
                } else {
                    format!(" -> {}", into.join(", "))
                };
                writeln!(out, "input     {}{at}{into}", input.name)?;
            }
            for output in &provenance.outputs {
                writeln!(out, "output    {output}")?;
            }
            for (name, value) in &provenance.parameters {
                writeln!(out, "parameter {name} = {value}")?;
            }
            writeln!(out, "\n    {}\n", commit.message.trim_end().replace('\n', "\n    "))?;
            print_rows(out, &changes)?;
            if more {
                writeln!(out, "{}", paint(FAINT, "… and more: drumlin diff"))
            } else {
                Ok(())
            }
        })
    }

    async fn path(&self, cx: &Context<'_>, path: &str, at: &str) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let path = RepoPath::new(path.trim_end_matches('/'))?;
        let snapshot = copy.repo().snapshot(&at.parse()?).await?;
        if self.cat {
            let mut bytes = snapshot.stream(&path);
            let mut out = std::io::stdout().lock();
            while let Some(next) = bytes.next().await {
                out.write_all(&next?)
                    .map_err(|error| CommandError::io("cannot write the file", error))?;
            }
            return Ok(());
        }
        match snapshot.entry(&path).await? {
            Some(placed) => {
                let entry = placed.entry;
                let id = entry.as_file().map(|file| file.id);
                let value = json!({ "path": path, "commit": snapshot.commit(), "kind": kind(&entry.kind), "size": entry.size(), "id": id, "modified": entry.modified.to_string() });
                cx.ui.emit(&value, |out| {
                    writeln!(
                        out,
                        "{} {} at {}",
                        kind(&entry.kind),
                        paint(NAME, &path),
                        snapshot.commit().short()
                    )?;
                    if let Some(id) = id {
                        writeln!(out, "id        {id}")?;
                    }
                    writeln!(
                        out,
                        "size      {}\nmodified  {}",
                        ui::bytes(entry.size()),
                        entry.modified
                    )
                })
            }
            None => self.folder(cx, &snapshot, &path).await,
        }
    }

    async fn folder(
        &self,
        cx: &Context<'_>,
        snapshot: &drumlin_repo::Snapshot,
        path: &RepoPath,
    ) -> Result<(), CommandError> {
        let listed: Vec<_> = snapshot
            .list(Some(path), None)
            .take(CHANGES_SHOWN_MAX + 1)
            .try_collect()
            .await?;
        if listed.is_empty() {
            let message = format!("nothing stands at {path} at {}", snapshot.commit().short());
            return Err(CommandError::new(drumlin_model::ErrorKind::NotFound, message)
                .with_hint(format!("drumlin log --path {path}")));
        }
        let rows: Vec<_> = listed
            .iter()
            .take(CHANGES_SHOWN_MAX)
            .map(
                |(path, placed)| json!({ "path": path, "size": placed.entry.size(), "kind": kind(&placed.entry.kind) }),
            )
            .collect();
        cx.ui.emit(&rows, |out| {
            for (path, placed) in listed.iter().take(CHANGES_SHOWN_MAX) {
                writeln!(out, "{:>10}  {path}", ui::bytes(placed.entry.size()))?;
            }
            if listed.len() > CHANGES_SHOWN_MAX {
                writeln!(out, "{}", paint(FAINT, "… and more"))
            } else {
                Ok(())
            }
        })
    }
}

fn kind(kind: &EntryKind) -> &'static str {
    match kind {
        EntryKind::File(file) if file.executable => "executable file",
        EntryKind::File(_) => "file",
        EntryKind::Symlink { .. } => "symlink",
        EntryKind::Folder => "empty folder",
        EntryKind::External(_) => "external file",
    }
}
