//! `drumlin log`.

use clap::Args;
use drumlin_model::{Commit, CommitId, RepoPath};
use futures::StreamExt;
use serde::Serialize;

use crate::{
    context::{self, Context},
    error::CommandError,
    ui::{FAINT, NAME, WARN, paint},
};

/// Show the history of a branch, newest first
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin log\n  drumlin log -n 5 v1\n  drumlin log --path tables/flights")]
pub struct Log {
    /// Where to start [default: the current branch]
    #[arg(value_name = "REF")]
    at: Option<String>,
    /// The most commits to show
    #[arg(short = 'n', long, default_value_t = 20)]
    limit: usize,
    /// Only commits whose outputs touch PATH
    #[arg(long)]
    path: Option<String>,
}

#[derive(Serialize)]
struct Row<'a> {
    id: CommitId,
    #[serde(flatten)]
    commit: &'a Commit,
}

impl Log {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let at = self.at.as_deref().map(str::parse).transpose()?;
        let path = self.path.as_deref().map(RepoPath::new).transpose()?;
        let start = context::snapshot(&copy, at.as_ref()).await?.commit();
        let mut commits = copy.repo().log(start);
        let mut found = Vec::new();
        while found.len() < self.limit
            && let Some(next) = commits.next().await
        {
            let (id, commit) = next?;
            if path.as_ref().is_none_or(|path| touches(&commit, path)) {
                found.push((id, commit));
            }
        }
        let rows: Vec<Row> = found.iter().map(|(id, commit)| Row { id: *id, commit }).collect();
        cx.ui.emit(&rows, |out| {
            for Row { id, commit } in &rows {
                let provenance = &commit.provenance;
                let merge = if commit.parents.len() > 1 {
                    paint(WARN, " (merge)")
                } else {
                    String::new()
                };
                writeln!(
                    out,
                    "{}  {}{merge}",
                    paint(NAME, id.short()),
                    commit.message.lines().next().unwrap_or("")
                )?;
                let by = format!(
                    "{} · {} · {}",
                    provenance.finished, provenance.actor, provenance.operation
                );
                writeln!(out, "              {}", paint(FAINT, by))?;
            }
            Ok(())
        })
    }
}

fn touches(commit: &Commit, path: &RepoPath) -> bool {
    commit
        .provenance
        .outputs
        .iter()
        .any(|output| output.is_within(path) || path.is_within(output))
}
