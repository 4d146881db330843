//! What is checked of a JPEG file ahead of its decoder.

/// Whether a JPEG's markers lead to its end marker. The decoder would fill the missing part of a cut
/// file with grey, and a defect map of grey filler looks like a result; Pillow refuses such a file too.
pub(super) fn jpeg_is_complete(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        // To the next marker, over entropy-coded data, stuffed zeros, restarts and fill bytes.
        let Some(at) = rest
            .windows(2)
            .position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0x00 | 0xD0..=0xD7 | 0xFF))
        else {
            return false;
        };
        if rest[at + 1] == 0xD9 {
            return true;
        }
        rest = &rest[at + 2..];
        // Every other marker that may stand here carries its length; what it holds is skipped, so
        // that the end marker of an embedded thumbnail does not count.
        let Some(&[high, low]) = rest.first_chunk::<2>() else {
            return false;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        rest = rest.get(length.max(2)..).unwrap_or_default();
    }
}
