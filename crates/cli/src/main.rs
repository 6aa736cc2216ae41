//! The `drumlin` program. All of it is in the library beside, so that its tests can ask for the definition of the words.

use std::process::ExitCode;

fn main() -> ExitCode {
    drumlin_cli::main()
}
