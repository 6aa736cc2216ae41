//! What every store holds: how long a key, a value and a batch may be. `store` states the promises, `error` says them.

/// The longest key, in bytes: what LMDB takes as it is usually built. A Redis key and a `bytea` of Postgres take more.
pub const KEY_LEN_MAX: usize = 511;
/// The longest value, in bytes. A key's value holds its newest row, and a few older or future ones; 32 MiB is far beyond all
/// of them, and within what Redis (512 MiB) and Postgres (1 GiB) take.
pub const VALUE_LEN_MAX: usize = 32 << 20;
/// The most changes of one batch: a push of 100,000 rows into a view that is being built changes three keys a row.
pub const BATCH_CHANGES_MAX: usize = 1 << 19;
/// The most bytes of one batch: it is in memory whole, here and in a store at the other end of a connection.
pub const BATCH_LEN_MAX: usize = 256 << 20;
