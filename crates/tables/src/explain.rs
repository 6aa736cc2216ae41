//! DataFusion's errors as one clear line each, with what to do.
//! `error` holds the result; `engine` and `sql` ask.

use arrow::error::ArrowError;
use datafusion::{common::SchemaError, error::DataFusionError};
use drumlin_model::{Cure, names::did_you_mean};

use crate::error::Error;

/// What DataFusion's error says when the spill folder is at its limit; it has no type of its own.
const DISK_SETTING: &str = "max_temp_directory_size";

/// What the columns begin with that passes over a table add.
const OUR_COLUMNS: &str = "__drumlin";

/// An error met while a plan ran.
pub(crate) fn execution(doing: &str, error: DataFusionError, memory_limit_bytes: usize) -> Error {
    let error = match own(error) {
        Ok(own) => return own,
        Err(error) => error,
    };
    if error.to_string().contains(DISK_SETTING) {
        return Error::SpillSpace {
            source: Box::new(error),
        };
    }
    match error.find_root() {
        DataFusionError::ArrowError(source, _) if is_of_a_value(source) => Error::Query {
            detail: source.to_string(),
            cures: Vec::new(),
        },
        DataFusionError::ResourcesExhausted(text) if !text.contains("disk") => Error::Memory {
            limit_bytes: memory_limit_bytes,
            source: Box::new(error),
        },
        DataFusionError::SchemaError(..) | DataFusionError::Plan(_) | DataFusionError::SQL(..) => query(error),
        _ => Error::Execution {
            doing: doing.to_owned(),
            source: Box::new(error),
        },
    }
}

/// An error met while a query was understood.
pub(crate) fn query(error: DataFusionError) -> Error {
    let error = match own(error) {
        Ok(own) => return own,
        Err(error) => error,
    };
    if let DataFusionError::SchemaError(schema, _) = error.find_root()
        && let SchemaError::FieldNotFound { field, valid_fields } = schema.as_ref()
    {
        let known = valid_fields.iter().map(|column| column.name.as_str());
        let known: Vec<&str> = known.filter(|name| !name.starts_with(OUR_COLUMNS)).collect();
        let cure = match did_you_mean(&field.name, known.iter().copied()) {
            Some(similar) => Cure::did_you_mean(similar),
            None => Cure::choose("columns", known),
        };
        return Error::Query {
            detail: format!("there is no column {:?}", field.name),
            cures: vec![cure],
        };
    }
    let text = error.find_root().strip_backtrace();
    let line = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let prefixes = [
        "Error during planning: ",
        "SQL error: ",
        "Schema error: ",
        "This feature is not implemented: ",
    ];
    let detail = prefixes
        .iter()
        .find_map(|prefix| line.strip_prefix(prefix))
        .unwrap_or(&line);
    Error::Query {
        detail: parser_message(detail),
        cures: Vec::new(),
    }
}

/// Whether a value was at fault, as what a query divides by or casts.
fn is_of_a_value(error: &ArrowError) -> bool {
    matches!(
        error,
        ArrowError::DivideByZero
            | ArrowError::CastError(_)
            | ArrowError::ParseError(_)
            | ArrowError::ArithmeticOverflow(_)
            | ArrowError::ComputeError(_)
    )
}

/// The text within `ParserError("...")`.
fn parser_message(text: &str) -> String {
    let inner = text
        .strip_prefix("ParserError(\"")
        .and_then(|rest| rest.strip_suffix("\")"));
    inner.map_or_else(|| text.to_owned(), |inner| inner.replace("\\\"", "\""))
}

/// Takes our own error back out of what it was wrapped in on its way through DataFusion.
fn own(error: DataFusionError) -> Result<Error, DataFusionError> {
    match error {
        DataFusionError::External(source) => match source.downcast::<Error>() {
            Ok(own) => Ok(*own),
            Err(source) => match source.downcast::<DataFusionError>() {
                Ok(inner) => own(*inner),
                Err(source) => Err(DataFusionError::External(source)),
            },
        },
        DataFusionError::Context(context, inner) => {
            own(*inner).map_err(|inner| DataFusionError::Context(context, Box::new(inner)))
        }
        DataFusionError::Diagnostic(diagnostic, inner) => {
            own(*inner).map_err(|inner| DataFusionError::Diagnostic(diagnostic, Box::new(inner)))
        }
        other => Err(other),
    }
}
