//! The words of the command line: the global flags and the verbs. Each verb's own words stand in its file of `commands`.
//! The doc comments here are the help that people read.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, builder::styling};

use crate::{commands::*, context::Context, error::CommandError};

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

#[derive(ClapArgs, Clone)]
pub struct Global {
    /// Run as if started in FOLDER
    #[arg(
        short = 'C',
        long = "folder",
        value_name = "FOLDER",
        global = true,
        help_heading = "Global options"
    )]
    pub started_in: Option<PathBuf>,
    /// Print JSON on stdout, errors too as JSON on stderr
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// Print results of queries and errors alone
    #[arg(
        short,
        long,
        global = true,
        help_heading = "Global options",
        conflicts_with = "verbose"
    )]
    pub quiet: bool,
    /// Say what is being done (-vv: and what lies below)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    /// Who is named in commits and operations [default: your user name]
    #[arg(
        long,
        global = true,
        env = "DRUMLIN_ACTOR",
        value_name = "NAME",
        help_heading = "Global options"
    )]
    pub actor: Option<String>,
    /// The most memory that queries and joins take before they spill to disk, such as 512MB
    #[arg(long, global = true, env = "DRUMLIN_MEMORY", value_name = "SIZE", value_parser = parse_size,
          default_value = "2GB", hide_env = true, help_heading = "Global options")]
    pub memory: u64,
    /// When to use colors (also obeys NO_COLOR)
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "WHEN",
        help_heading = "Global options"
    )]
    pub color: Color,
}

#[derive(clap::ValueEnum, Clone, Copy)]
pub enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    pub fn write_global(self) {
        match self {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
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
            Command::Completions(verb) => verb.run(cx).await,
        }
    }
}

/// `512MB`, `2GiB`, `1000000`: a number of bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: f64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(format!("unknown unit {unit:?}; write such as 512MB or 2GiB")),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| format!("{text:?} is not a size; write such as 512MB or 2GiB"))?;
    Ok((number * factor) as u64)
}
