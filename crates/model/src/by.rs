//! `By`: who asks for a change. One value travels from a surface to the commit and the operation that record it.

use serde::{Deserialize, Serialize};

use crate::{provenance::Code, time::Timestamp};

/// The longest name of an actor, in bytes: it stands in every operation.
pub const ACTOR_LEN_MAX: usize = 1024;

/// Who asks, since when, and with which code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// The person or service, as commits and operations name it.
    pub actor: String,
    /// When the request began.
    pub started: Timestamp,
    /// The Git commit of the code that asks, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

impl By {
    pub fn new(actor: impl Into<String>, started: Timestamp) -> Self {
        Self {
            actor: actor.into(),
            started,
            code: None,
        }
    }
}
