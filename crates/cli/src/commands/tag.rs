//! `drumlin tag`.

use clap::{Args, Subcommand};
use drumlin_model::{RefExpr, RefName};
use drumlin_verbs::{TagCreateRequest, TagDeleteRequest, TagListRequest};

use crate::{
    commands::branch::print,
    context::Context,
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
        let desk = cx.desk().await?;
        match self.verb.unwrap_or(Verb::List) {
            Verb::List => {
                let tags = desk.tag_list(TagListRequest {}).await?;
                cx.ui.emit(&tags, |out| {
                    tags.iter()
                        .try_for_each(|tag| writeln!(out, "{}  {}", paint(NAME, tag.commit.short()), tag.name))
                })
            }
            Verb::Create { name, at } => {
                let made = desk.tag_create(TagCreateRequest { name, at }).await?;
                print(cx, "Made tag", &made)
            }
            Verb::Delete { name, dry_run } => {
                let deleted = desk.tag_delete(TagDeleteRequest { name, dry_run }).await?;
                let did = if dry_run { "Would delete tag" } else { "Deleted tag" };
                print(cx, did, &deleted)
            }
        }
    }
}
