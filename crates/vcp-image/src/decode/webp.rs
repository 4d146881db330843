//! What is checked of a WebP file ahead of its decoder.

/// The part of a WebP file that its header speaks of, if all its chunks lie inside. The decoder
/// allocates what a chunk claims to hold before it reads it, up to 4 GB.
pub(super) fn sound_webp(bytes: &[u8]) -> Option<&[u8]> {
    let number = |bytes: &[u8]| {
        let bytes = bytes.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    let end = number(bytes.get(4..)?)?.checked_add(8)?;
    let whole = bytes.get(..end)?;
    let mut rest = whole.get(12..)?;
    while let Some(header) = rest.get(..8) {
        let length = number(&header[4..])?;
        let chunk = rest[8..].get(..length)?;
        // Chunks begin at even places; the last one's padding is sometimes forgotten.
        rest = rest
            .get(8 + chunk.len().next_multiple_of(2)..)
            .unwrap_or_default();
    }
    Some(whole)
}

/// The largest side that the lossless kind can have. The decoder takes it for 0.
pub(super) const UNREADABLE_SIDE: u64 = 16384;

/// Width and height as the file's first chunk says them.
pub(super) fn size(bytes: &[u8]) -> Option<(u64, u64)> {
    let payload = bytes.get(20..)?;
    let number = |at: usize, length: usize| {
        let bytes = payload.get(at..at + length)?.iter().rev();
        Some(bytes.fold(0, |number, &byte| (number << 8) | u64::from(byte)))
    };
    match bytes.get(12..16)? {
        b"VP8X" => Some((number(4, 3)? + 1, number(7, 3)? + 1)),
        b"VP8L" => {
            let sides = number(1, 4)?;
            Some(((sides & 0x3FFF) + 1, ((sides >> 14) & 0x3FFF) + 1))
        }
        b"VP8 " => Some((number(6, 2)? & 0x3FFF, number(8, 2)? & 0x3FFF)),
        _ => None,
    }
}
