//! `drumlin merge`, and what `revert` and `cherry-pick` share with it.

use std::collections::BTreeSet;

use clap::Args;
use drumlin_model::{ErrorKind, RefExpr, RefName, RepoPath};
use drumlin_repo::{Merged, logs::table_of};
use drumlin_worktree::WorkingCopy;
use serde_json::json;

use crate::{
    context::{self, Context},
    error::CommandError,
    ui::{NAME, paint},
};

/// How many paths a conflict names.
const CONFLICTS_SHOWN_MAX: usize = 20;

/// Bring the changes of another branch into the current one
///
/// Three-way, path by path. With conflicts nothing changes, and the paths are named.
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin merge fix-weather\n  drumlin merge fix-weather -m 'corrected weather'")]
pub struct Merge {
    /// What to bring in
    from: RefExpr,
    /// The message of the merge commit
    #[arg(short, long)]
    message: Option<String>,
}

impl Merge {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let into = context::current_branch(&copy)?;
        let from = copy.repo().resolve(&self.from).await?;
        let message = self
            .message
            .unwrap_or_else(|| format!("merge {} into {into}", self.from));
        let info = cx.commit_info("merge", message, Vec::new());
        let merged = copy.repo().merge(&into, from.commit, info).await?;
        finish(cx, &copy, &into, ("Merged", &self.from.to_string()), merged).await
    }
}

/// Renders what came of a merge, and moves the working copy along. `done` says what was, and `source` whose state was to come.
pub async fn finish(
    cx: &Context<'_>,
    copy: &WorkingCopy,
    into: &RefName,
    (done, source): (&str, &str),
    merged: Merged,
) -> Result<(), CommandError> {
    let (did, commit) = match merged {
        Merged::AlreadyUpToDate => ("Already up to date", copy.head()?.base.commit),
        Merged::FastForward(commit) => ("Fast-forwarded", commit),
        Merged::Committed(commit) => (done, commit),
        Merged::Conflicts(conflicts) => {
            return Err(conflicting(conflicts.iter().map(|conflict| &conflict.path), source));
        }
    };
    copy.follow(&cx.ui.progress()).await?;
    cx.ui
        .emit(&json!({ "did": did, "branch": into, "commit": commit }), |out| {
            writeln!(
                out,
                "{did}: {} is at {}",
                paint(NAME, into),
                paint(NAME, commit.short())
            )
        })
}

/// Names what both sides changed: files, and tables whole, since half of a table is none.
fn conflicting<'a>(paths: impl Iterator<Item = &'a RepoPath>, source: &str) -> CommandError {
    let whole = |path: &RepoPath| table_of(path).unwrap_or_else(|| path.clone()).to_string();
    let paths: BTreeSet<String> = paths.map(whole).collect();
    let shown: Vec<&str> = paths.iter().take(CONFLICTS_SHOWN_MAX).map(String::as_str).collect();
    let more = match paths.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!("both sides changed {}{more}; nothing was done", shown.join(", "));
    CommandError::new(ErrorKind::Conflict, message).with_hint(format!(
        "drumlin restore --source {source} {0} && drumlin add {0}  # takes it as it is there; then commit, and try again",
        shown[0]
    ))
}
