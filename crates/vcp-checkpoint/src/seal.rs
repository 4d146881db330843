//! A digest of a safetensors file within the file's own metadata, so that a bit that has changed since
//! is noticed.
//!
//! The metadata have an entry [`KEY`], the BLAKE3 digest, in hexadecimal, of the whole file with 64
//! zeros in the digest's place. Header and tensors are covered alike, and the file stays a plain
//! safetensors file. It tells of accidents only: whoever changes a file on purpose can seal it again.

use std::collections::HashMap;
use std::ops::Range;

/// The key of the digest in a safetensors file's metadata.
pub const KEY: &str = "vcp_clip_blake3";

/// Digits of a digest.
const LENGTH: usize = 64;
/// Bytes of the length in front of the header.
const LENGTH_BYTES: usize = 8;
/// What stands in the digest's place while it is made.
const BLANK: [u8; LENGTH] = [b'0'; LENGTH];
/// Bytes given to the threads at once.
const BLOCK: usize = 64 << 20;

/// Whether a file carries a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// The file carries no digest: an older version or another program wrote it.
    Absent,
    /// The file carries a digest, and has not changed since it was written.
    Intact,
}

/// The content of a file is not that of which its digest was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "it has changed since it was written, since it is not what its digest says; the disk, the memory or \
     a transfer has damaged it, or another program has written to it"
)]
pub struct BrokenSeal;

/// Adds the digest to a file without one; none if the file is no safetensors file with metadata, as the
/// crate `safetensors` writes it. The same file gives the same bytes.
#[must_use]
pub fn seal(file: &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = file.split_first_chunk::<LENGTH_BYTES>()?;
    let (header, data) =
        rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let header = with_blank(header)?;
    let length = (header.len() as u64).to_le_bytes();
    let mut sealed = [&length[..], &header, data].concat();
    let place = place(&sealed)?;
    let digest = digest(&sealed, &place, |_| {});
    sealed[place].copy_from_slice(digest.as_bytes());
    Some(sealed)
}

/// A header with an entry for the digest in front of its other metadata, and blank digits.
pub(crate) fn with_blank(header: &[u8]) -> Option<Vec<u8>> {
    // Added to the text, since the crate keeps metadata in no order.
    const BEFORE: &[u8] = b"{\"__metadata__\":{";
    let rest = header.strip_prefix(BEFORE)?.trim_ascii_end();
    let entry = format!("\"{KEY}\":\"");
    let mut header = [BEFORE, entry.as_bytes(), &BLANK, b"\",", rest].concat();
    // As many bytes as keep tensors aligned.
    header.resize(header.len().next_multiple_of(LENGTH_BYTES), b' ');
    rest.starts_with(b"\"").then_some(header)
}

/// Compares a file that is in memory with its digest.
///
/// # Errors
/// If it has one that is not that of its content.
#[allow(clippy::implicit_hasher, reason = "what safetensors gives")]
pub fn check(file: &[u8], metadata: &HashMap<String, String>) -> Result<Seal, BrokenSeal> {
    check_releasing(file, metadata, |_| {})
}

/// As [`check`], telling `release` which bytes have been read.
pub(crate) fn check_releasing(
    file: &[u8],
    metadata: &HashMap<String, String>,
    release: impl Fn(Range<usize>),
) -> Result<Seal, BrokenSeal> {
    let Some(expected) = metadata.get(KEY) else {
        // A flipped bit in the key itself must not pass for a file without a digest.
        let is_digest = |value: &String| {
            value.len() == LENGTH && value.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if metadata.values().any(is_digest) {
            return Err(BrokenSeal);
        }
        return Ok(Seal::Absent);
    };
    let place = place(file).ok_or(BrokenSeal)?;
    if digest(file, &place, release) == *expected {
        Ok(Seal::Intact)
    } else {
        Err(BrokenSeal)
    }
}

/// Where in a file the digest is.
fn place(file: &[u8]) -> Option<Range<usize>> {
    let (length, rest) = file.split_first_chunk::<LENGTH_BYTES>()?;
    let header = rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    place_in_header(header).map(|place| place.start + LENGTH_BYTES..place.end + LENGTH_BYTES)
}

/// Where in a header the digest is, as this project's writers write it.
pub(crate) fn place_in_header(header: &[u8]) -> Option<Range<usize>> {
    let before = format!("\"{KEY}\":\"");
    // Within texts quotation marks are escaped, so this can only be the entry itself.
    let start = header
        .windows(before.len())
        .position(|window| window == before.as_bytes())?
        + before.len();
    let is_whole = header.get(start + LENGTH) == Some(&b'"');
    is_whole.then_some(start..start + LENGTH)
}

/// The digest of a file with blank digits at `place`.
fn digest(file: &[u8], place: &Range<usize>, release: impl Fn(Range<usize>)) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&file[..place.start]);
    hasher.update(&BLANK);
    let mut start = place.end;
    for block in file[place.end..].chunks(BLOCK) {
        hasher.update_rayon(block);
        release(start..start + block.len());
        start += block.len();
    }
    hasher.finalize().to_hex().to_string()
}

/// Makes the digest of a file while it is written.
pub(crate) struct Sealer {
    hasher: blake3::Hasher,
}

impl Sealer {
    /// Begins with a header that has blank digits.
    pub(crate) fn new() -> Self {
        Self {
            hasher: blake3::Hasher::new(),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    pub(crate) fn finish(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(metadata: &str, data: &[u8]) -> Vec<u8> {
        let length = data.len();
        let mut header = format!(
            r#"{{"__metadata__":{metadata},"t":{{"dtype":"U8","shape":[{length}],"data_offsets":[0,{length}]}}}}"#
        );
        while !header.len().is_multiple_of(8) {
            header.push(' ');
        }
        [
            &(header.len() as u64).to_le_bytes()[..],
            header.as_bytes(),
            data,
        ]
        .concat()
    }

    fn metadata(file: &[u8]) -> Option<HashMap<String, String>> {
        let (_, header) = safetensors::SafeTensors::read_metadata(file).ok()?;
        header.metadata().clone()
    }

    #[test]
    fn no_bit_can_change_unnoticed() {
        let plain = file(r#"{"about":"a \"vcp_clip_blake3\":\"0\""}"#, &[7; 100]);
        let sealed = seal(&plain).unwrap();
        let found = metadata(&sealed).unwrap();
        assert_eq!(check(&sealed, &found), Ok(Seal::Intact));
        assert_eq!(found["about"], metadata(&plain).unwrap()["about"]);
        assert_eq!((sealed.len() - plain.len()) % 8, 0);
        for bit in 0..8 * sealed.len() {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            // What cannot be read is noticed as well.
            if let Some(metadata) = metadata(&changed) {
                assert_eq!(check(&changed, &metadata), Err(BrokenSeal), "bit {bit}");
            }
        }
    }

    #[test]
    fn files_without_a_digest_are_taken() {
        let old = file(r#"{"vcp_clip":"{}","format":"pt"}"#, &[1; 9]);
        assert_eq!(check(&old, &metadata(&old).unwrap()), Ok(Seal::Absent));
        for other in [
            &b""[..],
            &old[..20],
            &file("{}", &[1]),
            b"\xff\xff\xff\xff\xff\xff\xff\xff{}",
        ] {
            assert_eq!(seal(other), None);
        }
    }

    #[test]
    fn a_file_sealed_while_it_is_written_is_the_same() {
        let sealed = seal(&file(r#"{"a":"b"}"#, &[3; 5000])).unwrap();
        let place = place(&sealed).unwrap();
        let mut blank = sealed.clone();
        blank[place.clone()].copy_from_slice(&BLANK);
        let mut sealer = Sealer::new();
        blank.chunks(777).for_each(|part| sealer.update(part));
        assert_eq!(sealer.finish().as_bytes(), &sealed[place]);
    }
}
