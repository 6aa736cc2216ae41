//! The stored formats of this crate, byte by byte (`docs/design/001-stored-formats.md`): pure, no I/O.
//! `pack` and `table` hold `record`s; `recipe` lists the chunks of a long file; `outboard` verifies ranges of a blob;
//! `cutter` says where a long file is cut.

mod bytes_reader;
pub(crate) mod cutter;
pub(crate) mod outboard;
pub(crate) mod pack;
pub(crate) mod recipe;
pub(crate) mod record;
pub(crate) mod table;
