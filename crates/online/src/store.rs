//! `OnlineStore`: where the online rows are kept, as bytes by key. `serving` and its modules say what the bytes mean.
//! Two kinds: `Lmdb` (a folder that several processes of a machine share) and `Memory` (one process, gone with it).
//! Invariant: what a kind promises stands here, and `tests/conformance.rs` holds every kind to it.

use std::fmt::Debug;

use crate::{
    error::{Error, Result},
    limits::{BATCH_CHANGES_MAX, BATCH_LEN_MAX, KEY_LEN_MAX, VALUE_LEN_MAX},
};

/// What an update shows: for each key that was asked for, in that order, its value or that there is none.
pub type Values<'a> = [Option<&'a [u8]>];

/// A function that looks at the values of keys and writes down what is to change. It may be called more than once for one
/// update, so it begins anew each time. Its error ends the update, and nothing has changed.
pub type Change<'a> = dyn FnMut(&Values<'_>, &mut Batch) -> Result<()> + 'a;

/// Bytes by key, for many threads and (where the kind allows it) many processes and machines.
///
/// - Keys have 1 to [`KEY_LEN_MAX`] bytes, whatever they are, and are ordered byte by byte: `a` before `a\0` before `b`. Any
///   other key is refused with [`Error::Key`], by reads too.
/// - One moment: the values that one `read`, one `scan` or one `update` shows were all in the store at one moment.
/// - Atomic: an `update` takes effect whole or not at all, whatever moment the process dies at. Nobody sees a part of it.
/// - No update is lost: from the moment whose values `update` shows until its batch is in effect, nothing else changes the
///   keys that it was asked for. (LMDB has one writer at a time; Redis watches the keys and calls the function again; Postgres
///   locks the rows.)
/// - In order: whatever begins after an `update` has returned sees that update.
/// - Durable: once `flush` has returned, every update that returned before it was called survives a crash of the machine, in
///   the kinds that keep anything.
/// - An error of `update`, other than the function's own, does not say whether the update took effect: read, and look.
///
/// A call may block for as long as a round trip to the store, and for as long as other updates of the same keys take. The
/// functions that are passed in must not call the store.
pub trait OnlineStore: Send + Sync + Debug {
    /// How errors name the store: its folder or address.
    fn name(&self) -> String;

    /// Calls `see` once with the values of `keys`, in their order. A key may be asked for twice.
    fn read(&self, keys: &[&[u8]], see: &mut dyn FnMut(&Values<'_>)) -> Result<()>;

    /// Calls `see` with key and value for the first keys that the scan asks for, in the order of the keys.
    fn scan(&self, scan: Scan<'_>, see: &mut dyn FnMut(&[u8], &[u8])) -> Result<()>;

    /// Shows the values of `keys` to `change`, and does what it writes into the batch. A batch may change other keys too; for
    /// those nothing is promised but that it is atomic.
    fn update(&self, keys: &[&[u8]], change: &mut Change<'_>) -> Result<()>;

    /// Takes the store's lease, or says at once that it is [`Error::Busy`]. One holder has it exclusively, or several share
    /// it. It ends when the guard is dropped, and soon after its process has died. It keeps out nobody who does not ask for it.
    fn lease(&self, sort: LeaseSort) -> Result<Lease>;

    /// Waits until what was written before survives a crash.
    fn flush(&self) -> Result<()>;
}

/// Which keys a scan shows.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'a> {
    /// What the keys begin with; every key begins with nothing.
    pub prefix: &'a [u8],
    /// Only keys after this one, which need not be there.
    pub after: Option<&'a [u8]>,
    /// The most keys that are shown. One that got fewer has seen the end.
    pub limit: usize,
}

/// What one update changes: puts and deletes, in order; the last change of a key is what counts.
#[derive(Debug, Default)]
pub struct Batch {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    len: usize,
}

impl Batch {
    /// Writes a value, in place of the one that is there. An error when the key, the value or the batch is too long.
    pub fn put(&mut self, key: &[u8], value: impl Into<Vec<u8>>) -> Result<()> {
        let value = value.into();
        if value.len() > VALUE_LEN_MAX {
            return Err(Error::ValueLen { len: value.len() });
        }
        self.change(key, Some(value))
    }

    /// Takes a key away; nothing happens when it is not there.
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.change(key, None)
    }

    fn change(&mut self, key: &[u8], value: Option<Vec<u8>>) -> Result<()> {
        check_key(key)?;
        self.len += key.len() + value.as_ref().map_or(0, Vec::len);
        self.changes.push((key.to_vec(), value));
        if self.changes.len() > BATCH_CHANGES_MAX || self.len > BATCH_LEN_MAX {
            return Err(Error::BatchLen {
                changes: self.changes.len(),
                len: self.len,
            });
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Each change in order: a key, and its new value or that it is deleted.
    pub fn changes(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<&[u8]>)> {
        self.changes
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
    }
}

/// Who may hold the lease beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseSort {
    /// Nobody: for whoever materializes.
    Exclusive,
    /// Others that share it: for whoever compares, and needs what is materialized to stay as it is.
    Shared,
}

/// The lease, for as long as this is kept.
pub struct Lease {
    _guard: Box<dyn Send + Sync>,
}

impl Lease {
    /// A lease that ends when `guard` is dropped.
    pub fn new(guard: impl Send + Sync + 'static) -> Self {
        Self {
            _guard: Box::new(guard),
        }
    }
}

impl Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lease")
    }
}

/// Refuses a key that no store has to take.
pub fn check_key(key: &[u8]) -> Result<()> {
    if (1..=KEY_LEN_MAX).contains(&key.len()) {
        return Ok(());
    }
    Err(Error::Key { len: key.len() })
}
