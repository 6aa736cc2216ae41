//! The local disk: a folder as a bucket and as the place of a root, and the folder of cached copies.
//! `durable_file` writes all of it.

pub(crate) mod cache;
pub(crate) mod directory_root;
pub(crate) mod durable_dir;
pub(crate) mod durable_file;
