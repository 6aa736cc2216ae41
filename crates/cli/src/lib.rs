//! The `drumlin` program: words in, calls below, text or JSON out, an exit code.
//! `args` holds the words, `commands` a file for each verb, `ui` what is shown, `error` what is said when it fails and
//! `cures` what is said then about a way out.
//! Invariant: no rule of the product lives here; a verb parses, calls one method below and renders its answer.

mod args;
mod commands;
mod context;
pub mod cures;
mod error;
mod global;
mod progress;
mod ui;

use std::{process::ExitCode, time::Instant};

use clap::{ArgMatches, CommandFactory, FromArgMatches};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt::format::FmtSpan,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{
    args::Args,
    context::Context,
    error::{CommandError, EXIT_USAGE, exit_code},
    ui::{Ui, UiOptions},
};

/// Runs the program with the words that it was started with.
pub fn main() -> ExitCode {
    let parsed = Args::command()
        .try_get_matches()
        .and_then(|words| Ok((Args::from_arg_matches(&words)?, verb_of(&words))));
    let (args, verb) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return usage(&error),
    };
    let ui = Ui::new(UiOptions {
        json: args.global.json,
        quiet: args.global.quiet,
    })
    .of_verb(verb.clone());
    if let Some(when) = args.global.color {
        global::use_color(when.color());
    }
    start_log(args.global.verbose);
    tracing::info!("drumlin {}: {verb}", env!("CARGO_PKG_VERSION"));
    let begun = Instant::now();
    let done = run(args, &ui);
    let ended = if done.is_ok() { "done" } else { "failed" };
    tracing::info!("{verb}: {ended} after {} ms", begun.elapsed().as_millis());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui.error(&command(), &error);
            ExitCode::from(exit_code(error.kind))
        }
    }
}

/// The definition of all words, with the global flags in each verb.
pub fn command() -> clap::Command {
    let mut program = Args::command();
    program.build();
    program
}

/// The words of the verb that was typed, such as `table create`.
fn verb_of(words: &ArgMatches) -> String {
    let below = std::iter::successors(words.subcommand(), |(_, below)| below.subcommand());
    below.map(|(word, _)| word).collect::<Vec<_>>().join(" ")
}

/// Help and version go to stdout and succeed; wrong words go to stderr.
fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|word| word == "--json") {
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message);
        let options = UiOptions {
            json: true,
            quiet: false,
        };
        Ui::new(options).error(&command(), &CommandError::invalid(message).with_hint("drumlin help"));
        return ExitCode::from(EXIT_USAGE);
    }
    // Nothing can be done where neither stream takes text.
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::from(EXIT_USAGE)
    } else {
        ExitCode::SUCCESS
    }
}

/// `-v` says on stderr which verb runs and how far it is; `-vv` also shows how long each step of Drumlin took, down to the
/// requests to the store; `-vvv` shows the same of the libraries below.
fn start_log(verbose: u8) {
    let (ours, theirs) = match verbose {
        0 => return,
        1 => (LevelFilter::INFO, LevelFilter::WARN),
        2 => (LevelFilter::DEBUG, LevelFilter::INFO),
        _ => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    let crates = [
        "cli", "verbs", "lineage", "features", "tables", "asof", "objects", "worktree", "online", "repo", "chunks",
    ];
    let targets = crates.map(|name| (format!("drumlin_{name}"), ours));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_timer(tracing_subscriber::fmt::time::uptime())
        .with_target(verbose > 1)
        // A span is a line when it ends, with how long it took.
        .with_span_events(FmtSpan::CLOSE)
        .with_filter(Targets::new().with_default(theirs).with_targets(targets));
    tracing_subscriber::registry().with(lines).init();
}

fn run(args: Args, ui: &Ui) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::io("cannot start the threads that do the work", error))?;
    let context = Context::new(ui, args.global)?;
    runtime.block_on(args.command.run(&context))
}
