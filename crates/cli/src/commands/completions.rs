//! `drumlin completions`.

use clap::{Args as ClapArgs, CommandFactory};
use clap_complete::Shell;

use crate::{args::Args, context::Context, error::CommandError};

/// Print the completions for a shell
#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  drumlin completions bash > ~/.local/share/bash-completion/completions/drumlin\n  drumlin completions zsh  > ~/.zfunc/_drumlin\n  drumlin completions fish > ~/.config/fish/completions/drumlin.fish"
)]
pub struct Completions {
    shell: Shell,
}

impl Completions {
    pub async fn run(self, _cx: &Context<'_>) -> Result<(), CommandError> {
        clap_complete::generate(self.shell, &mut Args::command(), "drumlin", &mut std::io::stdout());
        Ok(())
    }
}
