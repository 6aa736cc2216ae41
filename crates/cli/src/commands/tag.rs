//! `drumlin tag`.

use clap::{Args, Subcommand};
use drumlin_model::{RefExpr, RefName};
use serde_json::json;

use crate::{
    commands::branch::say,
    context::{self, Context},
    error::CommandError,
    ui::{NAME, paint},
};

/// List, make or delete tags: names that stay where they are
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin tag\n  drumlin tag create v1\n  drumlin tag create before-fix --at main~1\n  drumlin tag delete v1"
)]
pub struct Tag {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// List the tags
    #[command(after_help = "Examples:\n  drumlin tag list\n  drumlin tag list --json")]
    List,
    /// Name a commit
    #[command(after_help = "Examples:\n  drumlin tag create v1\n  drumlin tag create before-fix --at main~1")]
    Create {
        name: RefName,
        /// The commit [default: the current branch's]
        #[arg(long, value_name = "REF")]
        at: Option<RefExpr>,
    },
    /// Delete a tag; `drumlin undo` brings it back
    #[command(after_help = "Examples:\n  drumlin tag delete v1 --dry-run\n  drumlin tag delete v1")]
    Delete {
        name: RefName,
        /// Show what would go, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

impl Tag {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let repo = copy.repo();
        match self.verb.unwrap_or(Verb::List) {
            Verb::List => {
                let refs = repo.refs().await?;
                let rows: Vec<_> = refs
                    .tags
                    .iter()
                    .map(|(name, target)| json!({ "name": name, "commit": target.commit }))
                    .collect();
                cx.ui.emit(&rows, |out| {
                    refs.tags
                        .iter()
                        .try_for_each(|(name, target)| writeln!(out, "{}  {name}", paint(NAME, target.commit.short())))
                })
            }
            Verb::Create { name, at } => {
                let commit = context::snapshot(&copy, at.as_ref()).await?.commit();
                let target = repo.tag_create(&cx.author(), &name, commit).await?;
                say(cx, "Made tag", &name, target.commit)
            }
            Verb::Delete { name, dry_run: true } => {
                let refs = repo.refs().await?;
                let target = refs
                    .tags
                    .get(&name)
                    .ok_or(drumlin_repo::Error::NoSuchTag { name: name.clone() })?;
                say(cx, "Would delete tag", &name, target.commit)
            }
            Verb::Delete { name, dry_run: false } => {
                let target = repo.tag_delete(&cx.author(), &name).await?;
                say(cx, "Deleted tag", &name, target.commit)
            }
        }
    }
}
