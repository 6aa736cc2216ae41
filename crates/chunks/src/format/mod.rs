//! The stored formats of this crate, byte by byte (`docs/design/001-stored-formats.md`): pure, no I/O.
//! `pack` and `table` hold `record`s; `recipe` and its `segment`s say how a long file is put together; `outboard` verifies ranges of a
//! blob; `hash_tree` is how values of pieces merge to the hash of a file;
//! `cutter` says where a long file is cut.

mod bytes_reader;
pub(crate) mod cutter;
pub(crate) mod hash_tree;
pub(crate) mod outboard;
pub(crate) mod pack;
pub(crate) mod recipe;
pub(crate) mod record;
pub(crate) mod segment;
pub(crate) mod table;
