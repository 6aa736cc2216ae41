//! The words of the command line: the verbs, by their files of `commands`. The global flags are in `global`.
//! The doc comments here are the help that people read.

use clap::{Parser, Subcommand, builder::styling};

use crate::{commands::*, context::Context, error::CommandError, global::Global};

const STYLES: styling::Styles = styling::Styles::styled()
    .header(styling::AnsiColor::Green.on_default().bold())
    .usage(styling::AnsiColor::Green.on_default().bold())
    .literal(styling::AnsiColor::Cyan.on_default().bold())
    .placeholder(styling::AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  drumlin init                                     Make this folder a repository
  drumlin add raw && drumlin commit -m 'raw data'  Keep files, whatever their size
  drumlin table create flights --from raw/flights.csv
  drumlin sql 'SELECT count(*) FROM flights@v1'    Ask any version
  drumlin apply features                           Define features, see the plan first
  drumlin train create delays --spine 'SELECT * FROM flights' --service delays
  drumlin online materialize && drumlin online get delays carrier=UA
  drumlin lineage training/delays                  Where did it come from?

Each verb has examples of its own: drumlin help VERB";

/// A versioned home for machine-learning data: files, tables and features under one commit graph.
#[derive(Parser)]
#[command(name = "drumlin", version, styles = STYLES, after_help = EXAMPLES, max_term_width = 100)]
#[command(propagate_version = true, subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    Init(init::Init),
    Clone(clone::Clone),
    Status(status::Status),
    Add(add::Add),
    Restore(restore::Restore),
    Commit(commit::Commit),
    Log(log::Log),
    Show(show::Show),
    Diff(diff::Diff),
    #[command(subcommand_negates_reqs = true)]
    Branch(branch::Branch),
    #[command(subcommand_negates_reqs = true)]
    Tag(tag::Tag),
    Checkout(checkout::Checkout),
    Merge(merge::Merge),
    Revert(revert::Revert),
    CherryPick(cherry_pick::CherryPick),
    Reset(reset::Reset),
    Undo(undo::Undo),
    #[command(subcommand)]
    Op(op::Op),
    #[command(subcommand)]
    Table(table::Table),
    Sql(sql::Sql),
    Apply(apply::Apply),
    #[command(subcommand)]
    Feature(feature::Feature),
    #[command(subcommand)]
    Train(train::Train),
    #[command(subcommand)]
    Online(online::Online),
    Verify(verify::Verify),
    Lineage(lineage::Lineage),
    Fsck(fsck::Fsck),
    #[command(subcommand_negates_reqs = true)]
    Config(config::Config),
    Completions(completions::Completions),
}

impl Command {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        match self {
            Command::Init(verb) => verb.run(cx).await,
            Command::Clone(verb) => verb.run(cx).await,
            Command::Status(verb) => verb.run(cx).await,
            Command::Add(verb) => verb.run(cx).await,
            Command::Restore(verb) => verb.run(cx).await,
            Command::Commit(verb) => verb.run(cx).await,
            Command::Log(verb) => verb.run(cx).await,
            Command::Show(verb) => verb.run(cx).await,
            Command::Diff(verb) => verb.run(cx).await,
            Command::Branch(verb) => verb.run(cx).await,
            Command::Tag(verb) => verb.run(cx).await,
            Command::Checkout(verb) => verb.run(cx).await,
            Command::Merge(verb) => verb.run(cx).await,
            Command::Revert(verb) => verb.run(cx).await,
            Command::CherryPick(verb) => verb.run(cx).await,
            Command::Reset(verb) => verb.run(cx).await,
            Command::Undo(verb) => verb.run(cx).await,
            Command::Op(verb) => verb.run(cx).await,
            Command::Table(verb) => verb.run(cx).await,
            Command::Sql(verb) => verb.run(cx).await,
            Command::Apply(verb) => verb.run(cx).await,
            Command::Feature(verb) => verb.run(cx).await,
            Command::Train(verb) => verb.run(cx).await,
            Command::Online(verb) => verb.run(cx).await,
            Command::Verify(verb) => verb.run(cx).await,
            Command::Lineage(verb) => verb.run(cx).await,
            Command::Fsck(verb) => verb.run(cx).await,
            Command::Config(verb) => verb.run(cx).await,
            Command::Completions(verb) => verb.run(cx).await,
        }
    }
}
