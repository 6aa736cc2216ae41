//! What the readers of all formats share: batches, types that are known before a file is read, names that may stand together.

use std::collections::HashSet;

use arrow::{array::RecordBatch, datatypes::DataType};

use crate::error::{Error, Result};

pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// A column's type that is not to be found in the file.
pub(crate) enum Known {
    /// By whoever asked for the write.
    Said(DataType),
    /// By the table that is written to.
    Table(DataType),
}

impl Known {
    pub(crate) fn into_type(self) -> DataType {
        match self {
            Known::Said(kind) | Known::Table(kind) => kind,
        }
    }
}

/// Names must differ, whatever their case: Delta and SQL don't tell `A` from `a`.
pub(crate) fn check_names(file: &str, names: &[String]) -> Result<()> {
    let mut seen = HashSet::new();
    for (index, name) in names.iter().enumerate() {
        let detail = if name.is_empty() {
            format!("has no name for column {}", index + 1)
        } else if !seen.insert(name.to_lowercase()) {
            format!("has two columns called {name:?}")
        } else {
            continue;
        };
        return Err(Error::Content {
            file: file.to_owned(),
            detail,
        });
    }
    Ok(())
}
