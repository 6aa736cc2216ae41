//! The folder that people work in: ordinary files that show one commit of a repository and stage changes for the next.
//!
//! [`WorkingCopy`] is the one door. Its verbs stand in a file each: `add`, `commit`, `checkout` (and `follow`), `restore`,
//! `status` (and `diff`). Below them:
//!
//! - `scan` walks the disk and compares it with `index`, which remembers what was brought or added;
//! - `plan` says what a checkout has to do, `bring` writes the files;
//! - `layout` knows the places inside `.drumlin` and where the repository is, `config` reads and changes files of settings,
//!   `settings` says which of several goes first, `configuration` holds both for one run.
//!
//! `drumlin-repo` below versions what is given to it and knows nothing of folders.
//! Invariant: work that is not committed is overwritten only where the user asked for that.

mod add;
mod bring;
mod checkout;
mod commit;
mod config;
mod configuration;
mod error;
mod ignores;
mod index;
mod layout;
mod lock;
mod paths;
mod plan;
mod read;
mod restore;
mod scan;
mod sets;
mod settings;
mod spill;
mod stat;
mod status;
mod working_copy;

pub use add::AddSummary;
pub use checkout::CheckoutSummary;
pub use config::SettingsFile;
pub use configuration::{Configuration, SettingChanged, SettingsScope};
use drumlin_repo::Error as RepoError;
pub use error::{Error, Result};
pub use index::{ChangeKind, Head};
pub use layout::Layout;
pub use restore::RestoreSummary;
pub use settings::{Color, FileLayer, Key, Layers, Origin, Setting, Settings, Unknown, Value, parse_size};
pub use status::{Changed, Side, Status};
pub use working_copy::{Opener, WorkingCopy};
