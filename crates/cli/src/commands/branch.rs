//! `drumlin branch`.

use clap::{Args, Subcommand};
use drumlin_model::{RefExpr, RefName};
use serde_json::json;

use crate::{
    context::{self, Context},
    error::CommandError,
    ui::{GOOD, NAME, paint},
};

/// List, make, rename or delete branches
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin branch\n  drumlin branch create fix-weather\n  drumlin branch create old --at v1\n  drumlin branch rename fix-weather weather\n  drumlin branch delete weather"
)]
pub struct Branch {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// List the branches
    #[command(after_help = "Examples:\n  drumlin branch list\n  drumlin branch list --json")]
    List,
    /// Make a branch; costs nothing, copies nothing
    #[command(after_help = "Examples:\n  drumlin branch create fix-weather\n  drumlin branch create old --at v1")]
    Create {
        name: RefName,
        /// Where it starts [default: the current branch]
        #[arg(long, value_name = "REF")]
        at: Option<RefExpr>,
    },
    /// Give a branch another name
    #[command(after_help = "Examples:\n  drumlin branch rename fix-weather weather")]
    Rename { from: RefName, to: RefName },
    /// Delete a branch; `drumlin undo` brings it back
    #[command(after_help = "Examples:\n  drumlin branch delete weather --dry-run\n  drumlin branch delete weather")]
    Delete {
        name: RefName,
        /// Show what would go, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

impl Branch {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let repo = copy.repo();
        let by = cx.author();
        match self.verb.unwrap_or(Verb::List) {
            Verb::List => {
                let current = copy.head()?.branch;
                let refs = repo.refs().await?;
                let rows: Vec<_> = refs
                    .branches
                    .iter()
                    .map(|(name, target)| json!({ "name": name, "commit": target.commit, "current": Some(name) == current.as_ref() }))
                    .collect();
                cx.ui.emit(&rows, |out| {
                    for (name, target) in &refs.branches {
                        let mark = if Some(name) == current.as_ref() {
                            paint(GOOD, "*")
                        } else {
                            " ".to_owned()
                        };
                        writeln!(out, "{mark} {}  {}", paint(NAME, target.commit.short()), name)?;
                    }
                    Ok(())
                })
            }
            Verb::Create { name, at } => {
                let commit = context::snapshot(&copy, at.as_ref()).await?.commit();
                let target = repo.branch_create(&by, &name, commit).await?;
                say(cx, "Made branch", &name, target.commit)
            }
            Verb::Rename { from, to } => {
                let target = repo.branch_rename(&by, &from, &to).await?;
                if copy.head()?.branch.as_ref() == Some(&from) {
                    copy.checkout(&to.clone().into(), false, &cx.ui.progress()).await?;
                }
                say(cx, "Renamed to", &to, target.commit)
            }
            Verb::Delete { name, dry_run } => {
                if copy.head()?.branch.as_ref() == Some(&name) {
                    let message = format!("branch {name} is checked out here");
                    return Err(CommandError::new(drumlin_model::ErrorKind::Precondition, message)
                        .with_hint("drumlin checkout OTHER    first"));
                }
                let before = repo.resolve(&name.clone().into()).await?;
                if dry_run {
                    return say(cx, "Would delete branch", &name, before.commit);
                }
                let target = repo.branch_delete(&by, &name).await?;
                say(cx, "Deleted branch", &name, target.commit)
            }
        }
    }
}

/// One line about one ref, for branches and tags.
pub fn say(cx: &Context<'_>, did: &str, name: &RefName, commit: drumlin_model::CommitId) -> Result<(), CommandError> {
    cx.ui
        .emit(&json!({ "did": did, "name": name, "commit": commit }), |out| {
            writeln!(out, "{did} {} at {}", paint(NAME, name), commit.short())
        })
}
