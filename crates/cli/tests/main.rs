//! The tests of the `drumlin` program, run as a person runs it: real processes, real files.

mod cases;
mod config;
mod cures;
mod daily;
mod damage;
mod differences;
mod docs;
mod errors;
mod kept;
mod kills;
mod memory;
mod processes;
mod schema;
mod story;
mod support;
mod words;
