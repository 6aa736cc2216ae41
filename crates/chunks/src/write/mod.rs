//! The write side: content in, packs and blobs out.
//! `writer` takes it, `file_builder` cuts long files, `packs` gathers and sends, under names of `pack_ids`.

mod file_builder;
pub(crate) mod pack_ids;
pub(crate) mod packs;
pub(crate) mod writer;
