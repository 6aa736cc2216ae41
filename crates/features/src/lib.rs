//! The feature store: definitions in the tree, exact point-in-time training sets, the same features served online.
//! Tables and SQL are the floor below; the command line above only parses, calls and renders.
//! Invariant: every value comes from one resolved commit and one definition of "as of": the law in `drumlin-asof`.

pub mod apply;
pub mod definition;
pub mod error;
pub mod online;
pub mod registry;
mod scan;
pub mod source;
pub mod training;

pub use error::{Error, Result};
pub use registry::Registry;
pub use training::TrainingSet;
