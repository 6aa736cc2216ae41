//! `drumlin branch`.

use clap::{Args, Subcommand};
use drumlin_model::{RefExpr, RefName};
use drumlin_verbs::{
    BranchCreateRequest, BranchDeleteRequest, BranchListRequest, BranchRenameRequest, Desk, RefAnswer,
};

use crate::{
    context::Context,
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
        let desk = cx.desk().await?;
        match self.verb.unwrap_or(Verb::List) {
            Verb::List => list(cx, &desk).await,
            Verb::Create { name, at } => {
                let made = desk.branch_create(BranchCreateRequest { name, at }).await?;
                print(cx, "Made branch", &made)
            }
            Verb::Rename { from, to } => {
                let renamed = desk.branch_rename(BranchRenameRequest { from, to }).await?;
                print(cx, "Renamed to", &renamed)
            }
            Verb::Delete { name, dry_run } => {
                let deleted = desk.branch_delete(BranchDeleteRequest { name, dry_run }).await?;
                let did = if dry_run {
                    "Would delete branch"
                } else {
                    "Deleted branch"
                };
                print(cx, did, &deleted)
            }
        }
    }
}

async fn list(cx: &Context<'_>, desk: &Desk) -> Result<(), CommandError> {
    let branches = desk.branch_list(BranchListRequest {}).await?;
    cx.ui.emit(&branches, |out| {
        for branch in &branches {
            let mark = if branch.current {
                paint(GOOD, "*")
            } else {
                " ".to_owned()
            };
            writeln!(out, "{mark} {}  {}", paint(NAME, branch.commit.short()), branch.name)?;
        }
        Ok(())
    })
}

/// One line about one ref, for branches and tags.
pub fn print(cx: &Context<'_>, did: &str, answer: &RefAnswer) -> Result<(), CommandError> {
    cx.ui.emit(answer, |out| {
        writeln!(out, "{did} {} at {}", paint(NAME, &answer.name), answer.commit.short())
    })
}
