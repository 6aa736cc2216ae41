//! The `drumlin` program: words in, calls below, text or JSON out, an exit code.
//! `args` holds the words, `commands` a file for each verb, `ui` what is shown, `error` what is said when it fails.
//! Invariant: no rule of the product lives here; a verb parses, calls one method below and renders its answer.

mod args;
mod commands;
mod context;
mod error;
mod ui;

use std::{process::ExitCode, time::Instant};

use clap::Parser;

use crate::{
    args::Args,
    context::Context,
    error::{CommandError, EXIT_USAGE, exit_code},
    ui::{Ui, UiOptions},
};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    let ui = Ui::new(UiOptions {
        json: args.global.json,
        quiet: args.global.quiet,
    });
    args.global.color.write_global();
    start_log(args.global.verbose);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "drumlin");
    let begun = Instant::now();
    let done = run(args, &ui);
    tracing::info!(milliseconds = begun.elapsed().as_millis(), ok = done.is_ok(), "done");
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui.error(&error);
            ExitCode::from(exit_code(error.kind))
        }
    }
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
        Ui::new(options).error(&CommandError::invalid(message).with_hint("drumlin help"));
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

/// `-v` shows what Drumlin does, `-vv` also what lies below it; on stderr.
fn start_log(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => tracing::Level::INFO,
        2 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .init();
}

fn run(args: Args, ui: &Ui) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::io("cannot start the threads that do the work", error))?;
    let context = Context::new(ui, args.global)?;
    runtime.block_on(args.command.run(&context))
}
