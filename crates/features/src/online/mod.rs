//! The feature store's side of serving: `materialize` fills the online store from the tables, `verify` proves that it answers
//! as the as-of join does. The store itself, and reading it, are the crate `drumlin-online`, which knows no tables.
//! Invariant: nothing here knows how the store keeps its bytes.

mod column;
mod materialize;
mod rows;
mod verify;

use drumlin_model::feature::ViewUse;
use drumlin_online::Serving;

use crate::{
    error::{Error, Result},
    registry::Registry,
};

pub use materialize::{How, MaterializeRequest, Materialized, UPDATE_ROWS, materialize};
pub use verify::{Mismatch, Verified, verify};

/// Whether the views in the store were made by the definitions of `registry`, as a reader on its branch expects; an error that
/// names the first that was not.
pub fn check_definitions(serving: &Serving, registry: &Registry, wants: &[ViewUse]) -> Result<()> {
    for want in wants {
        if serving.view(&want.view)?.definition != registry.view_hash(&want.view)? {
            return Err(Error::OtherDefinition {
                view: want.view.clone(),
            });
        }
    }
    Ok(())
}
