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
