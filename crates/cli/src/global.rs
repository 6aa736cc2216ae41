//! `Global`: the flags that every verb takes. The doc comments here are the help that people read.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use drumlin_verbs::{Color, Key, Value};

#[derive(Args, Clone)]
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
    /// Say what is being done (-vv: and how long each step took)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    /// Who is named in commits and operations [env: DRUMLIN_ACTOR] [default: your user name]
    #[arg(long, global = true, value_name = "NAME", value_parser = parse_actor, help_heading = "Global options")]
    pub actor: Option<Value>,
    /// The most memory that queries and joins take before they spill to disk, such as 512MB [env: DRUMLIN_MEMORY]
    /// [default: 2GB]
    #[arg(long, global = true, value_name = "SIZE", value_parser = parse_memory, help_heading = "Global options")]
    pub memory: Option<Value>,
    /// When to use colors (also obeys NO_COLOR) [env: DRUMLIN_COLOR] [default: auto]
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        help_heading = "Global options"
    )]
    pub color: Option<When>,
}

impl Global {
    /// What the flags set, for this one command.
    pub fn settings(&self) -> BTreeMap<Key, Value> {
        let given = [
            (Key::Actor, self.actor.clone()),
            (Key::Memory, self.memory.clone()),
            (Key::Color, self.color.map(|when| Value::Color(when.color()))),
        ];
        given
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect()
    }
}

fn parse_actor(text: &str) -> Result<Value, String> {
    Key::Actor.value(text)
}

fn parse_memory(text: &str) -> Result<Value, String> {
    Key::Memory.value(text)
}

/// The words of `--color`.
#[derive(clap::ValueEnum, Clone, Copy)]
pub enum When {
    Auto,
    Always,
    Never,
}

impl When {
    pub fn color(self) -> Color {
        match self {
            When::Auto => Color::Auto,
            When::Always => Color::Always,
            When::Never => Color::Never,
        }
    }
}

/// Has all text from now on in colors or not.
pub fn use_color(color: Color) {
    match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}
