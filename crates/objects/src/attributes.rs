//! The attributes of an entry in `object_store`'s words, and back.
//! `read` gives them with an object, `session_store` keeps what a write brings.
//! Invariant: what a write brings is given back by a read, or the write is refused.

use drumlin_model::{
    Attributes,
    attributes::{CONTENT_TYPE, USER_METADATA},
};
use object_store::{Attribute, path::Path};

use crate::error::Error;

/// The headers that are kept by their own names.
const HEADERS: [(&str, Attribute); 5] = [
    (CONTENT_TYPE, Attribute::ContentType),
    ("content-disposition", Attribute::ContentDisposition),
    ("content-encoding", Attribute::ContentEncoding),
    ("content-language", Attribute::ContentLanguage),
    ("cache-control", Attribute::CacheControl),
];

/// What a reader of objects is told. Others, such as hashes, are for those who read the tree.
pub(crate) fn shown(attributes: &Attributes) -> object_store::Attributes {
    let shown = attributes.iter().filter_map(|(key, value)| {
        let header = HEADERS.iter().find(|(name, _)| *name == key);
        let attribute = match header {
            Some((_, attribute)) => attribute.clone(),
            None => Attribute::Metadata(key.strip_prefix(USER_METADATA)?.to_owned().into()),
        };
        Some((attribute, value.to_owned()))
    });
    shown.collect()
}

/// What a tree keeps of the attributes that an object is written with. Names of user metadata are those of headers, so
/// capitals in them mean the same as small letters.
pub(crate) fn kept(key: &Path, attributes: &object_store::Attributes) -> Result<Attributes, Error> {
    let refused = |attribute: &Attribute| Error::Attribute {
        key: key.to_string(),
        attribute: format!("{attribute:?}"),
    };
    let mut kept = Vec::with_capacity(attributes.len());
    for (attribute, value) in attributes {
        let name = match attribute {
            Attribute::Metadata(name) => format!("{USER_METADATA}{}", name.to_ascii_lowercase()),
            other => {
                let header = HEADERS.iter().find(|(_, header)| header == other);
                header.ok_or_else(|| refused(other))?.0.to_owned()
            }
        };
        kept.push((name, value.to_string()));
    }
    Attributes::new(kept).map_err(|source| Error::Attributes {
        key: key.to_string(),
        source,
    })
}
