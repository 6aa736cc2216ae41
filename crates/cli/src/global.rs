//! `Global`: the flags that every verb takes. The doc comments here are the help that people read.

use std::path::PathBuf;

use clap::Args;

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
