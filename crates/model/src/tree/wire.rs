//! The bytes shared by ranges and index nodes: varints, prefix-compressed paths, and the envelope of a stored object.
//! Used by `range` and `index` only.
//! Invariant: reading never panics, never allocates more than its stated limit, and accepts one encoding of each value.

use crate::{
    error::FormatError,
    id::ID_LEN,
    path::{PATH_LEN_MAX, RepoPath},
};

/// Fast, and ids are of what was compressed: the level may change at any time.
const COMPRESSION_LEVEL: i32 = 1;
const HASH_LEN: usize = 32;

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A signed difference as a varint: 0, -1, 1, -2, 2 become 0, 1, 2, 3, 4.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Writes how many bytes `path` shares with the path before it, then the rest.
pub(super) fn put_path(out: &mut Vec<u8>, before: &str, path: &str) {
    let shared = before.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count();
    put_varint(out, shared as u64);
    put_varint(out, (path.len() - shared) as u64);
    out.extend_from_slice(&path.as_bytes()[shared..]);
}

/// Reads a section from the front. Errors say what is wrong; the caller adds which object.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

pub(super) type Read<T> = Result<T, &'static str>;

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or("it ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn byte(&mut self) -> Read<u8> {
        Ok(self.take(1)?[0])
    }

    pub fn hash(&mut self) -> Read<[u8; ID_LEN]> {
        Ok(self.take(ID_LEN)?.try_into().expect("take returns what was asked for"))
    }

    pub fn varint(&mut self) -> Read<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return Err("a number is too large");
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return if byte == 0 && shift > 0 {
                    Err("a number is padded")
                } else {
                    Ok(value)
                };
            }
        }
        Err("a number is too long")
    }

    pub fn signed(&mut self) -> Read<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A count or length that is at most `max`.
    pub fn length(&mut self, max: usize) -> Read<usize> {
        let value = self.varint()?;
        usize::try_from(value)
            .ok()
            .filter(|&value| value <= max)
            .ok_or("a length is over its limit")
    }

    pub fn text(&mut self, max: usize) -> Read<String> {
        let len = self.length(max)?;
        std::str::from_utf8(self.take(len)?)
            .map(str::to_owned)
            .map_err(|_| "a text is not UTF-8")
    }

    /// A path that sorts after `before`, or, where `same` allows it, equals it.
    pub fn path(&mut self, before: &str, same: bool) -> Read<RepoPath> {
        let shared = self.length(before.len())?;
        let len = self.length(PATH_LEN_MAX)?;
        let rest = self.take(len)?;
        let ascends = match (before.as_bytes().get(shared), rest.first()) {
            (Some(old), Some(new)) => new > old,
            (None, Some(_)) => true,
            (None, None) => same,
            (Some(_), None) => false,
        };
        if !ascends {
            return Err("its paths are out of order");
        }
        let mut path = Vec::with_capacity(shared + len);
        path.extend_from_slice(&before.as_bytes()[..shared]);
        path.extend_from_slice(rest);
        let path = String::from_utf8(path).map_err(|_| "a path is not UTF-8")?;
        RepoPath::new(path).map_err(|_| "a path is not allowed")
    }

    pub fn end(&self) -> Read<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err("it has bytes after its end")
        }
    }
}

/// What kind of object an envelope holds, and how large its sections may be.
pub(super) struct Envelope<const N: usize> {
    /// The first bytes, up to the format number.
    pub magic: &'static str,
    pub format: u32,
    /// The most bytes that each section may have once decompressed.
    pub sections_max: [usize; N],
}

impl<const N: usize> Envelope<N> {
    /// Line of magic and format | for each section: raw and stored length | the sections | BLAKE3 of all before.
    /// Refuses a section that `open` would refuse. `object` names the thing then.
    pub fn seal(&self, object: &'static str, sections: [&[u8]; N]) -> Result<Vec<u8>, FormatError> {
        for (section, &most) in sections.iter().zip(&self.sections_max) {
            if section.len() > most {
                return Err(FormatError::TooLarge {
                    object,
                    found: section.len(),
                    most,
                    unit: "bytes",
                });
            }
        }
        let stored = sections
            .map(|raw| zstd::bulk::compress(raw, COMPRESSION_LEVEL).expect("compressing memory to memory cannot fail"));
        let mut out = format!("{}{}\n", self.magic, self.format).into_bytes();
        for (raw, stored) in sections.iter().zip(&stored) {
            out.extend_from_slice(&length(raw).to_le_bytes());
            out.extend_from_slice(&length(stored).to_le_bytes());
        }
        stored.iter().for_each(|stored| out.extend_from_slice(stored));
        let hash = blake3::hash(&out);
        out.extend_from_slice(hash.as_bytes());
        Ok(out)
    }

    /// The sections, decompressed. `object` names the thing in errors.
    pub fn open(&self, object: &dyn Fn() -> String, bytes: &[u8]) -> Result<[Vec<u8>; N], FormatError> {
        let damaged = |detail: &str| FormatError::damaged(object(), detail);
        let (body, hash) = bytes
            .len()
            .checked_sub(HASH_LEN)
            .and_then(|at| bytes.split_at_checked(at))
            .ok_or_else(|| damaged("it is too short"))?;
        if blake3::hash(body).as_bytes() != hash {
            return Err(damaged("its bytes do not have the hash at its end"));
        }
        let mut reader = Reader::new(self.body(object, body)?);
        self.read_sections(&mut reader).map_err(damaged)
    }

    /// Checks the first line and returns what follows it.
    fn body<'a>(&self, object: &dyn Fn() -> String, bytes: &'a [u8]) -> Result<&'a [u8], FormatError> {
        let line_end = bytes.iter().take(64).position(|&b| b == b'\n').unwrap_or(0);
        let format = std::str::from_utf8(&bytes[..line_end])
            .ok()
            .and_then(|line| line.strip_prefix(self.magic)?.parse::<u32>().ok())
            .ok_or_else(|| FormatError::damaged(object(), "it does not start as it should"))?;
        if format > self.format {
            return Err(FormatError::TooNew {
                object: object(),
                found: format,
                newest: self.format,
            });
        }
        Ok(&bytes[line_end + 1..])
    }

    fn read_sections(&self, reader: &mut Reader<'_>) -> Read<[Vec<u8>; N]> {
        let mut lengths = [(0, 0); N];
        for (lengths, &max) in lengths.iter_mut().zip(&self.sections_max) {
            let raw = u32::from_le_bytes(reader.take(4)?.try_into().expect("four bytes were asked for")) as usize;
            let stored = u32::from_le_bytes(reader.take(4)?.try_into().expect("four bytes were asked for")) as usize;
            if raw > max {
                return Err("a section is over its limit");
            }
            *lengths = (raw, stored);
        }
        let mut sections = [const { Vec::new() }; N];
        for (section, (raw, stored)) in sections.iter_mut().zip(lengths) {
            let stored = reader.take(stored)?;
            *section = zstd::bulk::decompress(stored, raw).map_err(|_| "a section does not decompress")?;
            if section.len() != raw {
                return Err("a section does not have its length");
            }
        }
        reader.end()?;
        Ok(sections)
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("sections are bounded far below 4 GiB")
}
